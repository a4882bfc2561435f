"""scripts/backup.sh and scripts/restore.sh: what is backed up while the node works comes back as it was, and damage is seen."""

import fcntl
import glob
import hashlib
import json
import os
import shutil
import subprocess
import tempfile
import threading
import time

import bucket
import harness
from harness import ADMIN_KEY, AGENT, ROOT, Server, Skip, Suite, check, equal, fresh_dir, token_file
from kafka import wait_for

suite = Suite("backups", "backups: whole while the node works, incremental, checked, and restored to the same answers")

ADS = "/api/v1/ads"
NOON = 1_753_185_600


def _events(name, count):
    return [{"type": ("click", "impression")[n % 2], "event_id": f"{name}-{n}", "ad_id": 1 + n % 57, "user_ip": f"198.51.{n % 200}.7", "agent": AGENT,
             "timestamp": NOON + n} for n in range(count)]


def _send(server, events):
    positions = {}
    for at in range(0, len(events), 500):
        body = json.dumps(events[at:at + 500]).encode()
        positions.update(server.request("POST", f"{ADS}/events", body, {"Content-Type": "application/json"}).expect(202).json()["positions"])
    server.analytics([f"{shard}:{offset}" for shard, offset in positions.items()])


def _run(script, *options, code=0):
    done = subprocess.run([os.path.join(ROOT, "scripts", script), *options], stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=200,
                          env={**os.environ, **bucket.ENVIRONMENT})
    said = (done.stdout + done.stderr).decode(errors="replace")
    equal(done.returncode, code, f"exit code of {script} {' '.join(options)}; it said: {said[-1500:]}")
    return said


def _backup(server, target, *options, code=0):
    return _run("backup.sh", target, "--url", f"http://{server.host}:{server.port}", "--key-file", token_file(ADMIN_KEY), *options, code=code)


def _restore(target, *options, code=0):
    return _run("restore.sh", target, *options, code=code)


def _check(target, *options, code=0):
    return _restore(target, "--check", "--adtrackd", harness.BINARY, *options, code=code)


@suite.case("a backup beside a load is whole, and a node that starts on it answers as the node did, knows what it counted, and counts on")
def _(t):
    server, target = t.server, os.path.join(fresh_dir("backups"), "target")
    ad = server.admin("POST", ADS, {"title": "Kept", "url": "https://example.com/kept"}).expect(201).json()["id"]
    before = _events("before", 3_000)
    _send(server, before)
    done, sent = threading.Event(), []

    def load():
        client, number = server.client(), 0
        while not done.is_set():
            event = {**_events("beside", 1)[0], "event_id": f"beside-{number}", "ad_id": 900}
            client.request("POST", f"{ADS}/click", json.dumps(event).encode(), {"Content-Type": "application/json"}).expect(202)
            sent.append(number)
            number += 1
        client.close()
    thread = threading.Thread(target=load)
    thread.start()
    try:
        wait_for("load", 10, lambda: len(sent) > 20)
        sure = len(sent)
        said = _backup(server, target)
    finally:
        done.set()
        thread.join()
    t.note(f"{said.splitlines()[-1]}; {len(sent)} events meanwhile")
    check(not glob.glob(os.path.join(server.data_dir, "checkpoints", "*", "*")), "checkpoints of the backup are left in the data directory")
    t.note(_check(target).strip())
    data = os.path.join(fresh_dir("restored"), "data")
    _restore(target, "--data-dir", data)
    rows = server.all_rows()
    flags = {name: value for name, value in server.flags.items() if name.startswith(("log.", "kafka.", "inbox."))}  # of the same log
    other = Server(data_dir=data, flags=flags, name="restored").start()
    wait_for("the restored node to have read its log", 30, lambda: other.analytics()["lag_ms"] == 0, other)
    got = other.all_rows()
    equal({number: got.get(number) for number in range(1, 58)}, {number: rows.get(number) for number in range(1, 58)}, "rows of before")
    clicks = got[900]["gross_clicks"]
    check(sure <= clicks <= len(sent), f"{clicks} clicks beside the backup, of which {sure} were acknowledged before it")
    equal(other.get(f"{ADS}/{ad}").expect(200).json()["title"], "Kept", "title")
    _send(other, before)
    again = other.all_rows()
    equal(sum(again[number]["gross_clicks"] + again[number]["impressions"] for number in range(1, 58)), 3_000, "events after all came again")
    _send(other, [{**before[0], "event_id": "the-same-visitor"}])
    equal(other.all_rows()[before[0]["ad_id"]]["unique_clicks"], rows[before[0]["ad_id"]]["unique_clicks"], "visitors, one of which came again")
    equal(other.stop(), 0, "exit code")


@suite.case("a second backup writes what is new only; --keep forgets older ones and what only they have; --list says which there are")
def _(t):
    target = os.path.join(fresh_dir("backups"), "target")
    _send(t.server, _events("first", 5_000))
    _backup(t.server, target)
    files = set(glob.glob(os.path.join(target, "objects", "*", "*")))
    time.sleep(1.1)  # a backup is named by its second
    _send(t.server, _events("second", 100))
    _backup(t.server, target)
    both = set(glob.glob(os.path.join(target, "objects", "*", "*")))
    check(files < both, "the second backup wrote nothing, or replaced files")
    names = sorted(os.path.basename(path)[:-5] for path in glob.glob(os.path.join(target, "backups", "*.json")))
    equal(len(names), 2, "backups")
    listed = [line.split()[0] for line in _restore(target, "--list").splitlines()]
    equal(listed, names, "backups that are listed")
    with open(os.path.join(target, "backups", f"{names[1]}.json"), encoding="utf-8") as file:
        newest = json.load(file)
    shared = sum(file["size"] for file in newest["files"] if any(path.endswith(file["sha256"]) for path in files))
    check(shared > 0, "the second backup shares nothing with the first")
    _check(target, "--at", names[0])
    time.sleep(1.1)
    _backup(t.server, target, "--keep", "1")
    left = [line.split()[0] for line in _restore(target, "--list").splitlines()]
    check(len(left) == 1 and left[0] > names[1], f"backups after --keep 1: {left}")
    with open(os.path.join(target, "backups", f"{left[0]}.json"), encoding="utf-8") as file:
        needed = {each["sha256"] for each in json.load(file)["files"]}
    equal({os.path.basename(path) for path in glob.glob(os.path.join(target, "objects", "*", "*"))}, needed, "files after --keep 1")
    _check(target)
    _restore(target, "--at", names[0], "--check", code=2)


@suite.case("damage is seen: a file with another byte, one that is missing, a digest that is not the shard's; a folder that is not empty is left alone")
def _(t):
    target = os.path.join(fresh_dir("backups"), "target")
    _send(t.server, _events("damaged", 500))
    _backup(t.server, target)
    manifest = glob.glob(os.path.join(target, "backups", "*.json"))[0]
    with open(manifest, encoding="utf-8") as file:
        said = file.read()
    victim = next(each for each in json.loads(said)["files"] if each["path"].endswith(".sst"))
    path = os.path.join(target, "objects", victim["sha256"][:2], victim["sha256"])
    with open(path, "rb") as file:
        sound = file.read()
    with open(path, "wb") as file:
        file.write(sound[:-100] + bytes([sound[-100] ^ 1]) + sound[-99:])
    check("SHA-256" in _check(target, code=1), "the sentence about a changed byte")
    data = os.path.join(fresh_dir("restored"), "data")
    _restore(target, "--data-dir", data, code=1)
    check(not os.path.exists(data), "a damaged backup left a data directory")
    os.remove(path)
    check("lacks" in _check(target, code=1), "the sentence about a missing file")
    with open(path, "wb") as file:
        file.write(sound)
    _check(target)
    backup = json.loads(said)
    backup["shards"][3]["digest"] = "0" * 32
    with open(manifest, "w", encoding="utf-8") as file:
        json.dump(backup, file)
    check("shard 3" in _check(target, code=1), "the sentence about another digest")
    os.makedirs(data)
    with open(os.path.join(data, "mine"), "w", encoding="ascii"):
        pass
    check("not empty" in _restore(target, "--data-dir", data, code=2), "the sentence about a folder that is not empty")
    equal(os.listdir(data), ["mine"], "the folder that is not empty")


@suite.case("a bucket takes backups as a folder does: the second writes what is new, --keep forgets, damage and a refusal are seen")
def _(t):
    if shutil.which("rclone") is None:
        raise Skip("rclone is not installed")
    service = bucket.Bucket()
    target, where = "s3://backups/node 1", ["--endpoint", service.url]
    _send(t.server, _events("bucket", 1_000))
    _backup(t.server, target, *where)
    first = service.puts
    check(first > 16 and all(key.startswith("backups/node 1/") for key in service.objects), f"{first} objects: {sorted(service.objects)[:5]}")
    _check(target, *where)
    time.sleep(1.1)
    _send(t.server, _events("bucket-more", 10))
    _backup(t.server, target, *where, "--keep", "1")
    t.note(f"{first} objects for the first backup, {service.puts - first} more for the second")
    check(service.puts - first < first, "the second backup wrote as much as the first")
    equal(len(_restore(target, *where, "--list").splitlines()), 1, "backups after --keep 1")
    _check(target, *where)
    victim = max((key for key in service.objects if "/objects/" in key), key=lambda key: len(service.objects[key]))
    service.objects[victim] = service.objects[victim][:-1] + b"?"
    check("SHA-256" in _check(target, *where, code=1), "the sentence about a changed byte")
    before = dict(service.objects)
    service.refuse_puts = True
    time.sleep(1.1)
    _send(t.server, _events("bucket-last", 10))
    check("rclone" in _backup(t.server, target, *where, code=2), "the sentence about a refusal")
    equal(service.objects, before, "objects after a refusal")
    service.close()


@suite.case("a backup that cannot be made says why and leaves what was there: a wrong key, a node that is away, another machine's files")
def _(t):
    target = os.path.join(fresh_dir("backups"), "target")
    url = f"http://{t.server.host}:{t.server.port}"
    check("401" in _run("backup.sh", target, "--url", url, "--key-file", token_file("wrong"), code=2), "the sentence about a wrong key")
    check(_run("backup.sh", target, "--url", "http://127.0.0.1:9", "--key-file", token_file(ADMIN_KEY), "--patience", "0.3", code=2), "a sentence")
    lock = os.path.join(tempfile.gettempdir(), f"adtrack-backup-{hashlib.sha256(os.path.abspath(target).encode()).hexdigest()[:16]}.lock")
    with open(lock, "w", encoding="ascii") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        check("under way" in _backup(t.server, target, code=2), "the sentence about another backup")
    check("no backup" in _restore(target, "--check", code=2), "the sentence about an empty target")
    equal(glob.glob(os.path.join(target, "backups", "*")), [], "backups")


@suite.case("checkpoints are kept by two, and whoever is erased is in none of them")
def _(t):
    server = t.server
    visitor = {"user_ip": "203.0.113.77", "agent": AGENT}
    offsets = []
    for number in range(3):
        position = server.click(event_id=f"check-{number}", ad_id=5, timestamp=NOON, **visitor)
        server.analytics([position])
        shard = int(position.split(":")[0])
        made = server.admin("POST", f"/admin/v1/shards/{shard}/checkpoint").expect(200).json()
        check(os.path.isdir(os.path.join(made["path"], "store")), f"no store in {made}")
        offsets.append(made["offset"])
    again = server.admin("POST", f"/admin/v1/shards/{shard}/checkpoint").expect(200).json()
    equal((again["offset"], again["digest"]), (made["offset"], made["digest"]), "a checkpoint of the same offset")
    kind = os.path.join(server.data_dir, "checkpoints", f"shard-{shard}")
    equal(sorted(map(int, os.listdir(kind))), sorted(offsets)[1:], "checkpoints kept")
    log = server.admin("POST", "/admin/v1/log/checkpoint")
    if t.log == "kafka":
        log.expect_problem(409)
    else:
        check(log.expect(200).json()["ends"][str(shard)] >= offsets[-1], "the log ends before the shard")
    server.request("DELETE", "/admin/v1/visitors", json.dumps(visitor).encode(), {"Content-Type": "application/json", "Authorization": f"Bearer {ADMIN_KEY}"}) \
        .expect(202)
    left = os.path.join(server.data_dir, "checkpoints", "*", "*")
    wait_for("the checkpoints to go", 30, lambda: not glob.glob(left), server)
    server.admin("POST", "/admin/v1/shards/99/checkpoint").expect_problem(404)
    shutil.rmtree(os.path.join(server.data_dir, "checkpoints"))
    equal(server.admin("POST", f"/admin/v1/shards/{shard}/checkpoint").expect(200).json()["shard"], shard, "shard")
