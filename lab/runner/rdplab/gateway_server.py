"""An RD Gateway of our own (MS-TSGU over HTTP): what it lets through reaches a real host, what it refuses it refuses as Windows does.

No free gateway that authenticates like Windows is in Debian. This one speaks both transports over HTTP: two connections with the methods
RDG_OUT_DATA and RDG_IN_DATA, or one that becomes a WebSocket. It checks the user with NTLM for real, answers handshake, tunnel,
authorization and channel (sections below are those of MS-TSGU 2.2.10), and relays. What makes it real is that `xfreerdp` works through it.

    gateway_server.py --cert C --key K --sam SAM_FILE --host ADDRESS [--tls 1.2|1.3] [--suites LIST] [--chunked]
        [--refuse tunnel|authorization|channel=CODE] [--status HTTP_STATUS] [--keep-alive SECONDS]
"""
import argparse
import base64
import hashlib
import os
import pathlib
import select
import socket
import ssl
import struct
import threading

import scripted_nla
from scripted_server import read_exactly

HANDSHAKE, HANDSHAKE_RESPONSE, TUNNEL, TUNNEL_RESPONSE, AUTHORIZATION, AUTHORIZATION_RESPONSE, CHANNEL, CHANNEL_RESPONSE, DATA = (
    1, 2, 4, 5, 6, 7, 8, 9, 10)
KEEP_ALIVE, CLOSE, CLOSE_RESPONSE = 13, 16, 17
CONNECT_FAILED = 0x000059DD
GRACEFUL_DISCONNECT = 0x000004CA
NAMES = ("LAB", "GW01", "lab.test")
TIME_LIMIT = 30  # seconds for any single wait on the client
HEAD_MAX = 16384
REASONS = {101: "Switching Protocols", 200: "OK", 401: "Unauthorized", 403: "Forbidden", 404: "Not Found", 503: "Service Unavailable"}


def say(words):
    print(words, flush=True)


# ---- HTTP ---------------------------------------------------------------------------------------------------------

class Request:
    """The head of a request; field names in lower case."""

    def __init__(self, stream):
        head = b""
        while not head.endswith(b"\r\n\r\n"):
            head += read_exactly(stream, 1)
            if len(head) > HEAD_MAX:
                raise ValueError("a head without end")
        first, *lines = head.decode("latin-1").split("\r\n")
        self.method, self.target, _ = first.split(" ", 2)
        pairs = (line.split(":", 1) for line in lines if line)
        self.fields = {name.strip().lower(): value.strip() for name, value in pairs}

    def get(self, name):
        return self.fields.get(name, "")

    def is_chunked(self):
        return "chunked" in self.get("transfer-encoding").lower()

    def wants_websocket(self):
        return "websocket" in self.get("upgrade").lower()


def answer(stream, status, *fields, body=b""):
    lines = [f"HTTP/1.1 {status} {REASONS[status]}", *fields, "", ""]
    stream.sendall("\r\n".join(lines).encode() + body)
    say(f"answered {status}")


class Account:
    """One connection's authentication by NTLM, as IIS does it: the connection is authenticated, not the request."""

    def __init__(self, nt_hash):
        self._nt_hash, self._challenge, self.known = nt_hash, None, False

    def check(self, stream, request):
        """Answers and is false until the client is known."""
        if self.known:
            return True
        scheme, _, token = request.get("authorization").partition(" ")
        message = base64.b64decode(token) if scheme in ("NTLM", "Negotiate") else b""
        offers = ("WWW-Authenticate: Negotiate", "WWW-Authenticate: NTLM")
        if message[8:12] == struct.pack("<I", 1):
            self._challenge = os.urandom(8)
            challenge = base64.b64encode(scripted_nla.challenge(self._challenge, *NAMES)).decode()
            offers = (f"WWW-Authenticate: {scheme} {challenge}",)
        elif message[8:12] == struct.pack("<I", 3) and self._challenge:
            self.known = scripted_nla.session_key(message, self._challenge, self._nt_hash) is not None
            self._challenge = None
            say(f"gateway password {'right' if self.known else 'wrong'}")
        if not self.known:
            answer(stream, 401, "Content-Length: 0", *offers)
        return self.known


# ---- the two transports -------------------------------------------------------------------------------------------

class Channels:
    """Packets over two connections: received in chunks on IN, sent on OUT as the body of one long answer."""

    def __init__(self, receive, send, chunked):
        self.receives, self._send, self._chunked, self._rest = receive, send, chunked, b""

    def holds(self):
        """Something can be read without the connection's being readable."""
        return bool(self._rest) or self.receives.pending() > 0

    def read(self, count):
        while len(self._rest) < count:
            line = b""
            while not line.endswith(b"\r\n"):
                line += read_exactly(self.receives, 1)
            size = int(line, 16)
            if not size:
                raise EOFError("the client ended its body")
            self._rest += read_exactly(self.receives, size)
            read_exactly(self.receives, 2)
        got, self._rest = self._rest[:count], self._rest[count:]
        return got

    def write(self, packet):
        self._send.sendall(b"%x\r\n%s\r\n" % (len(packet), packet) if self._chunked else packet)

    def close(self):
        try:
            if self._chunked:
                self._send.sendall(b"0\r\n\r\n")
            answer(self.receives, 200, "Content-Length: 0")
        except OSError:
            pass
        close(self._send)
        close(self.receives)


class WebSocket:
    """Packets in binary frames of one connection (RFC 6455)."""

    def __init__(self, stream):
        self.receives, self._rest = stream, b""

    def holds(self):
        """Something can be read without the connection's being readable."""
        return bool(self._rest) or self.receives.pending() > 0

    def read(self, count):
        while len(self._rest) < count:
            first, second = read_exactly(self.receives, 2)
            size = second & 0x7F
            if size > 125:
                size = int.from_bytes(read_exactly(self.receives, 2 if size == 126 else 8), "big")
            mask = read_exactly(self.receives, 4)
            body = bytes(byte ^ mask[at % 4] for at, byte in enumerate(read_exactly(self.receives, size)))
            if first & 0xF == 8:
                raise EOFError("the client closed the WebSocket")
            if first & 0xF == 9:
                self._frame(10, body)
            elif first & 0xF in (0, 2):
                self._rest += body
        got, self._rest = self._rest[:count], self._rest[count:]
        return got

    def _frame(self, kind, body):
        size = len(body)
        length = bytes([size]) if size < 126 else struct.pack(">BH", 126, size) if size < 65536 else struct.pack(">BQ", 127, size)
        self.receives.sendall(bytes([0x80 | kind]) + length + body)

    def write(self, packet):
        self._frame(2, packet)

    def close(self):
        try:
            self._frame(8, struct.pack(">H", 1000))
        except OSError:
            pass
        close(self.receives)


def close(stream):
    try:
        stream.unwrap()
    except (OSError, ValueError):
        pass
    stream.close()


# ---- the tunnel ---------------------------------------------------------------------------------------------------

def packet(kind, body):
    return struct.pack("<HHI", kind, 0, len(body) + 8) + body


def read_packet(transport):
    kind, _, length = struct.unpack("<HHI", transport.read(8))
    return kind, transport.read(length - 8)


def text(body):
    (length,) = struct.unpack_from("<H", body)
    return body[2:2 + length].decode("utf-16-le").rstrip("\0")


class Tunnel:
    """One client's tunnel: strictly in turns up to the channel, then whatever each side has to say."""

    def __init__(self, transport, options):
        self._transport, self._options = transport, options

    def run(self):
        try:
            host = self._open()
            if host:
                self._relay(host)
        except (EOFError, OSError) as end:
            say(f"tunnel ended: {end}")
        finally:
            self._transport.close()

    def _write(self, kind, body):
        self._transport.write(packet(kind, body))

    def _expect(self, wanted):
        kind, body = read_packet(self._transport)
        if kind != wanted:
            raise EOFError(f"packet {kind} where {wanted} was expected")
        return body

    def _refused(self, step):
        """The code this step is refused with; 0 when it is not."""
        refused, _, code = (self._options.refuse or "").partition("=")
        if refused != step:
            return 0
        say(f"refused {step} with 0x{int(code, 0):08X}")
        return int(code, 0)

    def _open(self):
        """Answers up to the channel; the connection to the host, or nothing when the client was refused."""
        extended = self._expect(HANDSHAKE)[4:6]
        self._write(HANDSHAKE_RESPONSE, struct.pack("<IBBH", 0, 1, 0, 0) + extended)
        capabilities = self._expect(TUNNEL)[:4]
        code = self._refused("tunnel")
        # a refusal has none of the fields
        self._write(TUNNEL_RESPONSE, struct.pack("<HIHH", 1, code, 0 if code else 3, 0) + (b"" if code else struct.pack("<I", 5) + capabilities))
        if code:
            return None
        say(f"client {text(self._expect(AUTHORIZATION)[2:])}")
        code = self._refused("authorization")
        self._write(AUTHORIZATION_RESPONSE, struct.pack("<IHH", code, 0 if code else 3, 0) + (b"" if code else struct.pack("<II", 0x80000000, 0)))
        if code:
            return None
        return self._channel(self._expect(CHANNEL))

    def _channel(self, body):
        (port,) = struct.unpack_from("<H", body, 2)
        say(f"channel to {text(body[6:])} port {port}")
        code, host = self._refused("channel"), None
        if not code:
            try:
                host = socket.create_connection((self._options.host, port), 5)
                host.settimeout(None)
            except OSError as error:
                say(f"host not reached: {error.strerror}")
                code = CONNECT_FAILED
        self._write(CHANNEL_RESPONSE, struct.pack("<IHH", code, 0 if code else 1, 0) + (b"" if code else struct.pack("<I", 1)))
        return host

    def _relay(self, host):
        """Both directions in one thread: a TLS connection of OpenSSL is not for two."""
        receive, closing = self._transport.receives, False
        wait = self._options.keep_alive or TIME_LIMIT
        try:
            while True:
                ready = [receive] if self._transport.holds() else select.select([receive] if closing else [receive, host], [], [], wait)[0]
                if not ready and closing:
                    return
                if not ready and self._options.keep_alive:
                    self._write(KEEP_ALIVE, b"")
                if host in ready:
                    closing = not self._from_host(host)
                if receive in ready and self._from_client(host):
                    return
        finally:
            host.close()

    def _from_host(self, host):
        """False when the host has closed; the client is told."""
        try:
            got = host.recv(16384)
        except OSError:
            got = b""
        if got:
            self._write(DATA, struct.pack("<H", len(got)) + got)
            return True
        say("the host closed")
        self._write(CLOSE, struct.pack("<I", GRACEFUL_DISCONNECT))
        return False

    def _from_client(self, host):
        """True when the client has closed the channel, or agreed that it is."""
        kind, body = read_packet(self._transport)
        if kind == DATA:
            host.sendall(body[2:2 + struct.unpack_from("<H", body)[0]])
        elif kind == CLOSE:
            self._write(CLOSE_RESPONSE, struct.pack("<I", 0))
            say("the client closed the channel")
        elif kind == CLOSE_RESPONSE:
            say("the client answered the close")
        return kind in (CLOSE, CLOSE_RESPONSE)


# ---- connections --------------------------------------------------------------------------------------------------

class Gateway:
    """Brings the two connections of a client together by the id that it gave both."""

    def __init__(self, options, nt_hash):
        self._options, self._nt_hash = options, nt_hash
        self._waiting, self._lock = {}, threading.Lock()

    def serve(self, stream):
        try:
            self._serve(stream)
        except (EOFError, OSError, ValueError) as error:
            say(f"connection ended: {error}")

    def _serve(self, stream):
        account = Account(self._nt_hash)
        while True:
            request = Request(stream)
            say(f"{request.method} from {request.get('user-agent')}{' for a WebSocket' if request.wants_websocket() else ''}")
            if self._options.status:
                answer(stream, self._options.status, "Content-Length: 0")
                continue
            if not account.check(stream, request):
                continue
            if request.wants_websocket():
                key = request.get("sec-websocket-key") + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
                accept = base64.b64encode(hashlib.sha1(key.encode()).digest()).decode()
                answer(stream, 101, "Upgrade: websocket", "Connection: Upgrade", f"Sec-WebSocket-Accept: {accept}")
                Tunnel(WebSocket(stream), self._options).run()
                return
            if request.method == "RDG_OUT_DATA":
                self._send_here(stream, request)
                return
            if request.is_chunked():
                self._receive_here(stream, request)
                return
            answer(stream, 200, "Content-Length: 0")

    def _send_here(self, stream, request):
        """The answer without an end, whose first bytes are random (3.3.5.1)."""
        chunked, seed = self._options.chunked, os.urandom(10)
        body = b"%x\r\n%s\r\n" % (len(seed), seed) if chunked else seed
        with self._lock:
            self._waiting[request.get("rdg-connection-id")] = stream
        answer(stream, 200, "Content-Type: application/octet-stream", *("Transfer-Encoding: chunked",) * chunked, body=body)

    def _receive_here(self, stream, request):
        with self._lock:
            send = self._waiting.pop(request.get("rdg-connection-id"), None)
        if send is None:
            answer(stream, 404, "Content-Length: 0")
            return
        Tunnel(Channels(stream, send, self._options.chunked), self._options).run()


def main():
    parser = argparse.ArgumentParser()
    for name in ("cert", "key", "sam", "host"):
        parser.add_argument(f"--{name}", required=True)
    parser.add_argument("--tls", choices=("1.2", "1.3"), default="1.3")
    parser.add_argument("--suites")
    parser.add_argument("--chunked", action="store_true")
    parser.add_argument("--refuse")
    parser.add_argument("--status", type=int, default=0)
    parser.add_argument("--keep-alive", type=float, default=0)
    options = parser.parse_args()
    nt_hash = bytes.fromhex(pathlib.Path(options.sam).read_text().splitlines()[0].split(":")[3])
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(options.cert, options.key)
    context.maximum_version = {"1.2": ssl.TLSVersion.TLSv1_2, "1.3": ssl.TLSVersion.TLSv1_3}[options.tls]
    if options.suites:
        context.set_ciphers(options.suites)
    gateway = Gateway(options, nt_hash)
    listener = socket.create_server(("0.0.0.0", 443))
    say("ready")
    while True:
        connection, _ = listener.accept()
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        connection.settimeout(TIME_LIMIT)
        threading.Thread(target=greet, args=(gateway, context, connection), daemon=True).start()


def greet(gateway, context, connection):
    try:
        gateway.serve(context.wrap_socket(connection, server_side=True))
    except OSError as error:
        say(f"TLS: {error}")


if __name__ == "__main__":
    main()
