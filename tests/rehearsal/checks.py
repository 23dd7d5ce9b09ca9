"""What is checked: each is printed as it is found, counted, and timed by section. And waiting for what must come."""

import time
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")


class Checks:
    """Counts what passed and what failed."""

    def __init__(self) -> None:
        self.passed = self.failed = 0
        self.begun = time.monotonic()

    def section(self, name: str) -> None:
        print(f"{time.monotonic() - self.begun:6.1f} s  {name}", flush=True)

    def that(self, what: str, is_so: bool, detail: object = "") -> bool:
        """Counts whether something is so; `detail` is shown where it is not."""
        if is_so:
            self.passed += 1
            print(f"          ok      {what}", flush=True)
        else:
            self.failed += 1
            print(f"          FAILED  {what}: {str(detail)[:2000]}", flush=True)
        return bool(is_so)

    def equal(self, what: str, found: object, expected: object) -> bool:
        return self.that(what, found == expected, f"{found!r} and not {expected!r}")

    def comes(self, what: str, ask: Callable[[], object], seconds: float = 30) -> bool:
        """Asks until the answer is true, and counts whether that was in time."""
        limit = time.monotonic() + seconds
        while not (answer := ask()) and time.monotonic() < limit:
            time.sleep(0.1)
        return self.that(what, bool(answer), f"not within {seconds:g} s")

    def finish(self) -> int:
        """Prints the result, and gives the exit code."""
        print(f"{time.monotonic() - self.begun:6.1f} s in all")
        print(f"{self.passed} passed, {self.failed} failed")
        return 0 if self.failed == 0 and self.passed > 0 else 1


class NeverCame(Exception):
    """What was waited for did not come in time."""


def wait_until(what: str, ask: Callable[[], T], seconds: float = 30) -> T:
    """Asks until the answer is true, and gives it. Raises NeverCame after `seconds`."""
    limit = time.monotonic() + seconds
    while not (answer := ask()):
        if time.monotonic() > limit:
            raise NeverCame(f"{what} (waited {seconds:g} s)")
        time.sleep(0.1)
    return answer
