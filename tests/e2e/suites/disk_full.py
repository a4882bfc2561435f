"""Promise 1 on a full disk: no acknowledgement, no crash, and service again once there is room."""

import errno
import os
import shutil
import subprocess
import time

from harness import Server, Skip, Suite, check, equal, fresh_dir
from load import Events, Ledger, Load

suite = Suite("disk_full", "promise 1: a full disk is 503 within 1 s, no ack, no crash; service within 10 s of room, nothing lost")

SIZE_MIB = 512


def _mount(path):
    if os.getuid() != 0 or shutil.which("mount") is None:
        raise Skip("mounting a small tmpfs needs root")
    done = subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={SIZE_MIB}m", "tmpfs", path], capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise Skip(f"mounting a small tmpfs is not permitted here: {done.stderr.strip()}")


def _fill(path):
    """Takes every byte that is left."""
    with open(path, "ab", buffering=0) as file:
        size = 1 << 20
        while size:
            try:
                if file.write(b"\0" * size) < size:
                    size //= 2
            except OSError as error:
                if error.errno != errno.ENOSPC:
                    raise
                size //= 2


def _wait(what, seconds, condition, server, load):
    """Seconds until the condition holds."""
    started = time.monotonic()
    while not condition():
        load.raise_error()
        check(server.alive(), lambda: f"the server died waiting for {what}: {server.log_tail()}")
        check(time.monotonic() - started < seconds, lambda: f"{what}: not within {seconds} s; {server.log_tail()}")
        time.sleep(0.02)
    return time.monotonic() - started


def _run(t, server, folder):
    server.start()
    ledger = Ledger(Events("full", 500, 1_753_185_600, pad=900))
    load = Load(server, ledger, iter(range(1 << 30)), connections=16).start()
    ballast = os.path.join(folder, "ballast")
    for turn in (1, 2):
        _wait("acknowledgements", 10, lambda at=ledger.acked: ledger.acked > at + 500, server, load)
        _fill(ballast)
        refused = ledger.refused
        # Preallocated files take events for a while; from the first 503 on the disk is full for the service too.
        _wait("the first 503", 60, lambda: (_fill(ballast), ledger.refused > refused)[1], server, load)
        ledger.slowest_answer, acked, before = 0.0, ledger.acked, time.monotonic()
        said = []
        while time.monotonic() - before < 3:  # reopening frees what was preallocated: take that too
            _fill(ballast)
            said.append(server.get("/readyz").status)
            time.sleep(0.02)
        equal(server.get("/healthz").status, 200, "/healthz on a full disk")
        if ledger.acked == acked:  # each try to reopen may look well for a moment
            t.note(f"fill {turn}: {said.count(503)} of {len(said)} looks at /readyz said 503")
            check(said.count(503) * 2 > len(said), f"/readyz said 503 {said.count(503)} times of {len(said)} while nothing was accepted")
        t.note(f"fill {turn}: slowest answer {ledger.slowest_answer * 1000:.0f} ms, {ledger.refused - refused} answered 503, "
               f"{ledger.acked - acked} still acknowledged in {time.monotonic() - before:.0f} s")
        check(ledger.slowest_answer < 1.5, f"an answer took {ledger.slowest_answer:.2f} s on a full disk")
        check(ledger.refused > refused + 10, "hardly any 503 on a full disk")
        acked = ledger.acked
        os.unlink(ballast)
        took = _wait("acknowledgements after there is room", 10, lambda at=acked: ledger.acked > at + 100, server, load)
        server.get("/readyz").expect(200)
        t.note(f"fill {turn}: service again {took:.2f} s after there was room")
    load.finish()
    rows = server.all_rows(ledger.barrier())
    lost, twice, never, _ = ledger.judge(rows)
    equal((lost, twice, never), (0, 0, 0), "lost, counted twice, counted but never sent")
    server.restart(hard=True)
    equal(server.all_rows(ledger.barrier()), rows, "rows after kill -9")
    equal(server.stop(), 0, "exit code")


@suite.case("the disk fills under load, twice")
def _(t):
    folder = fresh_dir("full")
    _mount(folder)
    server = Server(data_dir=os.path.join(folder, "data"), name="disk-full")
    try:
        _run(t, server, folder)
    finally:
        server.kill()
        subprocess.run(["umount", folder], check=False)
