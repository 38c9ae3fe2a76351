"""A scripted RDP server that refuses, or ends the connection with a Set Error Info PDU of any code, at a chosen point.

No free RDP server can be told to refuse like Windows does ("0x3 / extended 0x7"), so this one walks a real client
through X.224, TLS, NLA if asked, MCS, client info, licensing and, if asked, capabilities, then sends the code and hangs up.
Sections below are those of MS-RDPBCGR. Nothing is drawn: the desktop stays black.

    scripted_server.py --cert C --key K --error 0x7 --after licensing [--nla SAM_FILE] [--hold SECONDS] [--tls 1.0|1.1|1.2|1.3] [--suites LIST]
"""
import argparse
import pathlib
import socket
import ssl
import struct
import subprocess
import time

import scripted_nla

PROTOCOL_SSL, PROTOCOL_HYBRID = 1, 2
IO_CHANNEL = 1003
USER_CHANNEL = 1007
SERVER_CHANNEL = 1002
SHARE_ID = 0x000103EA
STATUS_VALID_CLIENT = 7
TIME_LIMIT = 20  # seconds for any single wait on the client

PDU_DEMAND_ACTIVE = 0x11
PDU_DATA = 0x17
DATA_CONTROL = 0x14
DATA_SYNCHRONIZE = 0x1F
DATA_SAVE_SESSION_INFO = 0x26
DATA_FONT_LIST = 0x27
DATA_FONT_MAP = 0x28
DATA_SET_ERROR_INFO = 0x2F


# ---- framing ------------------------------------------------------------------------------------------------------

def tpkt(body):
    """TPKT header (RFC 1006) in front of an X.224 TPDU."""
    return struct.pack(">BBH", 3, 0, len(body) + 4) + body


def x224_data(mcs):
    """X.224 data TPDU, as every MCS PDU travels."""
    return tpkt(b"\x02\xf0\x80" + mcs)


def per_length(n):
    """Length determinant of aligned PER."""
    return bytes([n]) if n < 0x80 else struct.pack(">H", 0x8000 | n)


def ber(tag, body):
    """One BER element; `tag` is given as bytes because MCS uses two-byte application tags."""
    n = len(body)
    length = bytes([n]) if n < 0x80 else struct.pack(">BB", 0x81, n) if n < 0x100 else struct.pack(">BH", 0x82, n)
    return tag + length + body


def read_exactly(stream, n):
    got = b""
    while len(got) < n:
        more = stream.recv(n - len(got))
        if not more:
            raise EOFError("the client closed the connection")
        got += more
    return got


def read_tpkt(stream):
    """Reads one PDU and returns it without its TPKT header; fast-path input (2.2.8.1.2) is read and skipped."""
    while True:
        first, second = read_exactly(stream, 2)
        if first == 3:
            (length,) = struct.unpack(">H", read_exactly(stream, 2))
            return read_exactly(stream, length - 4)
        if second & 0x80:
            length = (second & 0x7F) << 8 | read_exactly(stream, 1)[0]
            read_exactly(stream, length - 3)
        else:
            read_exactly(stream, second - 2)


# ---- what the client sends ----------------------------------------------------------------------------------------

def requested_protocols(request):
    """requestedProtocols of RDP_NEG_REQ (2.2.1.1.1), the last eight bytes of the connection request."""
    kind, _flags, length, protocols = struct.unpack("<BBHI", request[-8:])
    return protocols if (kind, length) == (1, 8) else 0


def static_channel_count(connect_initial):
    """Number of static channels the client asks for (CS_NET, 2.2.1.3.4), found by walking the GCC user data."""
    at = connect_initial.index(b"Duca") + 4
    at += 2 if connect_initial[at] & 0x80 else 1
    while at + 4 <= len(connect_initial):
        kind, length = struct.unpack_from("<HH", connect_initial, at)
        if kind == 0xC003:
            return struct.unpack_from("<I", connect_initial, at + 4)[0]
        if length < 4:
            break
        at += length
    return 0


def data_pdu_type(pdu):
    """pduType2 of a client's share data PDU, or None for any other PDU."""
    if len(pdu) < 12 or pdu[3] != 0x64:
        return None
    share = pdu[11:] if pdu[9] & 0x80 else pdu[10:]
    if len(share) < 15 or struct.unpack_from("<H", share, 2)[0] != PDU_DATA:
        return None
    return share[14]


# ---- what the server sends ----------------------------------------------------------------------------------------

def connection_confirm(protocol):
    """X.224 connection confirm with RDP_NEG_RSP (2.2.1.2.1)."""
    return tpkt(struct.pack(">BBHHB", 14, 0xD0, 0, 0x1234, 0) + struct.pack("<BBHI", 2, 1, 8, protocol))


def connect_response(protocols, channel_count):
    """MCS connect response with the GCC conference create response (2.2.1.4) and its three server blocks."""
    core = struct.pack("<HHIII", 0x0C01, 16, 0x00080004, protocols, 0)
    security = struct.pack("<HHII", 0x0C02, 12, 0, 0)
    ids = [IO_CHANNEL + 1 + i for i in range(channel_count)]
    net_body = struct.pack("<HH", IO_CHANNEL, channel_count) + b"".join(struct.pack("<H", i) for i in ids)
    net_body += b"\0\0" * (channel_count % 2)
    net = struct.pack("<HH", 0x0C03, 4 + len(net_body)) + net_body
    blocks = core + security + net
    conference = bytes.fromhex("14760a01010001c0004d63446e") + per_length(len(blocks)) + blocks
    gcc = bytes.fromhex("000500147c0001") + per_length(len(conference)) + conference
    parameters = [34, 3, 0, 1, 0, 1, 0xFFF8, 2]
    domain = b"".join(ber(b"\x02", v.to_bytes(3, "big") if v > 0x7F else bytes([v])) for v in parameters)
    body = ber(b"\x0a", b"\0") + ber(b"\x02", b"\0") + ber(b"\x30", domain) + ber(b"\x04", gcc)
    return x224_data(ber(b"\x7f\x66", body))


def attach_user_confirm():
    return x224_data(struct.pack(">BBH", 0x2E, 0, USER_CHANNEL - 1001))


def channel_join_confirm(channel):
    return x224_data(struct.pack(">BBHHH", 0x3E, 0, USER_CHANNEL - 1001, channel, channel))


def to_client(payload):
    """MCS send data indication on the I/O channel."""
    return x224_data(struct.pack(">BHHB", 0x68, SERVER_CHANNEL - 1001, IO_CHANNEL, 0x70) + per_length(len(payload)) + payload)


def license_error(code):
    """Server license error PDU (2.2.1.12.1.3). STATUS_VALID_CLIENT says "no licence needed, go on"; others end it all."""
    transition = 2 if code == STATUS_VALID_CLIENT else 1
    return to_client(struct.pack("<HHBBHIIHH", 0x0080, 0, 0xFF, 3, 16, code, transition, 4, 0))


def share_control(kind, body):
    """Share control header (2.2.8.1.1.1.1)."""
    return struct.pack("<HHH", len(body) + 6, kind, SERVER_CHANNEL) + body


def share_data(kind, body):
    """Share data header (2.2.8.1.1.1.2), never compressed."""
    header = struct.pack("<IBBHBBH", SHARE_ID, 0, 1, len(body) + 4, kind, 0, 0)
    return to_client(share_control(PDU_DATA, header + body))


def demand_active():
    """Demand active PDU (2.2.1.13.1) with the capability sets a client insists on."""
    def capability(kind, body):
        return struct.pack("<HH", kind, len(body) + 4) + body

    sets = [
        capability(9, struct.pack("<HH", SERVER_CHANNEL, 0)),
        capability(1, struct.pack("<9H2B", 1, 3, 0x0200, 0, 0, 0x041D, 0, 0, 0, 1, 1)),
        capability(20, struct.pack("<II", 0, 1600)),
        capability(14, struct.pack("<HH", 1, 0)),
        capability(2, struct.pack("<8HH2BHH", 16, 1, 1, 1, 640, 480, 0, 1, 1, 0, 0, 1, 0)),
        capability(3, bytes(20) + struct.pack("<6H", 1, 20, 0, 1, 0, 0x2A) + bytes(32) + struct.pack("<HHIIHHHH", 0, 0, 0, 230400, 0, 0, 0, 0)),
        capability(8, struct.pack("<HHH", 1, 25, 25)),
        capability(13, struct.pack("<HHIIII", 0x35, 0, 0, 0, 0, 0) + bytes(64)),
    ]
    combined = struct.pack("<HH", len(sets), 0) + b"".join(sets)
    body = struct.pack("<IHH", SHARE_ID, 4, len(combined)) + b"RDP\0" + combined + struct.pack("<I", 0)
    return to_client(share_control(PDU_DEMAND_ACTIVE, body))


def finalization():
    """Synchronize, control cooperate, control granted, font map (2.2.1.19 to 2.2.1.22)."""
    return [
        share_data(DATA_SYNCHRONIZE, struct.pack("<HH", 1, SERVER_CHANNEL)),
        share_data(DATA_CONTROL, struct.pack("<HHI", 4, 0, 0)),
        share_data(DATA_CONTROL, struct.pack("<HHI", 2, USER_CHANNEL, SERVER_CHANNEL)),
        share_data(DATA_FONT_MAP, struct.pack("<HHHH", 0, 0, 3, 4)),
    ]


def logon_notify():
    """Save session info, "plain notify" (2.2.10.1.1.3): a user has logged on."""
    return share_data(DATA_SAVE_SESSION_INFO, struct.pack("<I", 2) + bytes(576))


def set_error_info(code):
    """Set error info PDU (2.2.5.1.1): 36 bytes, the code in the last four."""
    return share_data(DATA_SET_ERROR_INFO, struct.pack("<I", code))


def disconnect_provider_ultimatum():
    """MCS disconnect provider ultimatum, reason rn-provider-initiated."""
    return x224_data(b"\x20\x80")


# ---- the script ---------------------------------------------------------------------------------------------------

def negotiate(connection, nla):
    """Answers the connection request; gives the protocols the client asked for, which are repeated in the GCC core data."""
    asked = requested_protocols(read_tpkt(connection))
    connection.sendall(connection_confirm(PROTOCOL_HYBRID if nla else PROTOCOL_SSL))
    return asked


def authenticate(stream, options):
    account = pathlib.Path(options.nla).read_text().split(":")
    public_key = subprocess.run(
        ["openssl", "rsa", "-in", options.key, "-RSAPublicKey_out", "-outform", "DER"], capture_output=True, check=True).stdout
    names = (options.domain, socket.gethostname(), "lab.test")
    scripted_nla.accept(stream, bytes.fromhex(account[3]), public_key, options.status, names, say)


def join_channels(stream, protocols):
    """From MCS connect initial up to the client info PDU, which is the first send data request."""
    stream.sendall(connect_response(protocols, static_channel_count(read_tpkt(stream))))
    while True:
        pdu = read_tpkt(stream)
        kind = pdu[3] >> 2
        if kind == 10:
            stream.sendall(attach_user_confirm())
        elif kind == 14:
            stream.sendall(channel_join_confirm(struct.unpack_from(">H", pdu, 6)[0]))
        elif kind == 25:
            return


def activate(stream):
    """Capabilities and finalisation; done when the client's font list has been answered."""
    stream.sendall(demand_active())
    while data_pdu_type(read_tpkt(stream)) != DATA_FONT_LIST:
        pass
    for pdu in finalization():
        stream.sendall(pdu)


def hold(stream, seconds):
    """Keeps the session open, taking whatever the client sends, so that no unread data turns the close into a reset."""
    end = time.monotonic() + seconds
    while (left := end - time.monotonic()) > 0:
        stream.settimeout(left)
        try:
            if not stream.recv(65536):
                raise EOFError("the client left early")
        except TimeoutError:
            break
    stream.settimeout(TIME_LIMIT)


def serve(connection, tls, options):
    connection.settimeout(TIME_LIMIT)
    asked = negotiate(connection, options.nla)
    with tls.wrap_socket(connection, server_side=True) as stream:
        say(f"TLS handshake done: {stream.version()}")
        try:
            if options.nla:
                authenticate(stream, options)
            join_channels(stream, asked)
            say("client info received")
            end_session(stream, options)
        except scripted_nla.Refused:
            pass
        hold(stream, 0.5)


def end_session(stream, options):
    """From licensing to the disconnect, as far as the options say."""
    stream.sendall(license_error(options.license))
    if options.license != STATUS_VALID_CLIENT:
        say(f"sent license error 0x{options.license:08X}")
        return
    if options.after != "licensing":
        activate(stream)
        say("finalisation done")
    if options.after == "logon":
        stream.sendall(logon_notify())
    hold(stream, options.hold)
    if options.error is not None:
        stream.sendall(set_error_info(options.error))
        say(f"sent Set Error Info 0x{options.error:08X} after {options.after}")
    stream.sendall(disconnect_provider_ultimatum())


def say(text):
    print(text, flush=True)


VERSIONS = {"1.0": ssl.TLSVersion.TLSv1, "1.1": ssl.TLSVersion.TLSv1_1, "1.2": ssl.TLSVersion.TLSv1_2}


def tls_context(options):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(options.cert, options.key)
    if options.tls != "1.3":
        context.minimum_version = context.maximum_version = VERSIONS[options.tls]
    if options.suites:
        context.set_ciphers(options.suites)
    if options.keys:
        context.keylog_filename = options.keys
    return context


def number(text):
    return int(text, 0)


def arguments():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--port", type=int, default=3389)
    parser.add_argument("--cert", required=True)
    parser.add_argument("--key", required=True)
    parser.add_argument("--keys", help="write TLS secrets here")
    parser.add_argument("--tls", choices=["1.3", *VERSIONS], default="1.3", help="highest TLS version")
    parser.add_argument("--suites", help="cipher suites up to TLS 1.2, as OpenSSL writes them")
    parser.add_argument("--nla", metavar="SAM_FILE", help="authenticate the one account in this file before the session")
    parser.add_argument("--domain", default="LAB", help="the server's NetBIOS domain")
    parser.add_argument("--status", type=number, default=0, help="NTSTATUS to refuse a right password with")
    parser.add_argument("--license", type=number, default=STATUS_VALID_CLIENT, help="dwErrorCode of the licensing answer")
    parser.add_argument("--error", type=number, help="errorInfo code; none: end without one")
    parser.add_argument("--after", choices=["licensing", "finalisation", "logon"], default="licensing")
    parser.add_argument("--hold", type=float, default=0.2, help="seconds between that point and the error")
    return parser.parse_args()


def main():
    options = arguments()
    tls = tls_context(options)
    with socket.create_server(("0.0.0.0", options.port)) as listener:
        say("ready")
        while True:
            connection, _ = listener.accept()
            try:
                serve(connection, tls, options)
            except (OSError, EOFError, ValueError) as error:
                say(f"connection ended: {error}")
            finally:
                connection.close()


if __name__ == "__main__":
    main()
