"""Small captures of one RDP connection under every TLS version and cipher suite that OpenSSL still speaks, with their secrets.

    python3 -m rdplab.tls_suites OUTDIR

The TLS is OpenSSL's own, client and server, through Python's `ssl` in memory; what it says is put into TCP segments of a pcap file
by this module, so no network and no rights are needed. Inside goes one script of an RDP connection that ends with Set Error Info 5,
so that every capture must be read alike. `tests/captures/tls` of the repository was made so.
"""
import os
import pathlib
import ssl
import struct
import subprocess
import sys
import tempfile
import time

sys.path.insert(0, str(pathlib.Path(__file__).parent))
import scripted_server as rdp  # noqa: E402

CLIENT, SERVER = ("192.0.2.10", 50123), ("198.51.100.20", 3389)
START_US = int(time.time()) * 1_000_000
NO_ENCRYPT_THEN_MAC = 0x80000
DONT_INSERT_EMPTY_FRAGMENTS = 0x800
ONE = ssl.TLSVersion

# name, version, OpenSSL's name of the suite, encrypt-then-MAC, an empty record ahead of each write
VARIANTS = [
    ("tls10-aes128-sha", ONE.TLSv1, "AES128-SHA", False, False),
    ("tls10-aes128-sha-split", ONE.TLSv1, "AES128-SHA", False, True),
    ("tls10-aes256-sha-etm", ONE.TLSv1, "AES256-SHA", True, False),
    ("tls11-aes128-sha", ONE.TLSv1_1, "ECDHE-RSA-AES128-SHA", False, False),
    ("tls11-aes256-sha-etm", ONE.TLSv1_1, "AES256-SHA", True, False),
    ("tls12-aes128-sha", ONE.TLSv1_2, "AES128-SHA", False, False),
    ("tls12-aes128-sha256", ONE.TLSv1_2, "ECDHE-RSA-AES128-SHA256", False, False),
    ("tls12-aes256-sha384", ONE.TLSv1_2, "ECDHE-RSA-AES256-SHA384", False, False),
    ("tls12-aes256-sha384-etm", ONE.TLSv1_2, "ECDHE-RSA-AES256-SHA384", True, False),
    ("tls12-aes128-ccm", ONE.TLSv1_2, "AES128-CCM", False, False),
    ("tls12-aes256-ccm8", ONE.TLSv1_2, "AES256-CCM8", False, False),
    ("tls12-aes256-gcm", ONE.TLSv1_2, "ECDHE-RSA-AES256-GCM-SHA384", False, False),
    ("tls12-chacha20", ONE.TLSv1_2, "ECDHE-RSA-CHACHA20-POLY1305", False, False),
    ("tls13-aes256-gcm", ONE.TLSv1_3, "TLS_AES_256_GCM_SHA384", False, False),
    ("tls13-aes128-ccm", ONE.TLSv1_3, "TLS_AES_128_CCM_SHA256", False, False),
    ("tls13-aes128-ccm8", ONE.TLSv1_3, "TLS_AES_128_CCM_8_SHA256", False, False),
]


class Capture:
    """A pcap file of one TCP connection; every segment is acknowledged by the next one of the other side."""

    def __init__(self, path):
        self.file = open(path, "wb")
        self.file.write(struct.pack("<IHHiIII", 0xA1B2C3D4, 2, 4, 0, 0, 65535, 101))
        self.at_us = START_US
        self.next = {CLIENT: 1000, SERVER: 5000}
        self.packet(CLIENT, 0x02)
        self.next[CLIENT] += 1
        self.packet(SERVER, 0x12)
        self.next[SERVER] += 1
        self.packet(CLIENT, 0x10)

    def packet(self, sender, flags, payload=b""):
        receiver = SERVER if sender == CLIENT else CLIENT
        ack = self.next[receiver] if flags & 0x10 else 0
        tcp = struct.pack(">HHIIBBHHH", sender[1], receiver[1], self.next[sender], ack, 0x50, flags, 64240, 0, 0)
        addresses = bytes(int(part) for end in (sender, receiver) for part in end[0].split("."))
        ip = struct.pack(">BBHHHBBH", 0x45, 0, 20 + len(tcp) + len(payload), 0, 0x4000, 128, 6, 0) + addresses
        packet = ip + tcp + payload
        self.file.write(struct.pack("<IIII", self.at_us // 1_000_000, self.at_us % 1_000_000, len(packet), len(packet)) + packet)
        self.at_us += 5_000
        self.next[sender] += len(payload)

    def say(self, sender, data):
        for start in range(0, len(data), 1400):
            self.packet(sender, 0x18, data[start:start + 1400])

    def close(self):
        self.packet(SERVER, 0x11)
        self.next[SERVER] += 1
        self.packet(CLIENT, 0x11)
        self.next[CLIENT] += 1
        self.packet(SERVER, 0x10)
        self.file.close()


class End:
    """One end of TLS in memory."""

    def __init__(self, context, server_side, name=None):
        self.incoming, self.outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        self.tls = context.wrap_bio(self.incoming, self.outgoing, server_side=server_side, server_hostname=name)

    def shake(self):
        try:
            self.tls.do_handshake()
            return True
        except ssl.SSLWantReadError:
            return False


def context(side, version, suite, etm, split, folder, keys):
    made = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER if side == "server" else ssl.PROTOCOL_TLS_CLIENT)
    made.minimum_version = made.maximum_version = version
    if version != ONE.TLSv1_3:
        made.set_ciphers(f"{suite}:@SECLEVEL=0")
    made.options |= 0 if etm else NO_ENCRYPT_THEN_MAC
    if split:
        made.options &= ~DONT_INSERT_EMPTY_FRAGMENTS
    else:
        made.options |= DONT_INSERT_EMPTY_FRAGMENTS
    if side == "server":
        made.load_cert_chain(folder / "server.crt", folder / "server.key")
    else:
        made.check_hostname, made.verify_mode = False, ssl.CERT_NONE
        made.keylog_filename = str(keys)
    return made


# ---- what the client says (MS-RDPBCGR 2.2.1) ------------------------------------------------------------------------

def connection_request():
    cookie = b"Cookie: mstshash=labuser\r\n"
    negotiation = struct.pack("<BBHI", 1, 0, 8, rdp.PROTOCOL_SSL)
    return rdp.tpkt(bytes([6 + len(cookie) + 8, 0xE0, 0, 0, 0, 0, 0]) + cookie + negotiation)


def connect_initial():
    name = "CLIENT01".encode("utf-16-le").ljust(32, b"\0")
    core = struct.pack("<IHHHHII", 0x00080004, 1024, 768, 0xCA01, 0xAA03, 0x409, 19041) + name + struct.pack("<III", 4, 0, 12) + bytes(64)
    core += struct.pack("<HHIHHH", 0xCA01, 1, 0, 24, 7, 1) + bytes(64) + struct.pack("<BBI", 0, 0, rdp.PROTOCOL_SSL)
    security = struct.pack("<II", 0, 0)
    net = struct.pack("<I", 1) + b"rdpdr\0\0\0" + struct.pack("<I", 0x80800000)
    blocks = b"".join(struct.pack("<HH", kind, len(body) + 4) + body for kind, body in ((0xC001, core), (0xC002, security), (0xC003, net)))
    conference = bytes.fromhex("000800100001c00044756361") + rdp.per_length(len(blocks)) + blocks
    gcc = bytes.fromhex("000500147c0001") + rdp.per_length(len(conference)) + conference
    numbers = lambda values: b"".join(rdp.ber(b"\x02", struct.pack(">H", value)) for value in values)
    domains = ((34, 2, 0, 1, 0, 1, 0xFFFF, 2), (1, 1, 1, 1, 0, 1, 0x420, 2), (0xFFFF, 0xFC17, 0xFFFF, 1, 0, 1, 0xFFFF, 2))
    body = rdp.ber(b"\x04", b"\x01") * 2 + rdp.ber(b"\x01", b"\xff") + b"".join(rdp.ber(b"\x30", numbers(d)) for d in domains)
    return rdp.x224_data(rdp.ber(b"\x7f\x65", body + rdp.ber(b"\x04", gcc)))


def join_request(channel):
    return rdp.x224_data(struct.pack(">BHH", 0x38, rdp.USER_CHANNEL - 1001, channel))


def to_server(payload):
    return rdp.x224_data(struct.pack(">BHHB", 0x64, rdp.USER_CHANNEL - 1001, rdp.IO_CHANNEL, 0x70) + rdp.per_length(len(payload)) + payload)


def client_info():
    texts = [text.encode("utf-16-le") for text in ("LAB", "labuser", "", "", "")]
    info = struct.pack("<II", 0, 0x13B) + b"".join(struct.pack("<H", len(text)) for text in texts)
    info += b"".join(text + b"\0\0" for text in texts)
    return to_server(struct.pack("<HH", 0x40, 0) + info + bytes(180))


def share(kind, body):
    return to_server(struct.pack("<HHH", len(body) + 6, kind, rdp.USER_CHANNEL) + body)


def share_data(kind, body):
    return share(rdp.PDU_DATA, struct.pack("<IBBHBBH", rdp.SHARE_ID, 0, 1, len(body) + 4, kind, 0, 0) + body)


def confirm_active():
    general = struct.pack("<HH9H2B", 1, 24, 1, 3, 0x200, 0, 0, 0x41D, 0, 0, 0, 0, 0)
    orders = struct.pack("<HH", 3, 88) + bytes(84)
    inputs = struct.pack("<HH", 13, 88) + bytes(84)
    sets = general + orders + inputs
    return share(0x13, struct.pack("<IHHH", rdp.SHARE_ID, 1002, 6, len(sets) + 4) + b"MSTSC\0" + struct.pack("<HH", 3, 0) + sets)


def script():
    """Who says what, in order; a write each."""
    client, server = CLIENT, SERVER
    yield client, connect_initial()
    yield server, rdp.connect_response(rdp.PROTOCOL_SSL, 1)
    yield client, rdp.x224_data(bytes.fromhex("0401000100"))
    yield client, rdp.x224_data(b"\x28")
    yield server, rdp.attach_user_confirm()
    for channel in (rdp.USER_CHANNEL, rdp.IO_CHANNEL, rdp.IO_CHANNEL + 1):
        yield client, join_request(channel)
        yield server, rdp.channel_join_confirm(channel)
    yield client, client_info()
    yield server, rdp.license_error(rdp.STATUS_VALID_CLIENT)
    yield server, rdp.demand_active()
    yield client, confirm_active()
    yield client, share_data(rdp.DATA_SYNCHRONIZE, struct.pack("<HH", 1, rdp.SERVER_CHANNEL))
    yield client, share_data(rdp.DATA_CONTROL, struct.pack("<HHI", 4, 0, 0))
    yield client, share_data(rdp.DATA_CONTROL, struct.pack("<HHI", 1, 0, 0))
    yield client, share_data(rdp.DATA_FONT_LIST, struct.pack("<HHHH", 0, 0, 3, 50))
    for pdu in rdp.finalization():
        yield server, pdu
    yield server, rdp.set_error_info(5)
    yield server, rdp.disconnect_provider_ultimatum()


def converse(capture, client, server):
    """The handshake, then the script, each write in segments of its own."""
    ends = {CLIENT: client, SERVER: server}
    peers = {CLIENT: server, SERVER: client}

    def carry(sender):
        data = ends[sender].outgoing.read()
        if data:
            capture.say(sender, data)
            peers[sender].incoming.write(data)
        return bool(data)

    done = {CLIENT: False, SERVER: False}
    while not all(done.values()):
        for end in (CLIENT, SERVER):
            done[end] = done[end] or ends[end].shake()
            carry(end)
    for sender, data in script():
        ends[sender].tls.write(data)
        carry(sender)
        got = b""
        while len(got) < len(data):
            got += peers[sender].tls.read(65536)
        assert got == data
    return client.tls.version(), client.tls.cipher()[0]


def make(folder, variant, work):
    name, version, suite, etm, split = variant
    path, keys = folder / f"{name}.pcap", folder / f"{name}.keys"
    keys.unlink(missing_ok=True)
    capture = Capture(path)
    capture.say(CLIENT, connection_request())
    capture.say(SERVER, rdp.connection_confirm(rdp.PROTOCOL_SSL))
    client = End(context("client", version, suite, etm, split, work, keys), False, "rds01.lab.test")
    server = End(context("server", version, suite, etm, split, work, keys), True)
    spoken = converse(capture, client, server)
    capture.close()
    lines = [line for line in keys.read_text().splitlines(keepends=True) if not line.startswith("#")]
    keys.write_text("".join(lines))
    print(name, *spoken)


def configured(suite, work):
    """OpenSSL takes the suites of TLS 1.3 from its configuration, which is read once per process."""
    path = work / "openssl.cnf"
    path.write_text(f"openssl_conf = a\n[a]\nssl_conf = b\n[b]\nsystem_default = c\n[c]\nCiphersuites = {suite}\nCipherString = ALL:@SECLEVEL=0\n")
    return {**os.environ, "OPENSSL_CONF": str(path)}


def main():
    folder = pathlib.Path(sys.argv[1])
    folder.mkdir(parents=True, exist_ok=True)
    if len(sys.argv) == 4:
        wanted = next(variant for variant in VARIANTS if variant[0] == sys.argv[2])
        return make(folder, wanted, pathlib.Path(sys.argv[3]))
    with tempfile.TemporaryDirectory() as work:
        work = pathlib.Path(work)
        subprocess.run(["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-keyout", str(work / "server.key"), "-out",
                        str(work / "server.crt"), "-days", "180", "-subj", "/CN=rds01.lab.test"], check=True, capture_output=True)
        for name, version, suite, *_ in VARIANTS:
            environment = configured(suite if version == ONE.TLSv1_3 else "TLS_AES_128_GCM_SHA256", work)
            subprocess.run([sys.executable, __file__, str(folder), name, str(work)], check=True, env=environment)


if __name__ == "__main__":
    main()
