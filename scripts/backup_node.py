#!/usr/bin/env python3
"""Backs up a running adtrack node to a folder or to an S3-compatible bucket: what `scripts/backup.sh` runs. The node goes on meanwhile.

Each shard is copied at one offset, with its digest; then the embedded log and the catalogue of ads, which reach at least as far. Only
files that the target does not have yet are written, so a second backup is as large as what changed. With the log in Kafka only the
shards are copied: a restored node reads on from there. Runs on the node's machine, as a user who may read its data directory.
A target is for one node. Not in it: keys and certificates, a visitor key that privacy.visitor_key_file puts elsewhere, the quarantine, and events that wait in a
spool. In it: the node's own visitor key, so the target must be as private as the node. Whoever was erased after a backup is still in it.
Exit code 0: the backup is whole; 2: it could not be made, and what is in the target is as it was."""

import contextlib
import datetime
import fcntl
import hashlib
import json
import os
import re
import shutil
import sys
import tempfile

from adtrack_client import Client, Stop, arguments, end_of, key_of
from backup_target import Damaged, add_target, backups, digest_of, manifest, manifest_path, object_path, target_of

SMALL = ("FORMAT", "LOG", "visitor.key")  # of the data directory


def answer(adtrack, method, path, none=None):
    """(headers, members) of an answer with status 200; None for status `none`; any other ends the script."""
    status, headers, body = adtrack.ask(method, path)
    if status == none:
        return None
    if status != 200:
        raise Stop(f"adtrack answered {status} to {method} {path}: {body[:300].decode(errors='replace')}")
    return headers, json.loads(body) if body else None


class Copy:
    """What one backup is made of so far."""

    def __init__(self, target):
        self.target, self.known = target, target.names("objects")
        self.files, self.bytes, self.new, self.new_bytes = [], 0, 0, 0

    def add(self, folder, below):
        """Every file of that folder, as it is to stand below the data directory."""
        if not os.path.isdir(folder):
            raise Stop(f"{folder} is not there or cannot be read: run this on the node's machine, as the user that adtrack runs as")
        self.add_files({os.path.join(below, os.path.relpath(os.path.join(top, name), folder)): os.path.join(top, name)
                        for top, _, names in os.walk(folder) for name in names if name != "LOCK"})

    def add_files(self, files):
        """files: {path below the data directory: file}"""
        fresh = {}
        for path, source in sorted(files.items()):
            size, digest = os.path.getsize(source), digest_of(source)
            self.files.append({"path": path, "size": size, "sha256": digest})
            self.bytes += size
            if object_path(digest) not in self.known | fresh.keys():
                fresh[object_path(digest)] = source
                self.new_bytes += size
        self.target.put(fresh)
        self.known |= fresh.keys()
        self.new += len(fresh)


def data_dir_of(path):
    """Of a checkpoint's path."""
    found = re.fullmatch(r"(.+)/checkpoints/[^/]+/\d+", path)
    if not found:
        raise Stop(f"adtrack names a checkpoint {path}, which is in no data directory")
    return found.group(1)


def copy_shards(adtrack, copy):
    headers, _ = answer(adtrack, "GET", "/admin/v1/log/0?max=0")
    shards, data_dir = [], None
    for number in range(int(headers["Adtrack-Log-Shards"])):
        made = answer(adtrack, "POST", f"/admin/v1/shards/{number}/checkpoint")[1]
        data_dir = data_dir_of(made["path"])
        copy.add(os.path.join(made["path"], "store"), f"shards/{number}")
        shutil.rmtree(made["path"])  # it would keep files on the disk that the node has given up
        shards.append({name: made[name] for name in ("shard", "offset", "digest")})
        print(f"shard {number}: offset {made['offset']:,}", file=sys.stderr)
    return shards, data_dir


def copy_log(adtrack, copy, shards):
    """How far each shard of the log is in the backup; None: it is kept elsewhere."""
    found = answer(adtrack, "POST", "/admin/v1/log/checkpoint", none=409)
    if found is None:
        return None
    made = found[1]
    short = [each["shard"] for each in shards if made["ends"][str(each["shard"])] < each["offset"]]
    if short:
        raise Stop(f"the log ends before what shards {short} have counted")
    for name in ("log", "ads"):
        copy.add(os.path.join(made["path"], name), name)
    shutil.rmtree(made["path"])
    return made["ends"]


@contextlib.contextmanager
def alone(target):
    """Of the backups to that target, on this machine: one would remove what another has written and not named yet."""
    path = os.path.join(tempfile.gettempdir(), f"adtrack-backup-{hashlib.sha256(str(target).encode()).hexdigest()[:16]}.lock")
    with open(os.open(path, os.O_RDWR | os.O_CREAT, 0o600), "r+", encoding="ascii") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as why:
            raise Stop(f"another backup to {target} is under way") from why
        yield


def prune(target, keep):
    """All but the newest `keep` backups, and the objects that none of those has."""
    names = backups(target)
    gone, kept = names[:-keep], names[-keep:]
    needed = {object_path(file["sha256"]) for name in kept for file in manifest(target, name)["files"]}
    if gone:
        target.remove(sorted(manifest_path(name) for name in gone))  # first: no backup may lack what it names
    useless = target.names("objects") - needed
    if useless:
        target.remove(sorted(useless))
    return len(gone), len(useless)


def run(options):
    target = target_of(options)
    with alone(target):
        return back_up(options, target)


def back_up(options, target):
    adtrack = Client(options.url, key_of(options.key_file), options.patience)
    began = datetime.datetime.now(datetime.timezone.utc)
    name = began.strftime("%Y%m%dT%H%M%SZ")
    if name in backups(target):
        raise Stop(f"{target} has a backup {name} already: wait a second")
    copy = Copy(target)
    shards, data_dir = copy_shards(adtrack, copy)
    log = copy_log(adtrack, copy, shards)
    copy.add_files({file: path for file in SMALL if os.path.isfile(path := os.path.join(data_dir, file))})
    if not os.path.isfile(os.path.join(data_dir, "visitor.key")):
        print("warning: the visitor key is not in the data directory; keep the file of privacy.visitor_key_file as well", file=sys.stderr)
    made = {"format": 1, "name": name, "adtrack": answer(adtrack, "GET", "/openapi.json")[1]["info"]["version"], "shards": shards, "log": log,
            "files": copy.files}
    with tempfile.NamedTemporaryFile("w", encoding="utf-8") as file:
        json.dump(made, file, indent=1)
        file.flush()
        target.put({manifest_path(name): file.name})
    kind = "shards, log and ads" if log else "shards; the log is in Kafka"
    print(f"backup {name} in {target}: {kind}; {len(copy.files):,} files, {copy.bytes / 1e6:,.1f} MB, of which {copy.new:,} files, "
          f"{copy.new_bytes / 1e6:,.1f} MB are new; {(datetime.datetime.now(datetime.timezone.utc) - began).total_seconds():.1f} s")
    if options.keep:
        gone, useless = prune(target, options.keep)
        print(f"removed {gone} older backups and {useless} files that no other has")
    return 0


def main():
    parser = arguments("backup.sh", __doc__, "admin", (60, "for which a refused request is tried again"),
                       "of adtrack, its admin listener where it has one")
    add_target(parser)
    parser.add_argument("--keep", type=int, help="remove all but the newest so many backups afterwards, and what only they have")
    options = parser.parse_args()
    if options.keep is not None and options.keep < 1:
        parser.error("--keep is at least 1")
    try:
        return end_of(run, options)
    except Damaged as why:
        print(f"error: {why}; the backups before are as they were", file=sys.stderr)
        return 2


if __name__ == "__main__":
    sys.exit(main())
