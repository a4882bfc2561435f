#!/usr/bin/env python3
"""Runs the Boost.Test suites that CTest knows of in a build directory, and counts their cases.

Prints a line a suite and what failed in it, and closes with `N passed, N failed, N skipped`. A suite that crashes, hangs or
leaves no report counts as one failed case, whatever it had passed before. A suite that failed while the machine stood still is run
once more (stillness.py). Exit code 1 when a case failed or none ran."""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
import xml.etree.ElementTree as xml

from stillness import Stillness


def suites_of(build):
    listed = subprocess.run(["ctest", "--test-dir", build, "--show-only=json-v1"], check=True, capture_output=True, text=True)
    return [(test["name"], test["command"][0]) for test in json.loads(listed.stdout)["tests"] if "command" in test]


def tail(text, lines=40):
    """The last lines, after those that are not of a log: what a test says of its failure may stand far before the end."""
    every = text.strip().splitlines()
    said = [line for line in every[:-lines] if not line.startswith('{"time"')]
    return "\n".join("       " + line for line in said[-lines:] + every[-lines:])


def run(name, executable, seconds_max, report):
    """Runs one suite; returns (passed, failed, skipped, what to show of it)."""
    command = [executable, "--color_output=no", "--log_level=error", "--report_level=short", "--report_format=XML",
               f"--report_sink={report}", "--detect_memory_leaks=0"]
    try:
        done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=seconds_max, errors="replace", text=True)
    except subprocess.TimeoutExpired as late:
        text = late.stdout.decode(errors="replace") if isinstance(late.stdout, bytes) else late.stdout or ""
        return 0, 1, 0, f"{tail(text)}\n       it did not end within {seconds_max} s"
    except OSError as error:
        return 0, 1, 0, f"       it could not be started: {error}"
    try:
        suite = next(xml.parse(report).getroot().iter("TestSuite"))
    except (OSError, xml.ParseError, StopIteration):
        return 0, 1, 0, f"{tail(done.stdout)}\n       it ended with {done.returncode} and left no report"
    count = {key: int(value) for key, value in suite.attrib.items() if key.startswith("test_cases_")}
    passed = count["test_cases_passed"] + count.get("test_cases_passed_with_warnings", 0)
    failed = count["test_cases_failed"] + count.get("test_cases_timed_out", 0)
    skipped = count["test_cases_skipped"]
    if done.returncode != 0 and failed == 0:  # a sanitizer's finding at exit, or a fixture of the whole module
        failed = 1
    return passed, failed, skipped, tail(done.stdout) if failed else ""


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("build", help="build directory, such as build/release")
    parser.add_argument("suites", nargs="*", help="names of suites; all when none is given")
    parser.add_argument("--seconds-max", type=int, default=900, help="for one suite")
    arguments = parser.parse_args()

    stillness = Stillness()
    total = [0, 0, 0]
    for name, executable in suites_of(arguments.build):
        if arguments.suites and name not in arguments.suites:
            continue
        for once_more in (True, False):
            started, still = time.monotonic(), stillness.seconds()
            with tempfile.TemporaryDirectory() as directory:
                *counts, details = run(name, executable, arguments.seconds_max, os.path.join(directory, "report.xml"))
            still = stillness.seconds() - still
            once_more = once_more and counts[1] > 0 and still > 0
            word = "once more" if once_more else "FAIL" if counts[1] else "ok"
            why = f" (the machine stood still for {still:.1f} s meanwhile)" if still else ""
            print(f"{word:4} {name}: {counts[0]} passed, {counts[1]} failed, {counts[2]} skipped [{time.monotonic() - started:.1f} s]{why}", flush=True)
            if details:
                print(details, flush=True)
            if not once_more:
                break
        total = [a + b for a, b in zip(total, counts)]
    print(f"{total[0]} passed, {total[1]} failed, {total[2]} skipped")
    return 1 if total[1] or not total[0] else 0


if __name__ == "__main__":
    sys.exit(main())
