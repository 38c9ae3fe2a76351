"""An RDP client up to TLS that verifies the server's certificate: tls_client.py ADDRESS NAME CA_FILE [--tls 1.2] [--keys FILE]

xfreerdp does not send the alert certificate_expired (it completes the handshake and leaves), mstsc asks the user first.
A client that refuses during the handshake, as OpenSSL with verification does, therefore needs a program of its own.
Exit status 1 and the reason on stdout when the handshake fails.
"""
import argparse
import socket
import ssl
import struct
import sys

TIME_LIMIT = 10


def connection_request(user):
    """X.224 connection request with cookie and RDP_NEG_REQ asking for TLS (MS-RDPBCGR 2.2.1.1)."""
    variable = f"Cookie: mstshash={user}\r\n".encode() + struct.pack("<BBHI", 1, 0, 8, 1)
    return struct.pack(">BBHBBHHB", 3, 0, 11 + len(variable), 6 + len(variable), 0xE0, 0, 0, 0) + variable


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("address")
    parser.add_argument("name")
    parser.add_argument("ca_file")
    parser.add_argument("--tls", choices=["1.2", "1.3"], default="1.3", help="highest TLS version")
    parser.add_argument("--keys")
    options = parser.parse_args()
    context = ssl.create_default_context(cafile=options.ca_file)
    if options.tls == "1.2":
        context.maximum_version = ssl.TLSVersion.TLSv1_2
    if options.keys:
        context.keylog_filename = options.keys
    with socket.create_connection((options.address, 3389), TIME_LIMIT) as connection:
        connection.sendall(connection_request("alice"))
        answer = connection.recv(4096)
        print("connection confirm:", answer.hex(), flush=True)
        try:
            with context.wrap_socket(connection, server_hostname=options.name) as stream:
                print("TLS handshake done:", stream.version(), flush=True)
        except ssl.SSLError as error:
            print("TLS handshake failed:", getattr(error, "verify_message", None) or error.reason, flush=True)
            sys.exit(1)


if __name__ == "__main__":
    main()
