"""A Debian 12 of its own in a directory, booted with its own systemd by systemd-nspawn, without a network but its own loopback. The
packages of its base come from where this machine has its own, once; they are kept in the user's cache. What it needs that is not there
(root, the tools, a mirror, a kernel that lets a systemd boot) is a Skip that says so."""

import contextlib
import ctypes
import glob
import hashlib
import os
import shutil
import subprocess
import time

from harness import Failure, Skip, at_end, check, fresh_dir

CLONE_NEWNET = 0x40000000
BASE = ["systemd", "systemd-sysv"]
BOOT_SECONDS = 60


def _output(*command, **more):
    return subprocess.run(command, check=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=300, **more).stdout


def depends_of(package):
    """The names that a .deb depends on."""
    listed = _output("dpkg-deb", "-f", package, "Depends")
    return [item.split("|")[0].split("(")[0].strip() for item in listed.split(",")]


def _base(packages):
    """A tar file with a minimal Debian and these packages."""
    name = hashlib.sha256(" ".join(sorted(packages)).encode()).hexdigest()[:16]
    cache = os.path.join(os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache"), "adtrack")
    path = os.path.join(cache, f"debian-12-{name}.tar")
    if not os.path.exists(path):
        os.makedirs(cache, exist_ok=True)
        for old in glob.glob(os.path.join(cache, f"debian-12-{'?' * len(name)}.tar")):
            os.remove(old)
        sources = [file for file in ("/etc/apt/sources.list.d/debian.sources", "/etc/apt/sources.list") if os.path.exists(file) and os.path.getsize(file)]
        made = f"{path}.{os.getpid()}.tar"
        try:
            _output("mmdebstrap", "--variant=minbase", f"--include={','.join(packages)}", "bookworm", made, *sources[:1])
        except (subprocess.CalledProcessError, subprocess.TimeoutExpired) as error:
            raise Skip(f"mmdebstrap could not make a Debian: {str(error.stdout or error).strip().splitlines()[-1][:200]}") from error
        os.rename(made, path)
    return path


class Machine:
    def __init__(self, packages):
        if os.getuid() != 0:
            raise Skip("this needs root to boot a system of its own")
        for tool in ("mmdebstrap", "systemd-nspawn", "nsenter"):
            if shutil.which(tool) is None:
                raise Skip(f"there is no {tool} (Debian: mmdebstrap, systemd-container, util-linux)")
        self.root = os.path.join(fresh_dir("debian"), "root")
        os.makedirs(self.root)
        _output("tar", "-C", self.root, "-xf", _base(BASE + packages))
        self.process = self.init = None
        at_end.append(self.end)
        self._boot()

    def _boot(self):
        has_systemd = os.path.isdir("/run/systemd/system")
        command = ["systemd-nspawn", f"--directory={self.root}", "--boot", "--register=no", "--quiet", "--private-network", "--console=pipe", "--hostname=host"]
        self.log_path = self.root + ".log"
        with open(self.log_path, "wb") as log:
            # Without a systemd that gives it one, it boots in a control group that is made here, so that several do not meet.
            self.process = subprocess.Popen(command + ([] if has_systemd else ["--keep-unit"]), stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                                            preexec_fn=None if has_systemd else self._enter_group, start_new_session=True)
        state, give_up = "", time.monotonic() + BOOT_SECONDS
        while state not in ("running", "degraded"):
            if self.process.poll() is not None or time.monotonic() > give_up:
                with open(self.log_path, encoding="utf-8", errors="replace") as file:
                    raise Skip(f"systemd does not boot in a container here: {file.read().strip()[-200:] or state or 'it says nothing'}")
            time.sleep(0.1)
            with contextlib.suppress(OSError, IndexError):
                with open(f"/proc/{self.process.pid}/task/{self.process.pid}/children", encoding="ascii") as file:
                    self.init = int(file.read().split()[0])
                state = self._enter("systemctl", "is-system-running").stdout.strip()

    def _enter_group(self):
        for tree in ("/sys/fs/cgroup/systemd", "/sys/fs/cgroup/unified", "/sys/fs/cgroup"):
            if os.path.exists(f"{tree}/cgroup.procs"):
                group = f"{tree}/adtrack-e2e-{os.getpid()}"
                os.makedirs(group, exist_ok=True)
                with open(f"{group}/cgroup.procs", "w", encoding="ascii") as file:
                    file.write(str(os.getpid()))

    def _enter(self, *command):
        return subprocess.run(["nsenter", "-t", str(self.init), "-a", "env", "-i", "PATH=/usr/sbin:/usr/bin:/sbin:/bin", "HOME=/root", "LC_ALL=C.UTF-8",
                               "DEBIAN_FRONTEND=noninteractive", *command],
                              stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=90, check=False)

    def run(self, *command, code=0):
        """What a command in it said; it must end with `code`, or in any way with None."""
        done = self._enter(*command)
        check(code is None or done.returncode == code, lambda: f"{' '.join(command)}: expected exit code {code}, got {done.returncode}: {done.stdout[-2000:]}")
        return done.stdout

    def take(self, path, to="/root"):
        """Copies a file or directory of this machine into it; its path there."""
        inside = os.path.join(to, os.path.basename(path))
        copy = shutil.copytree if os.path.isdir(path) else shutil.copy
        copy(path, self.root + inside)
        return inside

    @contextlib.contextmanager
    def network(self):
        """Within it, this thread, and those that it starts, open their connections inside."""
        libc = ctypes.CDLL(None, use_errno=True)
        with open("/proc/thread-self/ns/net", "rb") as ours, open(f"/proc/{self.init}/ns/net", "rb") as theirs:
            if libc.setns(theirs.fileno(), CLONE_NEWNET) != 0:
                raise Failure(f"setns: {os.strerror(ctypes.get_errno())}")
            try:
                yield
            finally:
                libc.setns(ours.fileno(), CLONE_NEWNET)

    def end(self):
        if self.process is None:
            return
        if self.process.poll() is None:
            with contextlib.suppress(OSError):
                if self.init is not None:
                    os.kill(self.init, 9)  # and with it all that runs inside
            with contextlib.suppress(subprocess.TimeoutExpired):
                self.process.wait(10)
            self.process.kill()
            self.process.wait()
        for tree in ("systemd", "unified", ""):
            for path, _, _ in os.walk(f"/sys/fs/cgroup/{tree}/adtrack-e2e-{self.process.pid}", topdown=False):
                with contextlib.suppress(OSError):
                    os.rmdir(path)
        self.process = None
