"""A Docker engine of the suites' own: a dockerd with its own data, socket, containerd, mounts and network namespace, so that it needs
nothing of a Docker that may be on this machine, its ports are nobody else's, and nothing of it is left when it ends."""

import contextlib
import ctypes
import functools
import os
import shutil
import signal
import subprocess
import time

import harness
from harness import Failure, Skip, check

START_SECONDS = 40
STOP_SECONDS = 20
_CLONE_NEWNET = 0x40000000
_PATH = os.environ.get("PATH", "") + ":/usr/sbin:/sbin"


def _program(name):
    """Debian's and Docker's own packages put the client that belongs to the engine there; another may come first in the PATH."""
    usual = f"/usr/bin/{name}"
    return usual if os.access(usual, os.X_OK) else shutil.which(name, path=_PATH)


@functools.lru_cache(maxsize=None)
def compose_command():
    """The plugin, or the program of its own that Debian 12 has; None when there is neither."""
    client = _program("docker")
    if client and subprocess.run([client, "compose", "version"], capture_output=True, check=False).returncode == 0:
        return [client, "compose"]
    return [_program("docker-compose")] if _program("docker-compose") else None


def why_not():
    """Why there can be no engine here, or None. Whether one starts is seen when it is started."""
    missing = [name for name in ("dockerd", "docker", "ip", "unshare") if _program(name) is None]
    if missing:
        return f"{', '.join(missing)} not installed (Debian: docker.io, iproute2)"
    if os.geteuid() != 0:
        return "a Docker engine of its own needs root"
    return None


class Engine:
    """`network`: its own, in which containers reach each other and nobody else; else the machine's, for a build that needs packages."""

    def __init__(self, network=True):
        if why_not():
            raise Skip(why_not())
        self.folder = harness.fresh_dir("docker")
        self.process = None
        self.environment = {name: value for name, value in os.environ.items() if not name.startswith(("DOCKER_", "COMPOSE_"))}
        self.environment.update(DOCKER_HOST=f"unix://{self._path('socket')}", DOCKER_CONFIG=self._path("client"), DOCKER_BUILDKIT="1")
        harness.at_end.append(self.end)
        self._start(network)

    def _path(self, name):
        return os.path.join(self.folder, name)

    def _start(self, network):
        daemon = [_program("dockerd"), "--data-root", self._path("data"), "--exec-root", self._path("exec"), "--pidfile", self._path("pid"),
                  "-H", f"unix://{self._path('socket')}", "--exec-opt", "native.cgroupdriver=cgroupfs",
                  "--containerd-namespace", "adtrack-e2e", "--containerd-plugins-namespace", "adtrack-e2e-plugins"]
        if network:
            command = ["unshare", "--net", "--mount", "sh", "-c", 'ip link set lo up && exec "$@"', "sh", *daemon]
        else:
            command = ["unshare", "--mount", *daemon, "--bridge=none", "--iptables=false", "--ip6tables=false"]
        with open(self._path("log"), "wb") as log:
            self.process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, env={**self.environment, "PATH": _PATH},
                                            start_new_session=True)
        deadline = time.monotonic() + START_SECONDS
        while subprocess.run([_program("docker"), "version"], env=self.environment, capture_output=True, check=False).returncode != 0:
            if self.process.poll() is not None or time.monotonic() > deadline:
                with open(self._path("log"), encoding="utf-8", errors="replace") as log:
                    said = log.read().strip()[-300:]
                self.end()
                raise Skip(f"no Docker engine can be started here: {said}")
            time.sleep(0.1)

    def end(self):
        """Its containers and volumes go, then the engine; its containerd and mounts go with it."""
        if self.process is None or self.process.poll() is not None:
            return
        containers = self("ps", "-aq", check_code=False).stdout.split()
        if containers:
            self("rm", "-f", "-v", *containers, check_code=False)
        self.process.send_signal(signal.SIGTERM)
        try:
            self.process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        shutil.rmtree(self.folder, ignore_errors=True)

    def run(self, command, timeout=120, check_code=True, **more):
        try:
            done = subprocess.run(command, env=self.environment, capture_output=True, text=True, check=False, timeout=timeout, stdin=subprocess.DEVNULL, **more)
        except subprocess.TimeoutExpired as late:
            raise Failure(f"not done in {timeout} s: {command}: {late.stdout} {late.stderr}") from late
        check(not check_code or done.returncode == 0, lambda: f"{command} -> {done.returncode}: {done.stdout[-1500:]} {done.stderr[-1500:]}")
        return done

    def __call__(self, *arguments, **more):
        return self.run([_program("docker"), *arguments], **more)

    def inspect(self, name, template):
        return self("inspect", "-f", template, name).stdout.strip()

    def import_folder(self, folder, tag, changes=()):
        """An image of a folder's files, owners and all."""
        archive = self._path("archive.tar")
        subprocess.run(["tar", "--numeric-owner", "-C", folder, "-cf", archive, "."], check=True)
        self("import", *[word for change in changes for word in ("--change", change)], archive, tag)
        os.remove(archive)

    @contextlib.contextmanager
    def inside(self):
        """The calling thread is in the engine's network: what it connects to and starts is there."""
        libc = ctypes.CDLL(None, use_errno=True)

        def enter(descriptor):
            if libc.setns(descriptor, _CLONE_NEWNET) != 0:
                raise OSError(ctypes.get_errno(), "setns")
        with open("/proc/thread-self/ns/net", "rb") as home, open(f"/proc/{self.process.pid}/ns/net", "rb") as there:
            enter(there.fileno())
            try:
                yield
            finally:
                enter(home.fileno())
