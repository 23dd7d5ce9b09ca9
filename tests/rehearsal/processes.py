"""The processes of a rehearsal: each in a session of its own, so that a Ctrl-C is the rehearsal's alone to handle."""

import os
import signal
import subprocess
from pathlib import Path

from checks import NeverCame

TO_END = 5.0


class Processes:
    """Everything that was started, to be ended in the opposite order."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.running: list[tuple[subprocess.Popen, int]] = []

    def start(self, name: str, command: list, end_by: int = signal.SIGTERM, **more) -> subprocess.Popen:
        """Starts a program whose standard error goes to NAME.log; its standard output too unless `stdout` is given."""
        with (self.folder / f"{name}.log").open("ab") as log:
            more.setdefault("stdout", log)
            process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stderr=log, start_new_session=True, **more)
        self.running.append((process, end_by))
        return process

    def end(self, process: subprocess.Popen) -> None:
        """Ends one of them and all that it started."""
        [(_, end_by)] = [one for one in self.running if one[0] is process]
        self.running = [one for one in self.running if one[0] is not process]
        _signal(process, end_by)
        try:
            process.wait(TO_END)
        except subprocess.TimeoutExpired:
            pass
        # What is left of its session: workers of the emulator, for one.
        _signal(process, signal.SIGKILL)
        process.wait()

    def end_all(self) -> None:
        while self.running:
            self.end(self.running[-1][0])

    def tail(self, name: str, lines: int = 30) -> str:
        text = (self.folder / f"{name}.log").read_text(errors="replace")
        return "\n".join(text.splitlines()[-lines:])


def ready_line(process: subprocess.Popen, what: str) -> str:
    """The line that a program prints when it is ready."""
    line = process.stdout.readline().decode()
    if not line:
        raise NeverCame(f"{what} ended before it was ready ({process.wait()})")
    return line


def _signal(process: subprocess.Popen, number: int) -> None:
    try:
        os.killpg(process.pid, number)
    except ProcessLookupError:
        pass
