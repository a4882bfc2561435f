"""The containers suite's image and its docker-compose.yml, brought up in an engine of its own: the adtrackd that was built, and, as no
images can be pulled in a test, stand-ins under the names of the others (tests/e2e/stand_ins), which run this machine's own Debian packages."""

import json
import os
import re
import shutil
import subprocess
import time

import harness
import kafka
from docker import Engine, compose_command
from harness import ROOT, Client, Failure, Skip, check
from kafka import wait_for

STAND_INS = os.path.join(ROOT, "tests", "e2e", "stand_ins")
SERVICES = ("adtrackd", "kafka", "prometheus", "grafana")
UP_SECONDS = 240
BUILD_SECONDS = 3600
PROJECT = "adtrack-e2e"


def engine_with_image(whole):
    """An engine with the image `adtrack`: the Dockerfile's last stage around the binary at hand or, `whole`, all of it, compiled in a container."""
    if whole:
        image = _whole_image()
        engine = Engine()
        engine("load", "-i", image)
        return engine
    if harness.binary_is_sanitized():
        raise Skip("this binary is made for a sanitizer")
    engine = Engine()
    folder = harness.fresh_dir("image")
    engine.run([os.path.join(ROOT, "scripts", "image-root.sh"), harness.BINARY, os.path.join(folder, "image")])
    engine.import_folder(folder, f"{PROJECT}-root")
    engine("build", "-q", "-t", "adtrack", "--build-arg", f"ROOT={PROJECT}-root", ROOT)
    return engine


def _whole_image():
    """A file with the image. Its base is made by mmdebstrap as debian:bookworm-slim is: without documentation."""
    if shutil.which("mmdebstrap") is None:
        raise Skip("mmdebstrap is not installed, to make the base image with")
    builder = Engine(network=False)
    folder = harness.fresh_dir("whole")
    base, image = os.path.join(folder, "base.tar"), os.path.join(folder, "image.tar")
    slim = [f"--dpkgopt=path-{rule}" for rule in ("exclude=/usr/share/doc/*", "include=/usr/share/doc/*/copyright", "exclude=/usr/share/man/*")]
    builder.run(["mmdebstrap", "--quiet", "--variant=minbase", *slim, "bookworm", base], timeout=600)
    builder("import", base, "debian:bookworm-slim")
    builder("build", "--network=host", "-t", "adtrack", ROOT, timeout=BUILD_SECONDS)
    builder("save", "-o", image, "adtrack")
    builder.end()
    return image


def image_of(service):
    with open(os.path.join(ROOT, "docker-compose.yml"), encoding="utf-8") as file:
        return re.search(rf"^  {service}:\n(?:    .*\n|\n)*?    image: (\S+)", file.read(), re.MULTILINE).group(1)


def _make_stand_ins(engine):
    """One small root for all of them: what runs comes with /usr of this machine, mounted read-only."""
    if kafka.why_not():
        raise Skip(kafka.why_not())
    missing = [name for name in ("java", "prometheus", "wget") if shutil.which(name) is None]
    if missing:
        raise Skip(f"not installed, to stand in for images: {', '.join(missing)}")
    folder = harness.fresh_dir("stand-in")

    def made(path, owner=0):
        os.makedirs(os.path.join(folder, path))
        os.chown(os.path.join(folder, path), owner, owner)
    for path, owner in {"usr": 0, "etc/kafka/docker": 0, "mnt/shared/config": 0, "opt/kafka/jars": 0, "opt/kafka/config": 1000, "var/lib/kafka/data": 1000,
                        "prometheus": 65534, "var/lib/grafana": 472, "tmp": 0}.items():
        made(path, owner)
    os.chmod(os.path.join(folder, "tmp"), 0o1777)
    for name in ("bin", "sbin", "lib", "lib64"):
        os.symlink(f"usr/{name}", os.path.join(folder, name))
    for name in ("alternatives", "java-17-openjdk"):
        shutil.copytree(f"/etc/{name}", os.path.join(folder, "etc", name), symlinks=name == "alternatives")
    with open(os.path.join(folder, "etc", "passwd"), "w", encoding="ascii") as file:
        file.write("root:x:0:0::/:/bin/bash\nappuser:x:1000:1000::/:/bin/bash\nnobody:x:65534:65534::/:/bin/bash\ngrafana:x:472:472::/:/bin/bash\n")
    shutil.copytree(STAND_INS, os.path.join(folder, "stand-in"), ignore=shutil.ignore_patterns("__pycache__"))
    path = "ENV PATH=/usr/sbin:/usr/bin:/sbin:/bin"
    engine.import_folder(folder, image_of("admin-key"), [path])
    engine.import_folder(folder, image_of("kafka"), [path, "USER 1000", 'CMD ["/stand-in/kafka.sh"]'])
    engine.import_folder(folder, image_of("prometheus"), [path, "USER 65534", "WORKDIR /prometheus", 'ENTRYPOINT ["/usr/bin/prometheus"]'])
    engine.import_folder(folder, image_of("grafana"), [path, "USER 472", 'ENTRYPOINT ["/stand-in/grafana.py"]'])


def _jars():
    with open(os.path.join(ROOT, "scripts", "kafka", "pom.xml"), encoding="utf-8") as file:
        version = re.search(r"<version>(3[0-9.]*)</version>", file.read()).group(1)
    check(image_of("kafka") == f"apache/kafka:{version}", f"docker-compose.yml and scripts/kafka/pom.xml differ: {image_of('kafka')}, {version}")
    return os.path.join(os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache"), "adtrack", "kafka", version)


class Stack:
    """docker-compose.yml as it is, ports and all, in the engine's network; the stand-ins' mounts are all that is added."""

    def __init__(self, engine):
        if compose_command() is None:
            raise Skip("docker compose is not installed (Debian: docker-compose)")
        self.engine = engine
        _make_stand_ins(engine)
        mounts = {name: {"volumes": ["/usr:/usr:ro"]} for name in ("admin-key", "kafka", "prometheus", "grafana")}
        mounts["kafka"]["volumes"].append(f"{_jars()}:/opt/kafka/jars:ro")
        self._override = os.path.join(harness.fresh_dir("compose"), "stand-ins.yml")
        with open(self._override, "w", encoding="utf-8") as file:  # JSON is YAML
            json.dump({"services": mounts}, file)
        self.up()

    def compose(self, *arguments, **more):
        return self.engine.run([*compose_command(), "-p", PROJECT, "-f", os.path.join(ROOT, "docker-compose.yml"), "-f", self._override, *arguments], **more)

    def up(self):
        self.compose("up", "-d", "--no-build", timeout=UP_SECONDS)

    def container(self, service):
        return self.compose("ps", "-q", service).stdout.strip()

    def health(self, service):
        return self.engine.inspect(self.container(service), "{{.State.Health.Status}}")

    def wait_healthy(self):
        for service in SERVICES:
            wait_for(f"{service} is healthy", UP_SECONDS, lambda: self.health(service) == "healthy")

    def token(self):
        return re.search(r"not shown again: ([0-9a-f]{64})", self.compose("logs", "--no-color", "admin-key").stdout).group(1)


def ask(address, port, method, path, body=None, headers=None):
    """On a connection of its own; within the engine's network."""
    client = Client(address, port)
    try:
        return client.request(method, path, None if body is None else json.dumps(body).encode(), {"Content-Type": "application/json", **(headers or {})})
    finally:
        client.close()


def wait_ready(address, port, seconds=60):
    deadline = time.monotonic() + seconds
    while True:
        try:
            return ask(address, port, "GET", "/readyz").expect(200)
        except (OSError, Failure):
            if time.monotonic() > deadline:
                raise
            time.sleep(0.05)
