#!/usr/bin/env python3
"""Runs the end-to-end suites, all or those that are named, against a built adtrackd (ADTRACKD, or build/release/adtrackd), on the
embedded log and on a real Kafka that it starts (scripts/kafka-dev.sh) and ends. Prints a line a case (`ok`, `FAIL` or `skip`
with the reason) and closes with `N passed, N failed, N skipped`; exit code 1 when a case failed or none ran. A suite that failed
while the machine stood still is run once more (scripts/stillness.py)."""

import argparse
import importlib
import json
import os
import resource
import signal
import sys
import time
import traceback

sys.dont_write_bytecode = True
HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [HERE, os.path.join(HERE, "..", "..", "scripts")]

import harness  # noqa: E402
import kafka  # noqa: E402
from stillness import Stillness  # noqa: E402

# In the order in which a reader wants to know; the short ones first. These run on either log, each line says on which.
SUITES = ["original_api", "ingest", "batch", "http_rules", "ads", "visits", "traffic", "analytics", "windows", "series", "oracle", "duplicates", "fates", "imports", "exports", "backups", "replays", "streams", "metrics",
          "operations", "doors", "privacy", "erasures",
          "freshness",
          "restart", "kill9", "million", "memory"]
EMBEDDED_SUITES = ["monitoring", "disk_full", "openapi", "dashboard", "dashboard_access", "smuggling", "slow_clients", "floods", "loads", "containers", "upgrades", "packages", "aws", "aws_node"]
KAFKA_SUITES = ["kafka_monitoring", "kafka_quarantine", "kafka_inbox", "kafka_forks", "kafka_spool", "kafka_secure", "kafka_flaky", "kafka_unclean", "kafka_faults"]


def planned(names, backend):
    """(log, suite) of those that were asked for, in order."""
    plan = []
    for log, suites in (("embedded", SUITES + EMBEDDED_SUITES), ("kafka", SUITES + KAFKA_SUITES)):
        if backend in ("all", log):
            plan += [(log, name) for name in suites if not names or name in names]
    return plan


class Tally:
    def __init__(self):
        self.passed = self.failed = self.skipped = 0

    def add(self, other):
        self.passed += other.passed
        self.failed += other.failed
        self.skipped += other.skipped

    def report(self, word, suite, sentence, started, notes=(), why=""):
        took = time.monotonic() - started
        print(f"{word:4} {suite}: {sentence} [{took:.2f} s]{f' ({why})' if why else ''}", flush=True)
        for note in notes:
            print(f"       {note}", flush=True)
        if word == "ok":
            self.passed += 1
        elif word == "FAIL":
            self.failed += 1
        else:
            self.skipped += 1


def run_case(tally, context, sentence, function):
    context.notes = []
    started = time.monotonic()
    try:
        if context.log == "kafka" and kafka.why_not():
            raise harness.Skip(kafka.why_not())
        function(context)
        if context.shared is not None and not context.shared.alive():
            raise harness.Failure(f"the suite's server ended with {context.shared.process.returncode}: {context.shared.log_tail()}")
    except harness.Skip as skip:
        tally.report("skip", context.title, sentence, started, context.notes, str(skip))
    except harness.Failure as failure:
        tally.report("FAIL", context.title, sentence, started, context.notes + [str(failure)])
    except Exception:  # a case that breaks is a failed case, with the trace to say where
        tally.report("FAIL", context.title, sentence, started, context.notes + traceback.format_exc().splitlines())
    else:
        tally.report("ok", context.title, sentence, started, context.notes)
    if context.shared is not None and not context.shared.alive():
        context.shared = None  # the next case gets a new one


def close_suite(tally, context):
    """The suite's server must have lived until now, stop with 0 and have written JSON lines only."""
    server = context.shared
    if server is None:
        return

    def function(_):
        harness.equal(server.stop(), 0, "exit code after SIGTERM")
        for number, line in enumerate(server.log_text(all_starts=True).splitlines(), 1):
            try:
                entry = json.loads(line)
            except ValueError as error:
                raise harness.Failure(f"log line {number} is not JSON: {line[:300]!r}") from error
            harness.check(isinstance(entry, dict), f"log line {number} is not an object: {line[:300]!r}")

    context.shared = None
    run_case(tally, context, "its server stops with code 0 and logged JSON lines only", function)


def run_suite(tally, log, name, options):
    suite = importlib.import_module(f"suites.{name}").suite
    context = harness.Context(suite, options, log, f"{suite.name}[{log}]" if name in SUITES else suite.name)
    print(f"-- {context.title}: {suite.rule}", flush=True)
    harness.backend = kafka.Backend() if log == "kafka" and name in SUITES else None
    for sentence, function in suite.cases:
        if options.match in sentence:
            run_case(tally, context, sentence, function)
    close_suite(tally, context)
    if suite.close is not None:
        suite.close()
    if harness.backend is not None:
        harness.backend.close()
        harness.backend = None


def run_suite_on_a_machine_that_goes_on(stillness, log, name, options):
    """The tally of a suite; of its second run when it failed while the machine stood still."""
    for once_more in (True, False):
        still = stillness.seconds()
        tally = Tally()
        run_suite(tally, log, name, options)
        still = stillness.seconds() - still
        if still:
            print(f"   the machine stood still for {still:.1f} s meanwhile", flush=True)
        if not (once_more and tally.failed and still):
            return tally
        print(f"   {name} is run once more; what failed above is not counted", flush=True)
        importlib.reload(importlib.import_module(f"suites.{name}"))  # what it kept of the first run is gone


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("suites", nargs="*", metavar="suite", help=f"of: {', '.join(SUITES + EMBEDDED_SUITES + KAFKA_SUITES)}")
    parser.add_argument("--backend", choices=["all", "embedded", "kafka"], default="all", help="the logs to run on")
    parser.add_argument("--rounds", type=int, default=3, help="kafka_faults: rounds of faults (30 is the long form)")
    parser.add_argument("--freeze-seconds", type=float, default=8, help="kafka_faults: how long two brokers stand still (30 is the long form)")
    parser.add_argument("--kill-node", choices=["both", "only", "no"], default="both", help="kafka_faults: with adtrackd killed at random too")
    parser.add_argument("--kills", type=int, default=10, help="kill9: how many kills (100 is the long form)")
    parser.add_argument("--flood-seconds", type=int, default=5, help="floods: how long each takes (120 is the long form)")
    parser.add_argument("--flood-connections", type=int, default=300, help="floods: of slow clients (1000 is the long form)")
    parser.add_argument("--events", type=int, default=50_000, help="million: distinct events, each sent 5 times (1000000 is the long form)")
    parser.add_argument("--oracle-events", type=int, default=20_000, help="oracle: random events (2000000 is the long form)")
    parser.add_argument("--questions", type=int, default=400, help="oracle: random questions (10000 is the long form)")
    parser.add_argument("--whole-image", action="store_true", help="containers: adtrackd is compiled in a container, as the Dockerfile says")
    parser.add_argument("--seed", type=int, default=None, help="of everything random; printed")
    parser.add_argument("--match", default="", help="only cases whose sentence holds this text")
    parser.add_argument("--keep", action="store_true", help="keep the data directories and logs")
    options = parser.parse_args()
    unknown = [name for name in options.suites if name not in SUITES + EMBEDDED_SUITES + KAFKA_SUITES]
    if unknown:
        parser.error(f"no suite is called {', '.join(unknown)}")
    plan = planned(options.suites, options.backend)
    if options.seed is None:
        options.seed = int.from_bytes(os.urandom(4), "big")
    if not harness.binary_present():
        print(f"FAIL e2e: no adtrackd at {harness.BINARY}; build it, or set ADTRACKD\n0 passed, 1 failed, 0 skipped")
        return 1
    harness.keep_directories = options.keep
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, min(hard, 20_000)), hard))  # for many clients, and the server inherits it
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # so that the servers are ended too
    print(f"adtrackd: {harness.BINARY}; seed {options.seed}", flush=True)
    stillness = Stillness()
    tally = Tally()
    for log, name in plan:
        tally.add(run_suite_on_a_machine_that_goes_on(stillness, log, name, options))
    print(f"{tally.passed} passed, {tally.failed} failed, {tally.skipped} skipped")
    return 1 if tally.failed or not tally.passed else 0


if __name__ == "__main__":
    sys.exit(main())
