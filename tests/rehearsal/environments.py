"""A function's processes: one is busy until it asks for its next event, as on AWS.

Without this the emulator hands an event to a process that still works after its last answer, and an update ends that
work.
"""

import threading
import time
from collections.abc import Callable

from ministack.core import lambda_runtime
from ministack.core.lambda_runtime import ProvidedWorker
from ministack.services import lambda_svc

# Longer than the timeout of every function but the schema's.
TO_FINISH = 65.0


class Busy:
    """Which processes work after an answer. `in_use` is the emulator's word for a process that takes no event."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        # Have answered, and not asked for the next event yet.
        self.working: set[ProvidedWorker] = set()
        # Of those, the ones that the emulator would give the next event.
        self.released: set[ProvidedWorker] = set()

    def poll(self, original: Callable, worker: ProvidedWorker, generation: int) -> bool:
        taken = original(worker, generation)
        with self.lock:
            self.working.discard(worker)
            if worker in self.released:
                self.released.discard(worker)
                worker.in_use = False
        return taken

    def record(self, original: Callable, worker: ProvidedWorker, *result) -> bool:
        with self.lock:
            self.working.add(worker)
        return original(worker, *result)

    def release(self, original: Callable, worker: ProvidedWorker) -> None:
        with self.lock:
            if worker in self.working and worker._proc is not None:
                self.released.add(worker)
                return
            self.working.discard(worker)
        original(worker)

    def kill(self, original: Callable, workers: list) -> None:
        workers = [worker for worker in workers if worker is not None]
        original([worker for worker in workers if not worker.in_use])
        for worker in workers:
            if worker.in_use:
                threading.Thread(target=self.kill_later, args=(original, worker), daemon=True).start()

    def kill_later(self, original: Callable, worker: ProvidedWorker) -> None:
        limit = time.monotonic() + TO_FINISH
        while worker.in_use and worker._proc and worker._proc.poll() is None and time.monotonic() < limit:
            time.sleep(0.05)
        original([worker])


def let_finish(wrap: Callable, wrap_method: Callable) -> None:
    """Wraps the emulator's handing out of events and its ending of processes."""
    busy = Busy()
    wrap_method(ProvidedWorker, "_mark_first_poll", busy.poll)
    wrap_method(ProvidedWorker, "_record_result", busy.record)
    wrap(lambda_svc, "release_worker", busy.release)
    wrap(lambda_runtime, "kill_workers", busy.kill)
