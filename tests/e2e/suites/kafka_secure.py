"""Brokers that want TLS and to know who comes: every kafka.* setting for it against a real one, and what a wrong one leads to."""

import kafka
from harness import AGENT, Server, Suite, check, equal, fresh_dir

suite = Suite("kafka_secure", "issue: all kafka.* settings reach librdkafka; TLS, SASL and mutual TLS against a real broker")

REFUSED_SECONDS = 15
_secure = []


def _cluster():
    if not _secure:
        _secure.append(kafka.Cluster(1, secure=True))
    return _secure[0]


def _counts(flags):
    """A server with these flags takes an event and counts it."""
    server = Server(flags=flags).start()
    position = server.click(event_id="secure-1", ad_id=7, user_ip="198.51.100.7", agent=AGENT)
    equal(server.analytics([position], ad_id=7)["data"][0]["click_count"], 1, "clicks")
    server.stop()


def _is_refused(flags, *words):
    """A server with these flags never gets ready, goes on trying, and its log says why in one of the words."""
    server = Server(flags=flags).spawn()
    kafka.wait_for(f"one of {words} in the log", REFUSED_SECONDS, lambda: any(word in server.log_text() for word in words), server)
    check('"event":"ready"' not in server.log_text(), "it must not be ready")
    check(server.process.poll() is None, "it must go on trying")
    server.stop()


@suite.case("TLS with a user: PLAIN and SCRAM-SHA-256")
def _(t):
    for mechanism in ("PLAIN", "SCRAM-SHA-256"):
        _counts(_cluster().user_flags(mechanism))


@suite.case("mutual TLS")
def _(t):
    _counts(_cluster().mutual_flags())


@suite.case("a wrong password is refused and said")
def _(t):
    cluster = _cluster()
    wrong = fresh_dir("wrong") + "/password"
    with open(wrong, "w", encoding="ascii") as file:
        file.write("guess\n")
    _is_refused(cluster.user_flags(more={"kafka.sasl_password_file": wrong}), "uthentication")


@suite.case("a broker whose authority is not ours is refused and said")
def _(t):
    cluster = _cluster()
    _is_refused(cluster.user_flags(more={"kafka.ssl_ca_file": cluster.tls("client.pem")}), "certificate verify failed", "certificate")


@suite.case("mutual TLS without a certificate is refused and said")
def _(t):
    _is_refused(_cluster().mutual_flags({"kafka.ssl_certificate_file": None, "kafka.ssl_key_file": None}), "certificate", "handshake", "SSL")
