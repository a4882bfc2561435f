"""scripts/upgrade.sh on a process of its own, under a client that repeats what was not answered: forth, back, and broken off. What it
does with a package and a unit is in suites/packages.py."""

import fcntl
import os
import random
import shutil
import signal
import socket
import subprocess
import time

import harness
from harness import BINARY, ROOT, Server, Suite, check, equal, fresh_dir
from load import Events, Ledger, Load

suite = Suite("upgrades", "contract promise 6: an upgrade, a way back and an upgrade that was broken off lose nothing and double nothing")

UPGRADE = os.path.join(ROOT, "scripts", "upgrade.sh")
RATE = 1_000  # events a second that are sent while it is upgraded


def _free_port():
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return one.getsockname()[1]


class Service(Server):
    """An adtrackd as an operator runs one: at a fixed port, by a command, with a file that names the process."""

    def __init__(self, name):
        super().__init__(flags={"http.port": _free_port(), "data.dir": None, "log.shards": 4}, name=name)
        self.port = self.flags["http.port"]
        self.binary = os.path.join(self.work_dir, "adtrackd")
        self.pid_file = os.path.join(self.work_dir, "pid")
        shutil.copy(BINARY, self.binary)
        self.env = {"ADTRACK_DATA_DIR": self.data_dir}  # so that a stand-in for a program can name another
        harness.at_end.append(self.kill)

    def arguments(self):
        return [self.binary] + super().arguments()[1:]

    def spawn(self):
        super().spawn()
        with open(self.pid_file, "w", encoding="ascii") as file:
            file.write(f"{self.process.pid}\n")
        return self

    def alive(self):
        self.process.poll()
        pid = self._pid()
        return pid is not None and self.work_dir.encode() in _command_line(pid)

    def kill(self):
        if self.alive():
            os.kill(self._pid(), signal.SIGKILL)
        super().kill()

    def _pid(self):
        try:
            with open(self.pid_file, encoding="ascii") as file:
                return int(file.read())
        except (OSError, ValueError):
            return None

    def begin_upgrade(self, new, *options):
        arguments = [UPGRADE, "--binary", self.binary, "--command", " ".join(self.arguments()), "--pid-file", self.pid_file,
                     "--url", f"http://127.0.0.1:{self.port}", *options, new]
        environment = {k: v for k, v in os.environ.items() if not k.startswith("ADTRACK_")}
        return subprocess.Popen(arguments, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                                env={**environment, **self.env})

    def upgrade(self, new, *options, code=0):
        """What the script said; it must end with `code`, and then the right program must serve."""
        process = self.begin_upgrade(new, *options)
        said = process.communicate(timeout=90)[0]
        equal(process.returncode, code, f"exit code of upgrade.sh {' '.join(options)}; it said: {said[-1500:]}")
        self.close_client()
        self.get("/readyz").expect(200)
        return said

    def runs(self, file):
        """Whether the program that is in place, and the process, are a copy of `file`."""
        with open(file, "rb") as one, open(self.binary, "rb") as other, open(f"/proc/{self._pid()}/exe", "rb") as running:
            content = one.read()
            return other.read() == content == running.read()


def _command_line(pid):
    try:
        with open(f"/proc/{pid}/cmdline", "rb") as file:
            return file.read()
    except OSError:
        return b""


def _another_build(name):
    """The program, with other bytes behind it."""
    path = os.path.join(fresh_dir("build"), name)
    shutil.copy(BINARY, path)
    with open(path, "ab") as file:
        file.write(name.encode())
    return path


def _stand_in(name, *lines):
    """A program that says its version and then does what the lines say; in them "$@" are its arguments."""
    path = os.path.join(fresh_dir("build"), name)
    with open(path, "w", encoding="ascii") as file:
        file.write("\n".join(["#!/bin/sh", f'[ "$1" != --version ] || exec {BINARY} --version', *lines]) + "\n")
    os.chmod(path, 0o755)
    return path


class UnderLoad:
    """A client with a ledger while something is done to a service; then nothing may be lost or doubled."""

    def __init__(self, t, service, other_ads=()):
        self.t, self.service, self.other_ads = t, service, other_ads
        self.ledger = Ledger(Events(f"u{t.options.seed}", 500, 1_753_185_600))

    def __enter__(self):
        self.load = Load(self.service, self.ledger, iter(range(1 << 30)), connections=24, rate=RATE).start()
        self.started = time.monotonic()
        time.sleep(1)
        return self

    def _rows(self, ledger):
        return {ad: row for ad, row in self.service.all_rows(ledger.barrier()).items() if ad not in self.other_ads}

    def __exit__(self, kind, *_):
        if kind is not None:
            self.load.abort()
            return
        time.sleep(1)
        self.load.raise_error()
        rate = self.ledger.distinct_sent() / (time.monotonic() - self.started)
        self.load.finish()
        ledger, events = self.ledger, self.ledger.events
        rows = self._rows(ledger)
        lost, twice, never, duplicates = ledger.judge(rows)
        self.t.note(f"{ledger.distinct_sent()} events ({rate:.0f}/s), {ledger.sent} sends, {ledger.broken} unanswered, {ledger.refused} refused; "
                    f"lost {lost}, counted twice {twice}, never sent {never}; duplicates {duplicates}")
        equal((lost, twice, never), (0, 0, 0), "lost, counted twice, counted but never sent")
        check(rate >= 500, f"the load was {rate:.0f} events/s only")
        check(ledger.broken + ledger.refused > 0 or ledger.slowest_answer > 0.2, "nothing happened to the service that a client could see")
        # Sums could hide a lost event behind a doubled one: each identity, sent again, must be known.
        again = Ledger(events)
        Load(self.service, again, range(ledger.distinct_sent()), connections=48).start().join(120)
        rows = self._rows(again)
        equal(sum(row["gross_clicks"] for row in rows.values()), ledger.distinct_sent(), "events counted after all were sent again")
        equal(sum(row["duplicates"] for row in rows.values()) - duplicates, again.sent, "duplicates added by sending all again")


@suite.case("an upgrade under load loses nothing and doubles nothing, and the new program serves")
def _(t):
    service, new = Service("upgrade").start(), _another_build("new")
    with UnderLoad(t, service):
        said = service.upgrade(new)
    t.note(said.strip().splitlines()[-1])
    check("4 digests and the rows of" in said, said)
    check(service.runs(new), "another program than the new one is in place or runs")
    service.kill()


@suite.case("a new program that ends, never gets ready, or only fails once it is in place: the old one serves again, nothing lost or doubled")
def _(t):
    service, old = Service("back").start(), BINARY
    ends = _stand_in("ends", "exit 1")
    never = _stand_in("never", "exec sleep 600")
    in_place = _stand_in("in_place", f'case "$*" in *upgrade*) exec {BINARY} "$@" ;; esac', "exit 1")
    with UnderLoad(t, service):
        check("did not get ready" in service.upgrade(ends, code=1), "it says why")
        check("did not get ready" in service.upgrade(never, "--ready-secs", "3", code=1), "it says why")
        said = service.upgrade(in_place, code=1)
        check("putting the new one in place" in said and "is not ready at" in said, said)
        check(service.runs(old), "another program than the old one is in place or runs")
    service.kill()


@suite.case("a new program with another digest is not put in place, although its rows are the same")
def _(t):
    service = Service("digest").start()
    for n in range(200):
        service.click(event_id=f"same-{n}", ad_id=1 + n % 7, user_ip=f"198.51.100.{n}", timestamp=1_753_185_600)
    os.kill(service.process.pid, signal.SIGTERM)
    equal(service.process.wait(12), 0, "exit code")
    other = os.path.join(service.work_dir, "other")
    shutil.copytree(service.data_dir, other)
    ours, theirs = {"event_id": "ours", "ad_id": 3, "timestamp": 1_753_185_600}, {"event_id": "theirs", "ad_id": 3, "timestamp": 1_753_185_600}
    service.start()
    position = service.click(**ours)
    beside = Server(data_dir=other, flags={"log.shards": 4}).start()
    equal(beside.click(**theirs), position, "position of the other event")
    equal(beside.stop(), 0, "exit code")
    said = service.upgrade(_stand_in("forgetful", f'ADTRACK_DATA_DIR={other} exec {BINARY} "$@"'), code=1)
    check(f"shard {position.split(':')[0]} at offset" in said and "counts otherwise" in said, said)
    check(service.runs(BINARY), "another program than the old one is in place or runs")
    service.kill()


@suite.case("a new program that writes other rules into the log is judged by its rows")
def _(t):
    service = Service("rules").start()
    position = service.click(event_id="one", ad_id=3)
    empty = os.path.join(service.work_dir, "empty")
    said = service.upgrade(_stand_in("forgetful", f'ADTRACK_DATA_DIR={empty} ADTRACK_TRAFFIC_REPEAT_CLICK_SECS=5 exec {BINARY} "$@"'), code=1)
    check("1 ads had events and now 0 have" in said and "ad 3: " in said, said)
    said = service.upgrade(_stand_in("strict", f'ADTRACK_TRAFFIC_REPEAT_CLICK_SECS=5 exec {BINARY} "$@"'))
    check("0 digests and the rows of 1 ads are equal; 4 shards have written rules of their own" in said, said)
    equal(service.analytics([position])["data"][0]["gross_clicks"], 1, "clicks afterwards")
    service.kill()


@suite.case("an upgrade that is broken off by kill -9 anywhere is taken back by the next run, which upgrades; nothing lost or doubled")
def _(t):
    generator = random.Random(t.options.seed)
    service, new = Service("broken-off").start(), _another_build("new")
    with UnderLoad(t, service):
        for words in ("stopping the old", "digests at the end", "the new one on the same log", "putting the new one"):
            process = service.begin_upgrade(_another_build("broken-off"))
            for line in process.stdout:
                if words in line:
                    break
            later = generator.uniform(0, 0.4)
            time.sleep(later)
            process.kill()
            process.wait()
            process.stdout.close()
            t.note(f"killed {later:.2f} s after '{words}'")
        said = service.upgrade(new)
        check("was broken off" in said, said)
    check(service.runs(new), "another program than the new one is in place or runs")
    service.kill()


@suite.case("what cannot be upgraded is left alone, with exit code 2 and a sentence")
def _(t):
    service = Service("not-begun").start()
    before = service._pid()
    garbage = os.path.join(service.work_dir, "garbage")
    with open(garbage, "wb") as file:
        file.write(b"\x7fELF no program")
    for new, words in ((garbage, "does not run on this machine"), ("/nonexistent/new", "there is no"), (garbage + ".deb", "there is no")):
        said = service.upgrade(new, code=2)
        check(words in said and "nothing was changed" in said, said)
    state = service.pid_file + ".upgrade"
    with open(os.path.join(state, "lock"), "w", encoding="ascii") as first:
        fcntl.flock(first, fcntl.LOCK_EX)
        check("another upgrade is under way" in service.upgrade(BINARY, code=2), "a second upgrade says that there is a first")
    equal(service._pid(), before, "the process")
    service.kill()
    process = service.begin_upgrade(BINARY)
    check("does not run" in process.communicate(timeout=60)[0] and process.returncode == 2, "a service that is down is not upgraded")
