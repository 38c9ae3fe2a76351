"""Child processes with a log, a time limit and an end: whatever is started here is stopped here, by its process group."""
import os
import signal
import subprocess
import time


class Child:
    """One process in a group of its own, writing stdout and stderr to a log file."""

    def __init__(self, command, log, environment=None, keep_open=()):
        self.log = log
        self._output = open(log, "wb")
        self.process = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=self._output, stderr=subprocess.STDOUT,
            env=environment, start_new_session=True, cwd=log.parent, pass_fds=keep_open)

    def text(self):
        return self.log.read_text(errors="replace")

    def wait_for(self, words, seconds):
        """Waits until the log holds `words`; a child that dies or stays silent is an error."""
        end = time.monotonic() + seconds
        while words not in self.text():
            if self.process.poll() is not None or time.monotonic() > end:
                raise RuntimeError(f"{self.process.args[-1]}: no {words!r} in its log: {self.text()[-400:]}")
            time.sleep(0.05)

    def wait(self, seconds):
        """Exit status, or None when the time is over (the child still runs then)."""
        try:
            return self.process.wait(seconds)
        except subprocess.TimeoutExpired:
            return None

    def stop(self, first=signal.SIGTERM, seconds=3):
        """Asks the group to end, then makes it. A leader that has ended is left alone: its number may be another's by now."""
        for number in (first, signal.SIGKILL):
            if self.process.poll() is not None:
                break
            os.killpg(self.process.pid, number)
            self.wait(seconds)
        self._output.close()


def run(*command, seconds=30, **options):
    """Runs a short command to its end and returns its stdout; its stderr is in the error when it fails."""
    done = subprocess.run(command, capture_output=True, text=True, timeout=seconds, stdin=subprocess.DEVNULL, **options)
    if done.returncode != 0:
        raise RuntimeError(f"{' '.join(command)}: {done.stderr.strip() or done.stdout.strip()}")
    return done.stdout
