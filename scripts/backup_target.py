"""Where backups are kept, and what stands there: `objects/<2>/<sha256>` hold files, each once whatever how many backups have it, and
`backups/<name>.json` says which files a backup is made of. A folder, or a bucket of an S3-compatible service (s3://bucket/prefix) by
the rclone command, with AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or the machine's own role, and AWS_REGION."""

import hashlib
import json
import os
import re
import shutil
import subprocess
import tempfile

from adtrack_client import Stop

CHUNK = 1 << 20
NAME = re.compile(r"\d{8}T\d{6}Z")  # of a backup: when it began, UTC


class Damaged(Exception):
    """A backup is not what it says; the text says why."""


def object_path(digest):
    return f"objects/{digest[:2]}/{digest}"


def manifest_path(name):
    return f"backups/{name}.json"


def digest_of(path):
    """SHA-256 of a file, in hex."""
    digest = hashlib.sha256()
    with open(path, "rb") as file:
        while chunk := file.read(CHUNK):
            digest.update(chunk)
    return digest.hexdigest()


def sync(path):
    """Makes a file, or what is named in a directory, survive a power loss."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def place(source, path, expected=None):
    """Copies a file to `path`, whole or not at all and durably; one whose SHA-256 is not `expected` is Damaged."""
    os.makedirs(os.path.dirname(path), exist_ok=True)
    draft, digest = f"{path}.unfinished", hashlib.sha256()
    with open(source, "rb") as file, open(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as out:
        while chunk := file.read(CHUNK):
            digest.update(chunk)
            out.write(chunk)
        out.flush()
        os.fsync(out.fileno())
    if expected and digest.hexdigest() != expected:
        os.remove(draft)
        raise Damaged(f"{source} is damaged: its SHA-256 is {digest.hexdigest()}, not {expected}")
    os.replace(draft, path)
    sync(os.path.dirname(path))


class Folder:
    """A folder of this machine, made when it is missing."""

    def __init__(self, path):
        self.path = os.path.abspath(path)

    def __str__(self):
        return self.path

    def names(self, below):
        """Every file below that folder, by its path in the target."""
        top = os.path.join(self.path, below)
        return {os.path.relpath(os.path.join(folder, name), self.path) for folder, _, files in os.walk(top) for name in files}

    def put(self, files):
        """files: {path in the target: file}"""
        os.makedirs(self.path, mode=0o700, exist_ok=True)
        for name, source in files.items():
            place(source, os.path.join(self.path, name))

    def get(self, names, into):
        """Brings files of the target to that folder; returns {path in the target: file}."""
        found = {name: os.path.join(self.path, name) for name in names}
        missing = [name for name, path in found.items() if not os.path.isfile(path)]
        if missing:
            raise Damaged(f"{self} lacks {missing[0]}" + (f" and {len(missing) - 1} others" if missing[1:] else ""))
        return found

    def remove(self, names):
        for name in names:
            os.remove(os.path.join(self.path, name))


class Bucket:
    """s3://bucket/prefix, by rclone. `endpoint`: of a service that is not Amazon's."""

    def __init__(self, url, endpoint):
        if shutil.which("rclone") is None:
            raise Stop("a bucket needs the rclone command: apt-get install rclone")
        self.url, where = url, url.removeprefix("s3://").strip("/")
        if not where:
            raise Stop(f"{url} names no bucket: s3://bucket/prefix")
        options = {"env_auth": "true", "provider": "Other" if endpoint else "AWS", "no_check_bucket": "true"}
        if endpoint:
            options["endpoint"] = f"'{endpoint}'"
        self.remote = f":s3,{','.join(f'{name}={value}' for name, value in options.items())}:{where}"

    def __str__(self):
        return self.url

    def _run(self, command, *arguments, may_fail=False):
        environment = dict(os.environ)
        authorities = environment.pop("AWS_CA_BUNDLE", None)  # rclone fails on it and has an option of its own
        options = ["--config=", "--retries=5", "--low-level-retries=10", "--contimeout=10s", "--timeout=60s"] + ([f"--ca-cert={authorities}"] if authorities else [])
        done = subprocess.run(["rclone", command, *options, *arguments], capture_output=True, text=True, check=False, env=environment)
        if done.returncode == 3 and may_fail:  # there is no such folder
            return ""
        if done.returncode != 0:
            raise Stop(f"rclone {command} on {self} failed: {done.stderr.strip()[-500:]}")
        return done.stdout

    def _listed(self, names, folder):
        path = os.path.join(folder, "names")
        with open(path, "w", encoding="utf-8") as file:
            file.writelines(f"{name}\n" for name in names)
        return f"--files-from-raw={path}"

    def names(self, below):
        return {f"{below}/{line}" for line in self._run("lsf", "-R", "--files-only", f"{self.remote}/{below}", may_fail=True).splitlines()}

    def put(self, files):
        if not files:
            return
        with tempfile.TemporaryDirectory() as folder:
            for name, source in files.items():
                link = os.path.join(folder, "files", name)
                os.makedirs(os.path.dirname(link), exist_ok=True)
                os.symlink(os.path.abspath(source), link)
            self._run("copy", "--copy-links", "--ignore-times", self._listed(files, folder), os.path.join(folder, "files"), self.remote)

    def get(self, names, into):
        with tempfile.TemporaryDirectory() as folder:
            self._run("copy", self._listed(names, folder), self.remote, into)
        return Folder(into).get(names, into)

    def remove(self, names):
        with tempfile.TemporaryDirectory() as folder:
            self._run("delete", self._listed(names, folder), self.remote)


def target_of(options):
    return Bucket(options.target, options.endpoint) if options.target.startswith("s3://") else Folder(options.target)


def add_target(parser):
    parser.add_argument("target", help="a folder, or s3://bucket/prefix")
    parser.add_argument("--endpoint", help="url of an S3-compatible service that is not Amazon's")


def backups(target):
    """Names of the whole ones, oldest first."""
    found = (os.path.basename(path).removesuffix(".json") for path in target.names("backups") if path.endswith(".json"))
    return sorted(name for name in found if NAME.fullmatch(name))


def manifest(target, name):
    with tempfile.TemporaryDirectory() as folder:
        path = target.get([manifest_path(name)], folder)[manifest_path(name)]
        try:
            with open(path, encoding="utf-8") as file:
                found = json.load(file)
        except ValueError as why:
            raise Damaged(f"backup {name} of {target} cannot be read: {why}") from why
    if found.get("format") != 1:
        raise Stop(f"backup {name} of {target} has format {found.get('format')}, this script reads format 1: use the one that wrote it")
    return found
