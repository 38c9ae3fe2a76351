"""Packet capture at both ends with tcpdump, and questions to tshark about what was captured."""
import re
import shutil
import signal
import struct
import time

from .children import run

LINGER = 0.4  # seconds after the client's end in which the last packets still arrive


class Capture:
    """tcpdump on one interface. A plain .pcap has no room for a description of the machine, so that is what is written."""

    def __init__(self, lab, side, path, more=()):
        interface = {"client": "c0", "server": "s0"}[side]
        # without --immediate-mode the last packets stay in the kernel's buffer
        command = ["tcpdump", "-n", "-Z", "root", "-i", interface, "--immediate-mode", "-U", "-w", str(path), *more]
        self.path = path
        self._child = lab.start(side, f"tcpdump-{side}.log", *command)
        self._child.wait_for("listening on", 5)

    def stop(self):
        time.sleep(LINGER)
        self._child.stop(signal.SIGINT)
        lost = re.search(r"(\d+) packets dropped by kernel", self._child.text())
        if not lost or int(lost[1]):
            raise RuntimeError(f"{self.path.name}: tcpdump lost packets or said nothing: {self._child.text()[-200:]}")


def packet_count(path):
    """Number of packets in a little-endian classic pcap, which is what tcpdump writes here."""
    data, at, count = path.read_bytes(), 24, 0
    while at + 16 <= len(data):
        at += 16 + struct.unpack_from("<I", data, at + 8)[0]
        count += 1
    return count


def tshark_available():
    return shutil.which("tshark") is not None


def matching_frames(path, display_filter, keys=None):
    """Numbers of the frames that match a display filter, decrypted where `keys` has the secrets.

    tshark reads port 3389 as TPKT, and then does not see the TLS of a direct connection, or as TLS, and then does not see
    the negotiation before it. Both are asked.
    """
    frames = set()
    for protocol in ("tpkt", "tls"):
        command = ["tshark", "-n", "-r", str(path), "-d", f"tcp.port==3389,{protocol}", "-Y", display_filter, "-T", "fields", "-e", "frame.number"]
        if keys is not None and keys.exists():
            command += ["-o", f"tls.keylog_file:{keys}"]
        frames.update(int(line) for line in run(*command, seconds=60).split())
    return sorted(frames)
