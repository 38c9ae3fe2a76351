"""A case: who talks to whom, what goes wrong, what is expected of an analyser, and proof that it really happened."""
import dataclasses
import json
import os
import pathlib
import re
import shutil
import tempfile
import time
from typing import Callable

from .capture import Capture, matching_frames, packet_count, tshark_available
from .children import Child, run
from .network import Network


@dataclasses.dataclass(frozen=True)
class Says:
    """Proof: a line of the client's or the server's log matches. Lines asked for with `quote` go into expect.json."""
    side: str
    pattern: str
    quote: bool = False


@dataclasses.dataclass(frozen=True)
class Frames:
    """Proof: so many frames of a capture match a display filter (`least` to `most`)."""
    capture: str
    display_filter: str
    least: int = 1
    most: int | None = None


@dataclasses.dataclass(frozen=True)
class Exit:
    """Proof: the client's exit status, or "stopped" for one that was ended while it worked."""
    status: int | str


@dataclasses.dataclass(frozen=True)
class Case:
    """One capture to be made. `expect` has the shape that judge.py of the corpus reads."""
    name: str
    done: str
    cause: str
    server: Callable
    client: Callable
    expect: dict
    proof: tuple = ()
    fault: Callable = lambda network: None
    # more tcpdump arguments at the client: for captures that lack something on purpose
    client_capture: tuple = ()
    beside: tuple = ()  # further servers


class Lab:
    """A running case: its namespaces, folders, children. Everything started through it ends with it."""

    def __init__(self, case, network, work, out, shared):
        self.case, self.network, self.work = case, network, work
        self.authority, self.displays, self._shim = shared.authority, shared.displays, shared.shim
        self._certificates = shared.certificates
        self.keys = out / "keys.log"
        self.children = []

    def certificate(self, label):
        return self._certificates[label]

    def start(self, side, log, *command, display=None, keys=False, openssl=None):
        # nothing of the machine's own environment, and a home that is empty at every start
        home = self.work / f"{side}-home"
        home.mkdir(exist_ok=True)
        environment = {"PATH": os.environ["PATH"], "HOME": str(home), "LANG": "C.UTF-8", "TZ": "UTC", "PYTHONDONTWRITEBYTECODE": "1"}
        if display:
            environment["DISPLAY"] = self.displays[display]
        preload = {}
        if keys and self._shim:
            preload = {"LD_PRELOAD": str(self._shim), "SSLKEYLOGFILE": str(self.keys)}
        if openssl:
            preload["OPENSSL_CONF"] = str(openssl)
        # set by env(1) at the end of the chain: the tools on the way (ip, unshare) must not load the shim
        line = ["env", *(f"{name}={value}" for name, value in preload.items()), *command]
        child = Child(self.network.inside(side, *line), self.work / log, environment)
        self.children.append(child)
        return child

    def wait_for_listener(self, child, seconds=10):
        """Waits for a server whose log does not say when it listens."""
        end = time.monotonic() + seconds
        while child.process.poll() is None and time.monotonic() < end:
            if run("ip", "netns", "exec", self.network.spaces["server"], "ss", "-Hltn", "sport = :3389").strip():
                return
            time.sleep(0.1)
        raise RuntimeError(f"the server does not listen: {child.text()[-400:]}")

    def stop(self):
        for child in reversed(self.children):
            child.stop()


def perform(case, shared, out):
    """Makes one case; gives the list of proofs that failed."""
    shutil.rmtree(out, ignore_errors=True)
    out.mkdir(parents=True)
    with tempfile.TemporaryDirectory(prefix="rdplab-") as folder, Network() as network:
        lab = Lab(case, network, pathlib.Path(folder), out, shared)
        captures = []
        try:
            for server in (case.server, *case.beside):
                server(lab)
            case.fault(network)
            for side, more in (("server", ()), ("client", case.client_capture)):
                captures.append(Capture(lab, side, out / f"{side}.pcap", more))
            status = case.client(lab)
            for capture in captures:
                capture.stop()
        finally:
            lab.stop()
        logs = {side: read_logs(lab.work, side) for side in ("client", "server")}
    failures = [words for proof in case.proof if (words := missing(proof, status, logs, out))]
    if not failures:
        write_expectation(case, logs, out)
    else:
        for side, text in logs.items():
            (out / f"{side}.log").write_text(text)
    return failures


def read_logs(folder, side):
    return "".join(path.read_text(errors="replace") for path in sorted(folder.glob(f"{side}*.log")))


def missing(proof, status, logs, out):
    """What speaks against a proof, or an empty string."""
    if isinstance(proof, Exit):
        return "" if status == proof.status else f"the client's exit status is {status}, not {proof.status}"
    if isinstance(proof, Says):
        return "" if re.search(proof.pattern, logs[proof.side]) else f"the {proof.side} never said /{proof.pattern}/"
    if not tshark_available():
        return ""
    found = len(matching_frames(out / proof.capture, proof.display_filter, out / "keys.log"))
    if found >= proof.least and (proof.most is None or found <= proof.most):
        return ""
    return f"{proof.capture}: {found} frames match {proof.display_filter}, want {proof.least} to {proof.most}"


def quotation(proof, logs):
    """The line of a log that a proof asks to be quoted, without time, process and thread of the machine."""
    line = next(line for line in logs[proof.side].splitlines() if re.search(proof.pattern, line))
    return re.sub(r"^(\[[\d:]+\] )?(\[\d+:[\da-f]+\] )?", "", line).strip()


def write_expectation(case, logs, out):
    quotes = [f"the {p.side} logged: {quotation(p, logs)}" for p in case.proof if isinstance(p, Says) and p.quote]
    answer = {
        "case": case.name,
        "what_was_done": "; ".join([case.done, *quotes]),
        "real_cause": case.cause,
        "client_software": case.client.software(),
        "server_software": "; ".join(server.software() for server in (case.server, *case.beside)),
        "expect": case.expect,
    }
    (out / "expect.json").write_text(json.dumps(answer, indent=1) + "\n")


def summary(out):
    """Frames and bytes of what was captured."""
    files = [path for path in (out / "client.pcap", out / "server.pcap") if path.exists()]
    return ", ".join(f"{path.name} {packet_count(path)} frames {path.stat().st_size} bytes" for path in files) + (
        ", keys.log" if (out / "keys.log").exists() else "")
