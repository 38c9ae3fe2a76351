"""Listeners that are no RDP server, or one that misbehaves early: odd_server.py MODE [PORT]

silent          accepts, reads, never answers
fin-after-cr    closes when the X.224 connection request has come
ssh             greets with an SSH banner, as a wrongly forwarded port does
alert-80        selects TLS, then answers the ClientHello with the fatal alert internal_error
accept          accepts and closes once the client closes; something that is simply there
"""
import socket
import struct
import sys

SELECT_TLS = struct.pack(">BBHBBHHB", 3, 0, 19, 14, 0xD0, 0, 0x1234, 0) + struct.pack("<BBHI", 2, 0, 8, 1)
ALERT_INTERNAL_ERROR = bytes.fromhex("15030300020250")
TIME_LIMIT = 30  # seconds for any single wait on the client


def drain(connection):
    while connection.recv(4096):
        pass


def silent(connection):
    drain(connection)


def fin_after_cr(connection):
    connection.recv(4096)


def ssh(connection):
    connection.sendall(b"SSH-2.0-OpenSSH_9.2p1\r\n")
    connection.recv(4096)
    # sshd answers a line that is no identification with this one, then hangs up
    connection.sendall(b"Invalid SSH identification string.\r\n")


def alert_80(connection):
    connection.recv(4096)
    connection.sendall(SELECT_TLS)
    hello = connection.recv(4096)
    print(f"got a TLS record of type {hello[0] if hello else None}", flush=True)
    connection.sendall(ALERT_INTERNAL_ERROR)
    connection.shutdown(socket.SHUT_WR)
    drain(connection)


MODES = {"silent": silent, "fin-after-cr": fin_after_cr, "ssh": ssh, "alert-80": alert_80, "accept": drain}


def main():
    act = MODES[sys.argv[1]]
    port = int(sys.argv[2]) if len(sys.argv) > 2 else 3389
    with socket.create_server(("0.0.0.0", port)) as listener:
        print("ready", flush=True)
        while True:
            connection, _ = listener.accept()
            with connection:
                connection.settimeout(TIME_LIMIT)
                try:
                    act(connection)
                except OSError as error:
                    print(f"connection ended: {error}", flush=True)


if __name__ == "__main__":
    main()
