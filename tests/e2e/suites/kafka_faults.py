"""Promises 1 and 2 while brokers die, stand still and restart, with a client that retries and keeps a ledger."""

import contextlib
import random
import threading
import time

import kafka
from harness import Failure, Server, Skip, Suite, check, equal
from load import Events, Ledger, Load

suite = Suite("kafka_faults", "promises 1 and 2 on three brokers, of which each record needs two: lost 0, counted twice 0, no false 202",
              close=lambda: kafka.release(3))

RATE = 2500            # offered events a second
QUIET_SECONDS = 3      # of load between two faults
WARM_SECONDS = 2       # of load before its rate is taken: the brokers have just started, or the load was at rest
LEADERLESS_SECONDS = 5 # a killed broker stays away that long
SHORT_ROUNDS = 3
SENT_AGAIN = 50_000    # events, in the short form


class NodeKiller:
    """Kills adtrackd at random moments and starts it at once; it may have to wait for Kafka before it listens again."""

    def __init__(self, server, generator):
        self._server, self._generator = server, generator
        self._stop, self._pause = threading.Event(), threading.Lock()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self.kills, self.error = 0, None
        self._thread.start()

    def _run(self):
        try:
            while not self._stop.wait(self._generator.uniform(1, 7)):
                with self._pause:
                    self._server.kill()
                    self.kills += 1
                    self._server.spawn()
                    self._server.wait_ready(180)
        except Exception as error:  # told to the test by held()
            self.error = f"restarting adtrackd failed: {error!r}"

    def held(self):
        """A lock: while the test has it the server lives. Waits for one that is starting."""
        if self.error:
            raise Failure(self.error)
        return self._pause

    def stop(self):
        self._stop.set()
        self._thread.join(200)
        if self.error:
            raise Failure(self.error)


class Trial:
    """A cluster, a server on it, the load and what was seen."""

    def __init__(self, t, name, kill_node):
        self.t, self.generator = t, random.Random(t.options.seed)
        self.cluster = kafka.cluster(3)
        flags = self.cluster.flags()
        self.topic = flags["kafka.topic_prefix"] + ".events"
        self.server = Server(flags=flags, name=name).start()
        self.ledger = Ledger(Events(f"{name}{t.options.seed}", 2000, 1_753_185_600))
        self.ledger.positions = set()
        self.load = Load(self.server, self.ledger, iter(range(1 << 30)), connections=128, depth=16, rate=RATE).start()
        self.killer = NodeKiller(self.server, self.generator) if kill_node else None
        self.rates, self.settle_seconds, self.away = [], [], []
        self.began = time.monotonic()

    # -- the faults

    def kill_leader(self):
        leader = self.cluster.leader(self.topic, self.generator.randrange(16))
        self.cluster.kill(leader)
        self.wait(LEADERLESS_SECONDS)
        self.cluster.start()

    def freeze_two(self):
        """With one of three left no record can have two replicas: what is sent from then on cannot be in the log before they go on.
        Sent from then on is by the client's clock, after every thread of both brokers was seen standing still; an event that was
        sent before may have been copied before, and its 202 is right."""
        with self.killer.held() if self.killer else contextlib.nullcontext():  # the node is up, and lives until its spool has something
            frozen = self.generator.sample([1, 2, 3], 2)
            self.cluster.freeze(*frozen)
            ledger, started = self.ledger, time.monotonic()
            before = (ledger.acks, ledger.spooled, ledger.refused)
            ledger.log_is_away_since = started
            try:
                self.wait(self.t.options.freeze_seconds * 0.75)
            except BaseException:
                self.cluster.thaw(*frozen)
                raise
        try:
            self.wait(self.t.options.freeze_seconds * 0.25)
        finally:
            ledger.log_is_away_since = None
            self.cluster.thaw(*frozen)
        acks, spooled, refused = (now - then for now, then in zip((ledger.acks, ledger.spooled, ledger.refused), before))
        self.away.append((spooled, refused, acks - spooled))
        # An append that fails takes kafka.message_timeout_ms; the first of them goes out before the outage is known.
        check(spooled > 0, lambda: f"no event reached the spool while two brokers stood still; {self.server.log_tail()}")

    def restart_all(self):
        for broker in self.cluster.numbers():
            self.cluster.kill(broker)
        self.cluster.start()

    # -- around them

    def wait(self, seconds):
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            self.look()
            time.sleep(0.05)

    def look(self):
        self.load.raise_error()
        check(self.killer is not None or self.server.alive(), lambda: f"the server died by itself: {self.server.log_tail()}")
        equal(self.ledger.false_acks[:5], [], "events answered `in the log` that were sent while two brokers stood still")

    def quiet_seconds(self):
        self.wait(WARM_SECONDS)
        acked, started = self.ledger.acked, time.monotonic()
        self.wait(QUIET_SECONDS)
        if not self.killer:
            self.rates.append((self.ledger.acked - acked) / (time.monotonic() - started))

    def settle(self):
        """At rest, everything that was acknowledged is in the log and counted."""
        if self.killer:
            with self.killer.held():
                self._settle()
        else:
            self._settle()
        self.look()

    def _settle(self):
        self.load.pause(90)
        self.settle_seconds.append(kafka.settled(self.server, 120))
        self.load.resume()

    def round(self):
        for fault in (self.kill_leader, self.freeze_two, self.restart_all):
            self.quiet_seconds()
            fault()
            self.settle()

    # -- the end

    def judge(self):
        if self.killer:
            self.killer.stop()
        self.load.finish(180)
        kafka.settled(self.server)
        ledger, t = self.ledger, self.t
        lost, twice, never, duplicates = ledger.judge(self.server.all_rows(ledger.barrier()))
        sent, took = ledger.distinct_sent(), time.monotonic() - self.began
        t.note(f"{t.options.rounds} rounds of 3 faults in {took:.0f} s{f', adtrackd killed {self.killer.kills} times' if self.killer else ''}; {sent} events, {ledger.sent} sends, "
               f"{ledger.spooled} answered out of the spool, {ledger.refused} answered 503, {ledger.broken} unanswered")
        if self.rates:
            t.note(f"acknowledged between faults: {min(self.rates):.0f} events/s at least, {sum(self.rates) / len(self.rates):.0f} on average (offered {RATE})")
        t.note(f"spool empty and no lag {max(self.settle_seconds):.1f} s after the load paused at most, {sum(self.settle_seconds) / len(self.settle_seconds):.1f} s on average")
        spooled, refused, old = (sum(each) for each in zip(*self.away))
        t.note(f"while two brokers stood still: {spooled} 202 out of the spool, {refused} 503, {old} 202 in the log of events sent before, {len(ledger.false_acks)} false 202")
        t.note(f"lost {lost}, counted twice {twice}, counted but never sent {never}, duplicates {duplicates}")
        equal((lost, twice, never), (0, 0, 0), "lost, counted twice, counted but never sent")
        equal(ledger.position_clashes[:5], [], "positions acknowledged twice")
        equal(ledger.false_acks[:5], [], "false 202")
        check(duplicates >= ledger.acks - ledger.acked, f"{duplicates} duplicates, though {ledger.acks - ledger.acked} events more were acknowledged than distinct ones")
        self.send_all_again(duplicates)

    def send_all_again(self, duplicates):
        """Row sums could hide a lost event behind a doubled one: each identity, sent again, must be known. In the short form some."""
        count = self.ledger.distinct_sent()
        every = 1 if self.t.options.rounds > SHORT_ROUNDS else max(1, count // SENT_AGAIN)
        again = Ledger(self.ledger.events)
        Load(self.server, again, range(0, count, every), connections=48, depth=16).start().join(count / every / 500 + 60)
        kafka.settled(self.server)
        rows = self.server.all_rows(again.barrier())
        equal(sum(row["gross_clicks"] for row in rows.values()), count, "events counted after all were sent again")
        check(sum(row["duplicates"] for row in rows.values()) - duplicates >= again.acks, "events sent again are missing among the duplicates")
        equal(self.server.stop(), 0, "exit code")


def _run(t, name, kill_node):
    trial = Trial(t, name, kill_node)
    try:
        for _ in range(t.options.rounds):
            trial.round()
        trial.judge()
    finally:
        trial.load.abort()
        trial.server.kill()


@suite.case("the leader killed, two brokers frozen and all restarted, in rounds under load")
def _(t):
    if t.options.kill_node == "only":
        raise Skip("only the form with --kill-node was asked for")
    _run(t, "faults", False)


@suite.case("the same with adtrackd killed at random: the spool and the log together lose nothing")
def _(t):
    if t.options.kill_node == "no":
        raise Skip("the form with --kill-node was not asked for")
    _run(t, "faults-kill", True)
