"""A client that behaves, beside others that do not."""

import contextlib
import multiprocessing
import time

from harness import Client, check


def _neighbour(host, port, stop, result):
    """Posts and reads on a keep-alive connection; what failed, and how long each took. In a process of its own, which is to be
    started before the attackers' connections are opened: it would keep them open."""
    client, took, failed = Client(host, port, 15), [], []
    while not stop.is_set():
        for method, path, body, wanted in (("POST", "/api/v1/ads/click", b'{"event_id":"nb-%d","ad_id":5,"user_ip":"192.0.2.6"}' % len(took), 202),
                                           ("GET", "/healthz", None, 200)):
            started = time.monotonic()
            try:
                reply = client.request(method, path, body, {"Content-Type": "application/json"})
                if reply.status != wanted:
                    failed.append(str(reply))
            except OSError as error:
                failed.append(f"{method} {path}: {error!r}")
            took.append(time.monotonic() - started)
        time.sleep(0.01)
    result.send((sorted(took), failed))


@contextlib.contextmanager
def beside_a_neighbour(t, server):
    """It must be answered each time, and at the 99th percentile within a second."""
    context = multiprocessing.get_context("fork")
    stop, (here, there) = context.Event(), context.Pipe(duplex=False)
    process = context.Process(target=_neighbour, args=(server.host, server.port, stop, there), daemon=True)
    process.start()
    try:
        yield
    finally:
        stop.set()
        took, failed = here.recv() if here.poll(30) else ([], ["it did not end"])
        process.join(10)
    if took:
        t.note(f"the neighbour: {len(took)} requests, p50 {took[len(took) // 2] * 1000:.1f} ms, "
               f"p99 {took[len(took) * 99 // 100] * 1000:.1f} ms, slowest {took[-1] * 1000:.0f} ms")
    check(not failed, f"the neighbour was not answered {len(failed)} times: {failed[:3]}")
    check(len(took) > 20, f"the neighbour got {len(took)} answers only")
    check(took[len(took) * 99 // 100] < 1, f"the neighbour's p99 was {took[len(took) * 99 // 100]:.2f} s")
