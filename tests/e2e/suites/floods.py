"""Floods made by tools of others: slowhttptest's four kinds of slow clients, and vegeta with five times as much as the server can take."""

import base64
import collections
import contextlib
import csv
import json
import multiprocessing
import os
import re
import resource
import shutil
import signal
import subprocess
import time

import kafka
from harness import AGENT, Server, Skip, Suite, check, equal
from neighbour import beside_a_neighbour

suite = Suite("floods", "promise 5: under floods who behaves is answered, only 202, 429 and 503 are said, and nothing acknowledged is lost")

ADS = 1000
NOON = 1_753_185_600
OVER = 5
WORKERS = 4000  # of vegeta, each with a connection: what the server does not keep up with waits in them
CPU_PERCENT = 15  # that the server may use meanwhile: with all of it, vegeta could not send five times as much
PEAK_WORKERS = 64
GOODPUT = 0.8
RESENT_BATCH = 5000

SLOW = {
    "headers that never end": ["-H", "-i", "5", "-x", "24"],
    "bodies that never end": ["-B", "-i", "5", "-x", "24", "-s", "60000", "-t", "POST", "-f", "application/json"],
    "ranges": ["-R", "-a", "10", "-b", "3000", "-t", "HEAD"],
    "answers that nobody reads": ["-X", "-w", "10", "-y", "20", "-n", "5", "-z", "16", "-k", "10"],
}
PATHS = {"bodies that never end": "/api/v1/ads/click", "answers that nobody reads": "/metrics"}


def _slow_case(kind, arguments):
    @suite.case(f"slowhttptest: {kind}")
    def _(t):
        tool = shutil.which("slowhttptest")
        if tool is None:
            raise Skip("slowhttptest is not installed")
        count, seconds = t.options.flood_connections, t.options.flood_seconds
        if resource.getrlimit(resource.RLIMIT_NOFILE)[0] < 2 * count + 200:
            raise Skip(f"{count} connections need more open files than are allowed here")
        server = Server(name="flood").start()
        before = server.rss_kib()
        rounds, end = [], time.monotonic() + seconds
        with beside_a_neighbour(t, server):
            while (left := round(end - time.monotonic())) > 0:  # it ends as soon as the server has cut off all of its connections
                command = [tool, *arguments, "-c", str(count), "-r", str(max(count // 5, 50)), "-l", str(left), "-p", "3",
                           "-u", f"http://{server.host}:{server.port}{PATHS.get(kind, '/healthz')}"]
                run = subprocess.run(command, capture_output=True, text=True, timeout=left + 60, check=False)
                said = re.sub(r"\x1b\[[0-9;]*m", "", run.stdout)
                rounds.append(max([int(n) for n in re.findall(r"(?:connected|closed):\s+(\d+)", said)], default=0))
                check(max(rounds) > 0, f"it opened no connection: {said[-600:]}")
        check(max(rounds) >= count // 2, f"it hardly opened connections: {said[-600:]}")
        t.note(f"up to {max(rounds)} of {count} connections, {len(rounds)} times in {seconds} s; memory grew by {(server.rss_kib() - before) / 1024:.1f} MiB")
        equal(server.get("/readyz").expect(200).json()["degraded"], [], "degraded")
        equal(server.stop(), 0, "exit code")


for each in SLOW.items():
    _slow_case(*each)


# ---------------------------------------------------------------- more than it can take

def _body(prefix, n):
    return (f'{{"event_id":"{prefix}-{n}","ad_id":{1 + n % ADS},"user_ip":"10.{n >> 16 & 255}.{n >> 8 & 255}.{n & 255}",'
            f'"agent":"{AGENT}","timestamp":{NOON + n % 3600}}}')


def _targets(out, host, port, prefix):
    """Targets without end, a line each, for as long as somebody reads them."""
    head = f'{{"method":"POST","url":"http://{host}:{port}/api/v1/ads/click","header":{{"Content-Type":["application/json"]}},"body":"'
    n = 0
    with open(out, "w", encoding="ascii", closefd=True) as pipe:
        try:
            while True:
                pipe.write("".join(f'{head}{base64.b64encode(_body(prefix, n + i).encode()).decode()}"}}\n' for i in range(200)))
                n += 200
        except BrokenPipeError:
            os._exit(0)  # what is still buffered has nobody to go to


def _attack(tool, server, prefix, seconds, *arguments):
    """Runs vegeta; its results in the file that is given back."""
    results = os.path.join(server.work_dir, prefix + ".results")
    source, sink = os.pipe()
    writer = multiprocessing.get_context("fork").Process(target=_targets, args=(sink, server.host, server.port, prefix), daemon=True)
    writer.start()
    os.close(sink)
    try:
        subprocess.run([tool, "attack", "-format=json", "-lazy", "-timeout=30s", "-max-body=512", f"-duration={seconds}s", f"-output={results}", *arguments],
                       stdin=source, check=True, timeout=seconds + 120)
    finally:
        os.close(source)
        writer.join(20)
    return results


def _outcomes(tool, results):
    """(status, event_id or "", seconds, error) of each."""
    with subprocess.Popen([tool, "encode", "-to=csv", results], stdout=subprocess.PIPE, text=True) as encode:
        for row in csv.reader(encode.stdout):
            status = int(row[1])
            yield status, json.loads(base64.b64decode(row[6]))["event_id"] if status == 202 else "", int(row[2]) / 1e9, row[5]
    equal(encode.returncode, 0, "vegeta's encode")


@contextlib.contextmanager
def _limited(server, percent):
    tool = shutil.which("cpulimit")
    if tool is None:
        raise Skip("cpulimit is not installed")
    limit = subprocess.Popen([tool, "-l", str(percent), "-p", str(server.process.pid)], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        yield
    finally:
        limit.terminate()
        limit.wait(10)
        server.process.send_signal(signal.SIGCONT)


@suite.case("vegeta: five times as many events as it can take")
def _(t):
    tool = os.environ.get("VEGETA") or shutil.which("vegeta")
    if tool is None:
        raise Skip("vegeta is not installed; scripts/flood.sh gets it")
    seconds = t.options.flood_seconds
    server = Server(name="over").start()
    peak_seconds = max(5, seconds // 6)
    with _limited(server, CPU_PERCENT):
        peak = sum(status == 202 for status, *_ in _outcomes(tool, _attack(tool, server, "peak", peak_seconds, "-rate=0", f"-max-workers={PEAK_WORKERS}")))
        peak_rate = peak / peak_seconds
        before = server.rss_kib()
        results = _attack(tool, server, "over", seconds, f"-rate={int(OVER * peak_rate)}", f"-max-workers={WORKERS}", f"-connections={WORKERS}")
    statuses, acked, took, errors = collections.Counter(), [], [], collections.Counter()
    for status, event_id, latency, error in _outcomes(tool, results):
        statuses[status] += 1
        took.append(latency)
        if status == 202:
            acked.append(event_id)
        elif status not in (429, 503):
            errors[error] += 1
    took.sort()
    t.note(f"peak {peak_rate:.0f}/s with {PEAK_WORKERS} connections; offered {OVER} times that on {WORKERS}: {len(acked) / seconds:.0f}/s acknowledged, "
           f"{dict(statuses)}, p99 {took[len(took) * 99 // 100] * 1000:.0f} ms; memory grew by {(server.rss_kib() - before) / 1024:.1f} MiB")
    equal(dict(errors), {}, "answers other than 202, 429 and 503")
    equal(len(set(acked)), len(acked), "event_ids acknowledged, each once")
    check(len(acked) / seconds >= GOODPUT * peak_rate, f"goodput {len(acked) / seconds:.0f}/s is below {GOODPUT} of the peak {peak_rate:.0f}/s")

    # Each that was acknowledged is there: sent again, it is a duplicate.
    def sums():
        rows = server.all_rows().values()
        return sum(row["gross_clicks"] for row in rows), sum(row["duplicates"] for row in rows)

    kafka.settled(server)
    clicks, duplicates = sums()
    check(clicks >= peak + len(acked), f"{clicks} clicks are counted, {peak + len(acked)} were acknowledged")
    positions = {}
    for at in range(0, len(acked), RESENT_BATCH):
        lines = "\n".join('{"type":"click",' + _body("over", int(event_id.rpartition("-")[2]))[1:] for event_id in acked[at:at + RESENT_BATCH])
        answer = server.request("POST", "/api/v1/ads/events", lines.encode(), {"Content-Type": "application/x-ndjson"}).expect(202).json()
        for shard, offset in answer["positions"].items():
            positions[shard] = max(offset, positions.get(shard, -1))
    rows = server.all_rows([f"{shard}:{offset}" for shard, offset in positions.items()]).values()
    equal((sum(row["gross_clicks"] for row in rows), sum(row["duplicates"] for row in rows)), (clicks, duplicates + len(acked)),
          "clicks and duplicates after each acknowledged one was sent again")
    equal(server.stop(), 0, "exit code")
