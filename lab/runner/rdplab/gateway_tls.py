"""A small capture of a connection to an RD Gateway through a web proxy, inside of OpenSSL's own TLS 1.3, with its secrets.

    python3 -m rdplab.gateway_tls OUTDIR

No free gateway is at hand, so what goes through TLS is written here by the specification (MS-TSGU 2.2.10 over a WebSocket, RFC 6455):
CONNECT and the proxy's consent in clear, behind one 401 the WebSocket, handshake, tunnel, authorization and channel, then the X.224
request of a client without NLA and the host's refusal. `tests/captures/gateway` of the repository was made so.
"""
import pathlib
import ssl
import struct
import subprocess
import sys
import tempfile

sys.path.insert(0, str(pathlib.Path(__file__).parent))
import tls_suites  # noqa: E402
from tls_suites import CLIENT, Capture, End  # noqa: E402

# the proxy's end, which is not that of RDP
SERVER = tls_suites.SERVER = ("198.51.100.20", 8080)

HOST = "Host: gw.lab.test\r\nRDG-Connection-Id: {6F0A6D3E-33A6-4B3E-9C9B-0D5B7C0B1A11}\r\n"
UPGRADE = "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
ASK = f"RDG_OUT_DATA /remoteDesktopGateway/ HTTP/1.1\r\n{HOST}{UPGRADE}"
DENIED = "HTTP/1.1 401 Unauthorized\r\nWWW-Authenticate: Negotiate\r\nContent-Length: 0\r\n\r\n"
SWITCHED = "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n"


def packet(kind, body):
    return struct.pack("<HHI", kind, 0, len(body) + 8) + body


def text(words):
    data = words.encode("utf-16-le") + b"\0\0"
    return struct.pack("<H", len(data)) + data


def data(inner):
    return packet(10, struct.pack("<H", len(inner)) + inner)


def frame(sender, payload):
    size = len(payload)
    bit = 0x80 if sender == CLIENT else 0
    head = bytes([0x82, bit | size]) if size < 126 else bytes([0x82, bit | 126]) + struct.pack(">H", size)
    if sender == SERVER:
        return head + payload
    mask = bytes([7, 11, 13, 17])
    return head + mask + bytes(byte ^ mask[at % 4] for at, byte in enumerate(payload))


def script():
    """Who says what inside of TLS; a write each."""
    yield CLIENT, (ASK + "\r\n").encode()
    yield SERVER, DENIED.encode()
    yield CLIENT, (ASK + "Authorization: Negotiate TlRMTVNTUAAB\r\n\r\n").encode()
    yield SERVER, SWITCHED.encode()
    target = struct.pack("<BBHH", 1, 0, 3389, 3) + text("rdsh01.lab.test")
    refused = bytes.fromhex("030000130ed000000000000300080005000000")
    packets = [
        (CLIENT, packet(1, bytes([1, 0, 0, 0, 0, 0]))),
        (SERVER, packet(2, bytes([0, 0, 0, 0, 1, 0, 0, 0, 0, 0]))),
        (CLIENT, packet(4, struct.pack("<IHH", 0x3F, 0, 0))),
        (SERVER, packet(5, struct.pack("<HIHHII", 1, 0, 3, 0, 9, 0x3F))),
        (CLIENT, packet(6, bytes(2) + text("CLIENT01"))),
        (SERVER, packet(7, struct.pack("<IHHII", 0, 3, 0, 0x80000000, 0))),
        (CLIENT, packet(8, target)),
        (SERVER, packet(9, struct.pack("<IHHI", 0, 1, 0, 1))),
        (CLIENT, data(tls_suites.connection_request())),
        (SERVER, data(refused)),
    ]
    for sender, inner in packets:
        yield sender, frame(sender, inner)


def make(folder, work):
    keys = folder / "behind-proxy.keys"
    keys.unlink(missing_ok=True)
    capture = Capture(folder / "behind-proxy.pcap")
    capture.say(CLIENT, b"CONNECT gw.lab.test:443 HTTP/1.1\r\nHost: gw.lab.test:443\r\n\r\n")
    capture.say(SERVER, b"HTTP/1.1 200 Connection established\r\n\r\n")
    made = (ssl.TLSVersion.TLSv1_3, "", True, False, work, keys)
    ends = {
        CLIENT: End(tls_suites.context("client", *made), False, "gw.lab.test"),
        SERVER: End(tls_suites.context("server", *made), True),
    }
    peers = {CLIENT: SERVER, SERVER: CLIENT}

    def carry(sender):
        sent = ends[sender].outgoing.read()
        if sent:
            capture.say(sender, sent)
            ends[peers[sender]].incoming.write(sent)

    done = dict.fromkeys(ends, False)
    while not all(done.values()):
        for sender, end in ends.items():
            done[sender] = done[sender] or end.shake()
            carry(sender)
    for sender, words in script():
        ends[sender].tls.write(words)
        carry(sender)
        got = b""
        while len(got) < len(words):
            got += ends[peers[sender]].tls.read(65536)
    capture.close()
    lines = [line for line in keys.read_text().splitlines(keepends=True) if not line.startswith("#")]
    keys.write_text("".join(lines))


def main():
    folder = pathlib.Path(sys.argv[1])
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as work:
        work = pathlib.Path(work)
        subprocess.run(["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-keyout", str(work / "server.key"), "-out",
                        str(work / "server.crt"), "-days", "180", "-subj", "/CN=gw.lab.test"], check=True, capture_output=True)
        make(folder, work)


if __name__ == "__main__":
    main()
