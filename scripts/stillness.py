"""Tells how long the machine itself stood still: a process that only looks at the clock, every 20 ms, and was not let look for half
a second or more. Suites with limits of time cannot hold on such a machine, and their failures then say nothing of the code:
the runners run a failed suite again when this saw one, say so, and count what the second run gave. A failure on a machine that
went on counts."""

import multiprocessing
import time

LOOK_SECONDS = 0.02
STILL_SECONDS = 0.5


def _look(total):
    last = time.monotonic()
    while True:
        time.sleep(LOOK_SECONDS)
        now = time.monotonic()
        if now - last >= STILL_SECONDS:
            total.value += now - last
        last = now


class Stillness:
    """Watches from its start to the end of this process."""

    def __init__(self):
        context = multiprocessing.get_context("fork")
        self._total = context.Value("d", 0.0)
        context.Process(target=_look, args=(self._total,), daemon=True).start()

    def seconds(self):
        """Seconds of standing still so far; a pause shows once it is over."""
        return self._total.value
