#!/usr/bin/env python3
"""Brings a backup back into a new data directory, or checks one: what `scripts/restore.sh` runs.

Every file is checked against the SHA-256 that it was written with. `--check` restores into a scratch folder, has adtrackd say what the
shards there hold, compares offsets and digests with those of the backup, and, when the backup has the log, starts adtrackd on it and
waits until every shard has counted the log to its end. `--list` says which backups there are.
Exit code 0: it is restored, or whole; 1: the backup is not what it says; 2: it could not be tried."""

import argparse
import json
import os
import pwd
import shutil
import subprocess
import sys
import tempfile
import time

from adtrack_client import Client, Stop, end_of
from backup_target import Damaged, add_target, backups, manifest, object_path, place, sync, target_of

START_SECONDS = 120


def chosen(target, options):
    names = backups(target)
    if not names:
        raise Stop(f"there is no backup in {target}")
    if options.at and options.at not in names:
        raise Stop(f"{target} has no backup {options.at}; --list says which there are")
    return manifest(target, options.at or names[-1])


def restore(target, backup, data_dir):
    """Writes the backup's files into a directory that does not exist, which gets its name when all are there."""
    data_dir = os.path.abspath(data_dir)
    if os.path.exists(data_dir) and os.listdir(data_dir):
        raise Stop(f"{data_dir} is not empty: stop adtrack and move it aside, or name another folder")
    draft = f"{data_dir}.unfinished"
    shutil.rmtree(draft, ignore_errors=True)
    os.makedirs(draft, mode=0o700)
    with tempfile.TemporaryDirectory(dir=draft, prefix="objects.") as scratch:
        objects = target.get(sorted({object_path(file["sha256"]) for file in backup["files"]}), scratch)
        for file in backup["files"]:
            path = os.path.normpath(os.path.join(draft, file["path"]))
            if not path.startswith(draft + os.sep):
                raise Stop(f"the backup names a file outside of the data directory: {file['path']}")
            place(objects[object_path(file["sha256"])], path, file["sha256"])
    if os.path.isdir(data_dir):
        os.rmdir(data_dir)
    os.rename(draft, data_dir)
    sync(os.path.dirname(data_dir))
    return data_dir


def give_to(user, data_dir):
    try:
        owner = pwd.getpwnam(user)
    except KeyError as why:
        raise Stop(f"there is no user {user}") from why
    for top, folders, files in os.walk(data_dir):
        for path in [top] + [os.path.join(top, name) for name in folders + files]:
            os.chown(path, owner.pw_uid, owner.pw_gid)


def adtrackd_of(options):
    root = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
    found = options.adtrackd or next((path for path in (os.path.join(root, "build", "release", "adtrackd"), shutil.which("adtrackd")) if path and
                                      os.access(path, os.X_OK)), None)
    if not found:
        raise Stop("--check needs adtrackd: name it by --adtrackd")
    return found


def compare_digests(adtrackd, backup, data_dir):
    done = subprocess.run([adtrackd, "--digests", "--data.dir", data_dir, "--log.shards", str(len(backup["shards"]))], capture_output=True, text=True,
                          check=False)
    if done.returncode != 0:
        raise Damaged(f"adtrackd cannot read the restored shards: {done.stderr.strip()[-500:]}")
    for wanted, line in zip(backup["shards"], done.stdout.splitlines(), strict=True):
        if json.loads(line) != wanted:
            raise Damaged(f"shard {wanted['shard']} is {line}, the backup says {json.dumps(wanted)}")


def count_on(adtrackd, backup, data_dir):
    """Starts adtrackd on the restored log; the number of records in it."""
    log = os.path.join(data_dir, "check.log")
    with open(log, "wb") as said:
        server = subprocess.Popen([adtrackd, "--http.host", "127.0.0.1", "--http.port", "0", "--data.dir", data_dir, "--log.shards",
                                   str(len(backup["shards"]))], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=said)
    try:
        port, deadline = None, time.monotonic() + START_SECONDS
        while port is None:
            with open(log, encoding="utf-8", errors="replace") as lines:
                ready = [json.loads(line) for line in lines if '"event":"ready"' in line]
            port = ready[0]["port"] if ready else None
            if server.poll() is not None or time.monotonic() > deadline:
                with open(log, encoding="utf-8", errors="replace") as lines:
                    raise Damaged(f"adtrackd does not start on the restored data: {lines.read()[-500:]}")
            time.sleep(0.05)
        adtrack = Client(f"http://127.0.0.1:{port}", None, 30)
        while True:
            status, _, body = adtrack.ask("GET", "/api/v1/ads/analytics?limit=1&explain=true")
            answer = json.loads(body)
            if status == 200 and answer.get("log_faults"):
                raise Damaged(f"the restored log is not the one that the shards counted: {answer['log_faults']}")
            if status == 200 and answer["complete"] and answer["lag_ms"] == 0:
                break
            if time.monotonic() > deadline:
                raise Damaged(f"the shards do not reach the end of the restored log: {body[:300].decode(errors='replace')}")
            time.sleep(0.1)
        return sum(answer["positions"].values())
    finally:
        server.terminate()
        try:
            server.wait(15)
        except subprocess.TimeoutExpired:
            server.kill()
            server.wait()


def check(target, backup, options):
    adtrackd = adtrackd_of(options)
    with tempfile.TemporaryDirectory(dir=options.scratch, prefix="adtrack-restore.") as folder:
        data_dir = restore(target, backup, os.path.join(folder, "data"))
        compare_digests(adtrackd, backup, data_dir)
        counted = f"; adtrackd starts on it and has counted all {count_on(adtrackd, backup, data_dir):,} records" if backup["log"] else ""
    print(f"backup {backup['name']} of {target} is whole: {len(backup['files']):,} files, the digests of all {len(backup['shards'])} shards are "
          f"as they were{counted}")


def run(options):
    target = target_of(options)
    if options.list:
        for name in backups(target):
            found = manifest(target, name)
            print(f"{name}  {sum(file['size'] for file in found['files']) / 1e6:,.1f} MB  {len(found['shards'])} shards"
                  f"{', log and ads' if found['log'] else ''}  adtrack {found['adtrack']}")
        return 0
    try:
        backup = chosen(target, options)
        if options.check:
            check(target, backup, options)
            return 0
        data_dir = restore(target, backup, options.data_dir)
    except Damaged as why:
        print(f"error: {why}", file=sys.stderr)
        return 1
    if options.owner:
        give_to(options.owner, data_dir)
    print(f"backup {backup['name']} is in {data_dir}. Start adtrackd with --data.dir {data_dir} --log.shards {len(backup['shards'])} and the settings that "
          "it had; erase anew whoever was erased since the backup")
    return 0


def main():
    parser = argparse.ArgumentParser(prog="restore.sh", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add_target(parser)
    parser.add_argument("--at", help="a backup's name (the newest)")
    what = parser.add_mutually_exclusive_group(required=True)
    what.add_argument("--data-dir", help="restore here: a folder that is empty or not there")
    what.add_argument("--check", action="store_true", help="restore into a scratch folder and compare")
    what.add_argument("--list", action="store_true", help="say which backups there are")
    parser.add_argument("--owner", help="the user that the restored files are given to")
    parser.add_argument("--adtrackd", help="the program for --check (build/release/adtrackd, or that on the path)")
    parser.add_argument("--scratch", help="where --check makes its folder (the system's)")
    return end_of(run, parser.parse_args())


if __name__ == "__main__":
    sys.exit(main())
