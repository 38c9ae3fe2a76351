"""The server's half of Network Level Authentication (MS-CSSP with NTLMv2, MS-NLMP), for the scripted RDP server.

It checks the password for real and speaks CredSSP version 6, so it refuses as Windows does: with a TSRequest that holds an
NTSTATUS. FreeRDP's own server of version 2 only hangs up. It can also refuse a right password with any other status.
"""
import hashlib
import hmac
import os
import struct
import time

VERSION = 6
STATUS_LOGON_FAILURE = 0xC000006D
UNICODE, TARGET, SIGN, SEAL, NTLM, ALWAYS_SIGN, TARGET_DOMAIN, EXTENDED, INFO, WITH_VERSION, KEY_128, KEY_EXCHANGE, KEY_56 = (
    1 << bit for bit in (0, 2, 4, 5, 9, 15, 16, 19, 23, 25, 29, 30, 31))
CHALLENGE_FLAGS = (UNICODE | TARGET | SIGN | SEAL | NTLM | ALWAYS_SIGN | TARGET_DOMAIN | EXTENDED | INFO | WITH_VERSION
                   | KEY_128 | KEY_EXCHANGE | KEY_56)
BUILD_17763 = bytes([10, 0]) + struct.pack("<H", 17763) + bytes([0, 0, 0, 15])


class Refused(Exception):
    """The client's credentials were refused; the TSRequest that says so has been sent."""


# ---- DER ----------------------------------------------------------------------------------------------------------

def tlv(tag, body):
    n = len(body)
    length = bytes([n]) if n < 0x80 else bytes([0x81, n]) if n < 0x100 else struct.pack(">BH", 0x82, n)
    return bytes([tag]) + length + body


def elements(body):
    """The elements of a constructed DER value, as {tag: content}."""
    found, at = {}, 0
    while at < len(body):
        tag, length, at = body[at], body[at + 1], at + 2
        if length & 0x80:
            size = length & 0x7F
            length, at = int.from_bytes(body[at:at + size], "big"), at + size
        found[tag] = body[at:at + length]
        at += length
    return found


def read_der(stream):
    """One DER element from the stream, whole."""
    got = b""
    while True:
        more = stream.recv(65536)
        if not more:
            raise EOFError("the client closed the connection during CredSSP")
        got += more
        if len(got) < 6:
            continue
        head, length = 2, got[1]
        if length & 0x80:
            head += length & 0x7F
            length = int.from_bytes(got[2:head], "big")
        if len(got) >= head + length:
            return got


def read_request(stream):
    """A TSRequest (MS-CSSP 2.2.1) as {field number: content}."""
    fields = elements(elements(read_der(stream))[0x30])
    return {tag & 0x1F: body for tag, body in fields.items()}


def request(token=None, public_key=None, error=None):
    body = tlv(0xA0, tlv(0x02, bytes([VERSION])))
    if token is not None:
        body += tlv(0xA1, tlv(0x30, tlv(0x30, tlv(0xA0, tlv(0x04, token)))))
    if public_key is not None:
        body += tlv(0xA3, tlv(0x04, public_key))
    if error is not None:
        body += tlv(0xA4, tlv(0x02, struct.pack(">I", error)))
    return tlv(0x30, body)


def token_of(fields):
    """The NTLM message inside negoTokens."""
    item = elements(elements(fields[1])[0x30])[0x30]
    return elements(elements(item)[0xA0])[0x04]


def octets(body):
    return elements(body)[0x04]


# ---- NTLM ---------------------------------------------------------------------------------------------------------

class Rc4:
    """RC4 with its state kept from message to message, as NTLM wants it; OpenSSL 3 no longer gives it by default."""

    def __init__(self, key):
        self._box, self._i, self._j = list(range(256)), 0, 0
        j = 0
        for i in range(256):
            j = (j + self._box[i] + key[i % len(key)]) % 256
            self._box[i], self._box[j] = self._box[j], self._box[i]

    def crypt(self, data):
        box, out = self._box, bytearray()
        for byte in data:
            self._i = (self._i + 1) % 256
            self._j = (self._j + box[self._i]) % 256
            box[self._i], box[self._j] = box[self._j], box[self._i]
            out.append(byte ^ box[(box[self._i] + box[self._j]) % 256])
        return bytes(out)


class Sealing:
    """One direction of NTLM message sealing with extended session security (MS-NLMP 3.4)."""

    def __init__(self, session_key, direction):
        def key(use):
            return hashlib.md5(session_key + f"session key to {direction} {use} key magic constant".encode() + b"\0").digest()
        self._sign, self._cipher, self._number = key("signing"), Rc4(key("sealing")), 0

    def _signature(self, message):
        checksum = hmac.digest(self._sign, struct.pack("<I", self._number) + message, "md5")[:8]
        number, self._number = self._number, self._number + 1
        return struct.pack("<I", 1) + self._cipher.crypt(checksum) + struct.pack("<I", number)

    def seal(self, message):
        sealed = self._cipher.crypt(message)
        return self._signature(message) + sealed

    def unseal(self, data):
        message = self._cipher.crypt(data[16:])
        if self._signature(message) != data[:16]:
            raise ValueError("a sealed NTLM message has a wrong signature")
        return message


def md5_mac(key, data):
    return hmac.digest(key, data, "md5")


def utf16(text):
    return text.encode("utf-16-le")


def challenge(server_challenge, domain, computer, dns_domain):
    """NTLM CHALLENGE_MESSAGE (MS-NLMP 2.2.1.2)."""
    names = ((2, domain), (1, computer), (4, dns_domain), (3, f"{computer.lower()}.{dns_domain}"))
    info = b"".join(struct.pack("<HH", kind, len(utf16(name))) + utf16(name) for kind, name in names)
    info += struct.pack("<HHQ", 7, 8, int((time.time() + 11644473600) * 10_000_000)) + bytes(4)
    target = utf16(domain)
    return (b"NTLMSSP\0" + struct.pack("<IHHII", 2, len(target), len(target), 56, CHALLENGE_FLAGS) + server_challenge + bytes(8)
            + struct.pack("<HHI", len(info), len(info), 56 + len(target)) + BUILD_17763 + target + info)


def authenticate_field(message, at):
    length, _room, offset = struct.unpack_from("<HHI", message, at)
    return message[offset:offset + length]


def session_key(message, server_challenge, nt_hash):
    """Checks an AUTHENTICATE_MESSAGE (2.2.1.3) with NTLMv2; the exported session key, or None for a wrong password."""
    response, domain, user, sealed_key = (authenticate_field(message, at) for at in (20, 28, 36, 52))
    key = md5_mac(nt_hash, utf16(user.decode("utf-16-le").upper()) + domain)
    proof, rest = response[:16], response[16:]
    if md5_mac(key, server_challenge + rest) != proof:
        return None
    base = md5_mac(key, proof)
    (flags,) = struct.unpack_from("<I", message, 60)
    return Rc4(base).crypt(sealed_key) if flags & KEY_EXCHANGE else base


# ---- CredSSP ------------------------------------------------------------------------------------------------------

def binding(direction, nonce, public_key):
    """The hash that ties the authentication to the TLS connection (MS-CSSP 3.1.5, version 5 and later)."""
    return hashlib.sha256(f"CredSSP {direction} Binding Hash".encode() + b"\0" + nonce + public_key).digest()


def accept(stream, nt_hash, public_key, status, names, say):
    """Authenticates the client on `stream`. `status`: refuse even a right password with this NTSTATUS (0: do not)."""
    read_request(stream)
    server_challenge = os.urandom(8)
    stream.sendall(request(token=challenge(server_challenge, *names)))
    fields = read_request(stream)
    key = session_key(token_of(fields), server_challenge, nt_hash)
    status = STATUS_LOGON_FAILURE if key is None else status
    say("password wrong" if key is None else "password right")
    if status:
        stream.sendall(request(error=status))
        say(f"refused with 0x{status:08X}")
        raise Refused
    from_client, to_client = Sealing(key, "client-to-server"), Sealing(key, "server-to-client")
    nonce = octets(fields[5])
    if from_client.unseal(octets(fields[3])) != binding("Client-To-Server", nonce, public_key):
        raise ValueError("the client's public key binding is for another TLS connection")
    stream.sendall(request(public_key=to_client.seal(binding("Server-To-Client", nonce, public_key))))
    from_client.unseal(octets(read_request(stream)[2]))
    say("credentials received")
