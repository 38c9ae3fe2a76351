"""Runs cases: python3 -m rdplab OUTDIR [CASE...] (through run.sh, which checks for root and programs)."""
import pathlib
import shutil
import signal
import sys
import tempfile
import time

from . import certificates
from .case import perform, summary
from .cases import CASES as DIRECT
from .children import Child, run
from .gateway_cases import CASES as THROUGH_GATEWAY
from .network import GATEWAY_NAME

HERE = pathlib.Path(__file__).parent
CASES = {**DIRECT, **THROUGH_GATEWAY}


class Shared:
    """What all cases of a run use: certificates, two X displays without a screen, the key log shim."""

    def __init__(self, folder):
        self.folder = folder
        self.authority = certificates.Authority(folder / "ca")
        self.certificates = {
            "valid": self.authority.issue("valid", certificates.VALID),
            "expired": self.authority.issue("expired", certificates.EXPIRED),
            "self-signed": self.authority.self_signed("self-signed"),
            "gateway": self.authority.self_signed("gateway", GATEWAY_NAME),
        }
        self.shim = self._build_shim()
        self._screens, self.displays = [], {}

    def __enter__(self):
        try:
            # xfreerdp needs a display even to fail, the shadow server one to show
            for side in ("client", "server"):
                self.displays[side] = self._start_display(side)
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_):
        for screen in self._screens:
            screen.stop()

    def _build_shim(self):
        if not shutil.which("cc"):
            return None
        shim = self.folder / "sslkeylog.so"
        run("cc", "-O1", "-shared", "-fPIC", "-o", str(shim), str(HERE / "sslkeylog.c"), "-ldl")
        return shim

    def _start_display(self, side):
        # -displayfd picks a free number and writes it, and a line end, when the display can be used
        number = self.folder / f"x-{side}.number"
        with open(number, "wb") as file:
            screen = Child(
                ["Xvfb", "-displayfd", str(file.fileno()), "-screen", "0", "640x480x24", "-nolisten", "tcp", "-noreset"],
                self.folder / f"x-{side}.log", keep_open=(file.fileno(),))
        self._screens.append(screen)
        end = time.monotonic() + 10
        while not number.read_text().endswith("\n"):
            if screen.process.poll() is not None or time.monotonic() > end:
                raise RuntimeError(f"Xvfb does not start: {screen.text()[-400:]}")
            time.sleep(0.05)
        return f":{number.read_text().strip()}"


def main():
    if sys.argv[1:] == ["--list"]:
        for case in CASES.values():
            print(f"{case.name:34} {case.cause}")
        return 0
    out, names = pathlib.Path(sys.argv[1]).resolve(), sys.argv[2:] or list(CASES)
    unknown = [name for name in names if name not in CASES]
    if unknown:
        print(f"no such case: {' '.join(unknown)}; --list names them", file=sys.stderr)
        return 2
    # a terminated run cleans up like a finished one
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, lambda number, _frame: sys.exit(128 + number))
    bad = 0
    with tempfile.TemporaryDirectory(prefix="rdplab-") as folder:
        with Shared(pathlib.Path(folder)) as shared:
            for name in names:
                bad += not attempt(CASES[name], shared, out / name)
    print(f"{len(names) - bad} of {len(names)} cases made")
    return 1 if bad else 0


def attempt(case, shared, out):
    begin = time.monotonic()
    try:
        failures = perform(case, shared, out)
    except (RuntimeError, OSError, TimeoutError) as error:
        failures = [str(error)]
    seconds = time.monotonic() - begin
    print(f"{'FAIL' if failures else 'ok  '} {case.name} ({seconds:.1f} s): {summary(out)}", flush=True)
    for words in failures:
        print(f"     {words}", flush=True)
    return not failures


if __name__ == "__main__":
    sys.exit(main())
