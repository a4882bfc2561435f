"""A real Kafka for the suites: scripts/kafka-dev.sh in a temporary folder on free ports, started once a run and ended with it.
Brokers are killed, frozen and brought back by the process ids in that folder, and only when these are still the brokers."""

import contextlib
import functools
import json
import os
import random
import shutil
import signal
import socket
import struct
import subprocess
import time

import harness
from harness import Failure, Skip, check
from rdkafka import Admin

SCRIPT = os.path.join(harness.ROOT, "scripts", "kafka-dev.sh")
START_SECONDS = 150
FROZEN_SECONDS = 10
_clusters = {}


def _is_free(port):
    with contextlib.closing(socket.socket()) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
        return True


def free_ports():
    """A first port with room for three brokers, their controllers and a proxy; below those that systems give to outgoing connections."""
    first = int(os.environ.get("E2E_KAFKA_PORT", random.randrange(20_000, 31_000)))
    for base in range(first, 32_000, 20):
        if all(_is_free(port) for port in range(base, base + 20)):
            return base
    raise Skip(f"no 20 free ports from {first} on")


@functools.lru_cache(maxsize=None)
def why_not():
    """Why there can be no Kafka here, or None. What its brokers are made of comes from Maven Central once."""
    if os.environ.get("ADTRACK_TEST_NO_KAFKA"):
        return os.environ["ADTRACK_TEST_NO_KAFKA"]
    if shutil.which("kcat") is None:
        return "kcat is not installed"
    done = subprocess.run([SCRIPT, "fetch"], capture_output=True, text=True, check=False, stdin=subprocess.DEVNULL)
    return None if done.returncode == 0 else f"there are no jars of Kafka: {done.stderr.strip()[-300:]}"


class Cluster:
    """Of one or three brokers. `advertise`: the port that the first broker tells clients, for a proxy. `secure`: it also takes TLS."""

    def __init__(self, brokers, advertise=None, secure=False):
        if why_not():
            raise Skip(why_not())
        self.size = brokers
        self.folder = harness.fresh_dir(f"kafka{brokers}")
        self.port = free_ports()
        self.advertise = self.port + 19 if advertise else self.port
        self.secure = secure
        self._prefixes = 0
        harness.at_end.append(self.end)
        self.start()

    def start(self, only=None):
        """Starts the brokers that do not run, or just one of them, and waits for them."""
        try:
            # In files, not pipes: the brokers inherit them and would keep a pipe open.
            with open(os.path.join(self.folder, "start.log"), "wb") as said:
                done = subprocess.run([SCRIPT, "start", "--brokers", str(self.size), "--dir", self.folder, "--port", str(self.port), "--advertise",
                                       str(self.advertise)] + (["--secure"] if self.secure else []) + (["--only", str(only)] if only else []), stdout=said, stderr=said, stdin=subprocess.DEVNULL, check=False, timeout=START_SECONDS)
        except subprocess.TimeoutExpired as late:
            raise Failure(f"Kafka did not start within {START_SECONDS} s") from late
        if done.returncode != 0:
            with open(os.path.join(self.folder, "start.log"), encoding="utf-8", errors="replace") as said:
                raise Failure(f"Kafka does not start: {said.read()[-600:]}")
        return self

    def end(self):
        """Ends its brokers at once: what they hold is of no use any more."""
        for broker in self.numbers():
            self.kill(broker, missing_ok=True)

    @property
    def direct(self):
        """Where the first broker itself listens, whatever it advertises."""
        return ("127.0.0.1", self.port)

    @property
    def brokers(self):
        return ",".join(f"127.0.0.1:{self.advertise if i == 1 else self.port + i - 1}" for i in self.numbers())

    def numbers(self):
        return range(1, self.size + 1)

    # -- for a server

    def prefix(self):
        """Topics of its own for each server, so that no suite disturbs another."""
        self._prefixes += 1
        return f"e2e-{self._prefixes}"

    def flags(self, prefix=None, **more):
        flags = {"log.backend": "kafka", "kafka.brokers": self.brokers, "kafka.topic_prefix": prefix or self.prefix()}
        if self.size < 3:
            flags["kafka.allow_unsafe"] = "true"
        return {**flags, **{name.replace("__", "."): value for name, value in more.items()}}

    def tls(self, name):
        """A file of its TLS folder: ca.pem, client.pem, client.key, password."""
        return os.path.join(self.folder, "tls", name)

    def user_flags(self, mechanism="SCRAM-SHA-256", more=()):
        """For a server that comes by TLS with a user."""
        return {**self.flags(), "kafka.brokers": f"127.0.0.1:{self.port + 15}", "kafka.security_protocol": "sasl_ssl", "kafka.sasl_mechanism": mechanism,
                "kafka.sasl_username": "adtrack", "kafka.sasl_password_file": self.tls("password"), "kafka.ssl_ca_file": self.tls("ca.pem"), **dict(more)}

    def mutual_flags(self, more=()):
        """For a server that comes by TLS with a certificate."""
        return {**self.flags(), "kafka.brokers": f"127.0.0.1:{self.port + 16}", "kafka.security_protocol": "ssl", "kafka.ssl_ca_file": self.tls("ca.pem"),
                "kafka.ssl_certificate_file": self.tls("client.pem"), "kafka.ssl_key_file": self.tls("client.key"), **dict(more)}

    # -- faults

    def pid(self, broker):
        try:
            with open(os.path.join(self.folder, f"broker-{broker}.pid"), encoding="ascii") as file:
                pid = int(file.read())
            with open(f"/proc/{pid}/cmdline", "rb") as file:
                mine = os.path.join(self.folder, f"broker-{broker}.properties").encode() in file.read().split(b"\0")
        except (OSError, ValueError):
            return None
        return pid if mine else None

    def _signal(self, broker, number):
        pid = self.pid(broker)
        check(pid is not None, f"broker {broker} does not run")
        os.kill(pid, number)
        return pid

    def kill(self, broker, missing_ok=False):
        pid = self.pid(broker)
        if pid is None and missing_ok:
            return
        self._signal(broker, signal.SIGKILL)
        deadline = time.monotonic() + FROZEN_SECONDS
        while self._listens(broker):  # its threads end one by one, and hold the port until the last one
            check(time.monotonic() < deadline, f"broker {broker} outlives SIGKILL")
            time.sleep(0.01)

    def _listens(self, broker):
        for first in (self.port, self.port + 10):
            with contextlib.closing(socket.socket()) as probe:
                if probe.connect_ex(("127.0.0.1", first + broker - 1)) == 0:
                    return True
        return False

    def freeze(self, *brokers):
        """Returns once every thread of them stands still."""
        for broker in brokers:
            self._signal(broker, signal.SIGSTOP)
        deadline = time.monotonic() + FROZEN_SECONDS
        while not all(self._stands(broker) for broker in brokers):
            check(time.monotonic() < deadline, f"brokers {brokers} do not stop")
            time.sleep(0.005)

    def _stands(self, broker):
        pid = self.pid(broker)
        for task in os.listdir(f"/proc/{pid}/task"):
            try:
                with open(f"/proc/{pid}/task/{task}/stat", encoding="ascii", errors="replace") as file:
                    if file.read().rsplit(")", 1)[1].split()[0] != "T":
                        return False
            except FileNotFoundError:
                pass  # a thread that ended meanwhile
        return True

    def thaw(self, *brokers):
        for broker in brokers:
            self._signal(broker, signal.SIGCONT)

    def leader(self, topic, partition=0, seconds=30):
        """The broker that leads the partition."""
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            found = self.leaders(topic).get(partition, -1)
            if found > 0:
                return found
            time.sleep(0.1)
        raise Failure(f"partition {partition} of {topic} has no leader after {seconds} s")

    def leaders(self, topic):
        """The broker that leads each partition now, by partition; -1: none."""
        return {each["partition"]: each["leader"] for each in self._metadata(topic).get("partitions", [])}

    def elect_uncleanly(self, topic, partition, broker):
        """Asks that broker for a leader that may lack records; on KRaft brokers of 3.7 nothing else leads to one. librdkafka has no such
        call, so this is the protocol's ElectLeaders, version 1."""
        name = topic.encode()
        body = struct.pack(f">bih{len(name)}siiI", 1, 1, len(name), name, 1, partition, 10_000)
        request = struct.pack(">hhih", 43, 1, 1, -1) + body
        with socket.create_connection(("127.0.0.1", self.port + broker - 1), 15) as connection:
            connection.sendall(struct.pack(">i", len(request)) + request)
            reply = b""
            while len(reply) < 4 or len(reply) < 4 + struct.unpack(">i", reply[:4])[0]:
                data = connection.recv(4096)
                check(data, "the broker closed the connection")
                reply += data
        _, _, error = struct.unpack(">iih", reply[4:14])  # correlation, throttle, error of the whole
        check(error == 0, f"ElectLeaders is refused: error {error}")

    def in_sync(self, topic, partition):
        """The brokers that hold all of the partition, as the controllers see it."""
        found = [each for each in self._metadata(topic).get("partitions", []) if each["partition"] == partition]
        return sorted(replica["id"] for replica in found[0]["isrs"]) if found else []

    def _metadata(self, topic):
        done = subprocess.run(["kcat", "-L", "-J", "-b", self.brokers, "-t", topic], capture_output=True, check=False, stdin=subprocess.DEVNULL, timeout=30)
        return json.loads(done.stdout)["topics"][0] if done.returncode == 0 and done.stdout else {}

    # -- records

    def produce(self, topic, lines, partition=None, key_separator=None):
        """Records of one line each, by kcat; returns when the broker has them."""
        command = ["kcat", "-P", "-b", self.brokers, "-t", topic, "-X", "acks=all"]
        if partition is not None:
            command += ["-p", str(partition)]
        if key_separator is not None:
            command += ["-K", key_separator]
        data = b"\n".join(lines) + b"\n"
        done = subprocess.run(command, input=data, capture_output=True, check=False, timeout=120)
        check(done.returncode == 0, f"kcat: {done.stderr.decode(errors='replace')[-300:]}")

    def consume(self, topic, partition=None):
        """The values of all records from the first one on."""
        command = ["kcat", "-C", "-b", self.brokers, "-t", topic, "-o", "beginning", "-e", "-q", "-D", "\n"]
        if partition is not None:
            command += ["-p", str(partition)]
        done = subprocess.run(command, capture_output=True, check=False, stdin=subprocess.DEVNULL, timeout=120)
        check(done.returncode == 0, f"kcat: {done.stderr.decode(errors='replace')[-300:]}")
        return done.stdout.split(b"\n")[:-1]

    def admin(self):
        return Admin(self.brokers)


def cluster(brokers=1):
    """The run's cluster of that size."""
    found = _clusters.get(brokers)
    if found is None:
        found = _clusters[brokers] = Cluster(brokers)
    elif any(found.pid(i) is None for i in found.numbers()):
        found.start()  # a case that failed left it so
    return found


def release(brokers):
    """Ends the cluster of that size: a small machine has room for few."""
    found = _clusters.pop(brokers, None)
    if found is not None:
        found.end()


class Backend:
    """Puts every server of a suite that says nothing else on the run's broker."""
    name = "kafka"

    def __init__(self):
        self._prefixes = {}

    def flags(self, data_dir):
        """The same topics for the same directory, as a second process on it would have."""
        if data_dir not in self._prefixes:
            self._prefixes[data_dir] = cluster().prefix()
        return cluster().flags(self._prefixes[data_dir])

    def logged(self, server):
        """What of the server's log is not in its directory: (name, bytes)."""
        prefix = server.flags["kafka.topic_prefix"]
        return [(topic, b"\n".join(cluster().consume(topic))) for topic in (f"{prefix}.events", f"{prefix}.ads")]

    def close(self):
        """The suite is over: its topics go, so that the broker holds only one suite's."""
        if 1 not in _clusters:
            return
        with cluster().admin() as admin:
            for prefix in self._prefixes.values():
                for name in ("events", "inbox", "ads"):
                    admin.delete_topic(f"{prefix}.{name}", missing_ok=True)
        self._prefixes.clear()


# ---------------------------------------------------------------- what a server on Kafka says of itself

def metrics(server):
    """Each series of /metrics, its labels as they stand there, to its value."""
    text = server.get("/metrics").expect(200).body.decode()
    return {name: float(value) for name, _, value in (line.rpartition(" ") for line in text.splitlines() if line and line[0] != "#")}


def total(series, name, **labels):
    """The sum over all series of that name that have those labels."""
    return sum(value for key, value in series.items() if key.split("{")[0] == name and all(f'{label}="{wanted}"' in key for label, wanted in labels.items()))


def wait_for(what, seconds, condition, server=None, every=0.05):
    """Polls until the condition gives something true, which it returns."""
    deadline = time.monotonic() + seconds
    while True:
        found = condition()
        if found:
            return found
        if server is not None:
            check(server.alive(), lambda: f"the server ended waiting for {what}: {server.log_tail()}")
        check(time.monotonic() < deadline, lambda: f"{what}: not within {seconds} s{'; ' + server.log_tail(800) if server is not None else ''}")
        time.sleep(every)


def settled(server, seconds=90):
    """Waits until the spool is empty, every shard has applied its whole log and answers say so; seconds that it took."""
    started, last = time.monotonic(), ["never asked"]

    # The lag gauges are a second old at times, the answer's lag is not; it is asked for last, when nothing is on its way any more.
    def look():
        series = metrics(server)
        answer = server.analytics(limit=1)
        last[0] = {name: answer[name] for name in ("complete", "is_real_time", "lag_ms")}
        for name in ("adtrack_spool_records", "adtrack_shard_lag_records", "adtrack_events_in_flight"):
            last[0][name] = total(series, name)
        return answer["complete"] and answer["is_real_time"] and answer["lag_ms"] == 0 and not any(list(last[0].values())[3:])

    try:
        wait_for("an empty spool and no lag", seconds, look, server, 0.1)
    except Failure as late:
        raise Failure(f"{late}; it says {last[0]}, /readyz {server.get('/readyz').body[:600]!r}") from late
    return time.monotonic() - started
