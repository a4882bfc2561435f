"""The Debian package on a host: a Debian of its own with a real systemd (tests/e2e/debian.py), where scripts/install.sh and
scripts/upgrade.sh do what they do for an operator. The cases are one story and share that host."""

import contextlib
import functools
import glob
import os
import re
import shutil
import subprocess
import time

from debian import Machine, depends_of
from harness import BINARY, ROOT, Server, Skip, Suite, check, equal, fresh_dir
from suites.upgrades import UnderLoad

EXPOSURE_MAX = 1.5  # of systemd-analyze security, 0 to 10; what is left is what a server needs: Internet, Unix sockets, the root directory


class Host(Server):
    """The adtrackd of the package, reached from inside that host."""

    def __init__(self):
        super().__init__(name="host")
        self.port = 8080
        self.package = _package()
        self.machine = Machine(depends_of(self.package))
        self.scripts = self.machine.take(os.path.join(ROOT, "scripts"))

    def alive(self):
        return self.machine.run("systemctl", "is-active", "adtrackd", code=None).strip() == "active"

    def log_text(self, all_starts=False):
        return self.machine.run("journalctl", "-u", "adtrackd", "-o", "cat", "--no-pager", "-n", "50", code=None)

    def show(self, *names):
        lines = self.machine.run("systemctl", "show", "adtrackd", *(f"-p{name}" for name in names)).splitlines()
        return dict(line.split("=", 1) for line in lines)

    def status_of(self, pid):
        return dict(re.findall(r"^(\w+):\s+(.*)$", self.machine.run("cat", f"/proc/{pid}/status"), re.M))

    def version(self):
        return self.machine.run("dpkg-query", "-W", "-f", "${db:Status-Status} ${Version}", "adtrack", code=None)


@functools.lru_cache(maxsize=1)
def _package():
    """Made by cpack out of the build that is tested."""
    build = os.path.dirname(BINARY)
    if not os.path.exists(os.path.join(build, "CPackConfig.cmake")) or shutil.which("cpack") is None:
        raise Skip(f"{build} is no build directory that cpack can make a package of")
    to = fresh_dir("package")
    done = subprocess.run(["cpack", "-B", to], cwd=build, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False, timeout=300)
    made = glob.glob(os.path.join(to, "adtrack_*.deb"))
    check(done.returncode == 0 and len(made) == 1, f"cpack made {made}: {done.stdout[-1500:]}")
    return made[0]


def _remade(package, version, program=None):
    """The package with another version, and another program: other bytes behind the one that it has, or these lines."""
    tree = os.path.join(fresh_dir("remade"), "tree")
    subprocess.run(["dpkg-deb", "-R", package, tree], check=True)
    control = os.path.join(tree, "DEBIAN", "control")
    with open(control, encoding="utf-8") as file:
        text = re.sub(r"(?m)^Version: .*$", f"Version: {version}", file.read())
    with open(control, "w", encoding="utf-8") as file:
        file.write(text)
    with open(os.path.join(tree, "usr", "bin", "adtrackd"), "ab" if program is None else "wb") as file:
        file.write((program or version).encode())
    made = os.path.join(os.path.dirname(tree), f"adtrack_{version}_amd64.deb")
    subprocess.run(["dpkg-deb", "--root-owner-group", "-b", tree, made], check=True, stdout=subprocess.DEVNULL)
    return made


_host = []  # the one that the cases share, or the Skip that says why there is none


def _the_host():
    if not _host:
        try:
            _host.append(Host())
        except Skip as skip:
            _host.append(skip)
    if isinstance(_host[0], Skip):
        raise _host[0]
    return _host[0]


@contextlib.contextmanager
def _inside():
    host = _the_host()
    host.close_client()
    with host.machine.network():
        try:
            yield host
        finally:
            host.close_client()


def _close():
    if _host and not isinstance(_host[0], Skip):
        _host[0].machine.end()
    _host.clear()


suite = Suite("packages", "the package installs, starts under its unit's settings, is upgraded and is removed, on a Debian with systemd", close=_close)


@suite.case("lintian has nothing to say, and nothing is overridden")
def _(t):
    if shutil.which("lintian") is None:
        raise Skip("there is no lintian")
    done = subprocess.run(["lintian", "--allow-root", "--fail-on", "error,warning", "--show-overrides", _package()], stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, text=True, check=False, timeout=120)
    equal((done.returncode, done.stdout.strip()), (0, ""), "lintian's exit code and what it says")


@suite.case("install.sh says what it would do, asks, and leaves the service ready with an admin key")
def _(t):
    with _inside() as host:
        machine = host.machine
        install, package = f"{host.scripts}/install.sh", machine.take(host.package)
        check("would install" in machine.run(install, "--dry-run", package), "what --dry-run says")
        check("nobody to ask" in machine.run(install, package, code=1), "without --yes and without a terminal")
        equal(host.version().startswith("installed"), False, "installed after a dry run")
        said = machine.run(install, "--yes", package)
        check(host.version().startswith("installed"), host.version())
        equal(machine.run("systemctl", "is-enabled", "adtrackd").strip(), "enabled", "the unit")
        host.get("/readyz").expect(200)
        token = re.search(r"not shown again: ([0-9a-f]{64})", said)[1]
        give_up = time.monotonic() + 10  # a change of the file is in force within http.reload_ms
        while host.get("/admin/v1/settings", headers={"Authorization": f"Bearer {token}"}).status == 401 and time.monotonic() < give_up:
            time.sleep(0.1)
        host.token = token
        check(token not in machine.run("cat", "/etc/adtrack/admin.keys"), "the key file holds the token itself")
        again = machine.run(install, "--yes", package)
        check("admin keys in /etc/adtrack/admin.keys already" in again and "not shown again" not in again, again)
        host.get("/admin/v1/settings", headers={"Authorization": f"Bearer {token}"}).expect(200)


@suite.case("the service runs as its unit says: its own user, no capabilities, a filter of system calls, a read-only system, loopback only")
def _(t):
    with _inside() as host:
        shown = host.show("MainPID", "Type", "NRestarts")
        equal((shown["Type"], shown["NRestarts"]), ("notify", "0"), "type and restarts")
        pid = shown["MainPID"]
        status = host.status_of(pid)
        user = host.machine.run("id", "-u", "adtrack").strip()
        check(user != "0", "adtrack is root")
        equal(status["Uid"].split(), [user] * 4, "its user")
        equal([int(status[name], 16) for name in ("CapEff", "CapPrm", "CapBnd", "CapAmb")], [0] * 4, "capabilities")
        equal((status["NoNewPrivs"], status["Seccomp"]), ("1", "2"), "NoNewPrivs and Seccomp")
        ours, most = (int(re.search(r"Max open files +\d+ +(\d+)", host.machine.run("cat", f"/proc/{of}/limits"))[1]) for of in (pid, 1))
        equal(ours, 1 << 20 if most >= 1 << 20 else most, "the limit of open files, where this machine's own is not lower")
        within = ["nsenter", "-t", pid, "-m"]
        for path, writable in (("/usr", False), ("/etc", False), ("/var/lib", False), ("/var/lib/adtrack", True)):
            host.machine.run(*within, "touch", f"{path}/probe", code=0 if writable else 1)
        host.machine.run("rm", "/var/lib/adtrack/probe")
        listening = re.findall(r"^ *\d+: ([0-9A-F]+):([0-9A-F]{4}) \S+ 0A", host.machine.run("cat", "/proc/net/tcp", "/proc/net/tcp6"), re.M)
        equal(listening, [("0100007F", "1F90")], "what listens")
        equal(host.machine.run("stat", "-c", "%U %a", "/var/lib/adtrack", "/etc/adtrack/admin.keys").split(), ["adtrack", "750", "root", "640"], "owners and modes")


@suite.case("systemd finds no fault in the unit and rates what it leaves open")
def _(t):
    with _inside() as host:
        equal(host.machine.run("systemd-analyze", "verify", "--man=no", "adtrackd.service"), "", "systemd-analyze verify")
        said = host.machine.run("systemd-analyze", "security", "--no-pager", f"--threshold={EXPOSURE_MAX * 10:.0f}", "adtrackd.service")
        t.note(said.strip().splitlines()[-1])


@suite.case("events stay over a restart, and systemd starts it anew when it is killed")
def _(t):
    with _inside() as host:
        position = host.click(event_id="kept", ad_id=70_000, user_ip="203.0.113.9")
        host.machine.run("systemctl", "restart", "adtrackd")  # returns when it is ready
        host.get("/readyz").expect(200)
        equal(host.analytics([position], ad_id=70_000)["data"][0]["gross_clicks"], 1, "clicks after a restart")
        host.machine.run("systemctl", "kill", "--signal=KILL", "adtrackd")
        host.close_client()
        host.machine.run("sh", "-c", "for i in $(seq 300); do curl -fs -o /dev/null http://127.0.0.1:8080/readyz && exit 0; sleep 0.1; done; exit 1")
        equal(host.show("NRestarts")["NRestarts"], "1", "restarts")
        equal(host.analytics([position], ad_id=70_000)["data"][0]["gross_clicks"], 1, "clicks after a kill")


@suite.case("the operator's scripts run where the package puts them")
def _(t):
    with _inside() as host:
        scripts = "/usr/share/adtrack/scripts"
        host.machine.run("sh", "-c", f"echo {host.token} >/root/token")
        said = host.machine.run(f"{scripts}/replay-verify.sh", "--key-file", "/root/token")
        check("digests: 16 of 16 shards are equal" in said, said)
        host.machine.run(f"{scripts}/export.sh", "/root/all.ndjson", "--key-file", "/root/token")
        equal(host.machine.run("wc", "-l", "/root/all.ndjson").split()[0], "1", "events that are exported")
        check("1 events are in" in host.machine.run(f"{scripts}/import.sh", "/root/all.ndjson"), "what import.sh says")
        check(re.search(r"^acme sha256:[0-9a-f]{64}$", host.machine.run(f"{scripts}/make-key.sh", "acme"), re.M), "the line of a key")
        key = host.machine.run(f"{scripts}/make-link.sh", "key", "k1")
        check(key.startswith("k1"), key)


@suite.case("settings that do not allow a start are said and not tried again")
def _(t):
    with _inside() as host:
        host.machine.run("sh", "-c", "echo ADTRACK_HTTP_PROT=1 >>/etc/default/adtrackd")
        host.machine.run("systemctl", "restart", "adtrackd", code=1)
        equal(host.show("Result", "ExecMainStatus", "ActiveState"), {"Result": "exit-code", "ExecMainStatus": "2", "ActiveState": "failed"}, "the unit")
        check("ADTRACK_HTTP_PROT" in host.log_text(), "the journal does not name it")
        host.machine.run("sed", "-i", "/PROT/d", "/etc/default/adtrackd")
        host.machine.run("systemctl", "restart", "adtrackd")


@suite.case("an upgrade that was killed before systemd saw its unit as it was is taken back all the same")
def _(t):
    with _inside() as host:
        host.machine.run("sh", "-c", """set -e
            kept=/var/cache/adtrack/upgrade drop_in=/run/systemd/system/adtrackd.service.d
            mkdir -p $kept $drop_in
            cp /usr/bin/adtrackd $kept/old
            cp /var/cache/adtrack/*.deb $kept/old.deb
            touch $kept/begun
            printf '[Service]\\nExecStart=\\nExecStart=/usr/bin/adtrackd --data.dir /var/lib/adtrack --http.port 18000\\n' >$drop_in/upgrade.conf
            systemctl daemon-reload
            rm $drop_in/upgrade.conf
            systemctl restart adtrackd""")
        host.machine.run("touch", "/root/empty.deb")
        said = host.machine.run("/usr/share/adtrack/scripts/upgrade.sh", "--ready-secs", "30", "/root/empty.deb", code=2)
        check("was broken off" in said and "is no package of adtrack" in said, said)
        host.get("/readyz").expect(200)


@suite.case("upgrade.sh under load: back from a package whose program ends, killed, forth to one that serves; nothing lost or doubled, settings kept")
def _(t):
    with _inside() as host:
        upgrade, before = "/usr/share/adtrack/scripts/upgrade.sh", host.version()
        bad = host.machine.take(_remade(host.package, "0.9.0", '#!/bin/sh\n[ "$1" != --version ] || exit 0\nexit 1\n'))
        real = host.machine.take(BINARY, "/opt")
        late = host.machine.take(_remade(host.package, "0.9.1", f'#!/bin/sh\ncase "$*" in *upgrade*|--version) exec {real} "$@" ;; esac\nexec sleep 600\n'))
        good = host.machine.take(_remade(host.package, "0.9.2"))
        host.machine.run("sh", "-c", "echo '# of the operator' >>/etc/adtrack/adtrackd.toml")
        with UnderLoad(t, host, other_ads=[70_000]):
            check("did not get ready" in host.machine.run(upgrade, bad, code=1), "it says why it went back")
            equal(host.version(), before, "the version after a way back")
            said = host.machine.run(upgrade, "--ready-secs", "5", late, code=1)
            check("putting the new one in place" in said and "is not ready at" in said, said)
            equal(host.version(), before, "the version after a way back from a package that was installed")
            broken_off = host.machine.run("timeout", "--foreground", "--signal=KILL", "1", upgrade, "--ready-secs", "30", good, code=None)
            t.note("killed after: " + broken_off.strip().splitlines()[-1])
            said = host.machine.run(upgrade, "--ready-secs", "30", good)
            t.note(said.strip().splitlines()[-1])
            check("was broken off" in said or "upgraded" in broken_off, f"{broken_off} and then {said}")
        equal(host.version(), "installed 0.9.2", "the version after an upgrade")
        check("# of the operator" in host.machine.run("cat", "/etc/adtrack/adtrackd.toml"), "the operator's settings are gone")
        equal(host.machine.run("ls", "/var/cache/adtrack").split(), ["adtrack_0.9.2_amd64.deb", "upgrade"], "what is kept for a way back")
        equal(host.machine.run("sh", "-c", "ls /run/systemd/system/adtrackd.service.d 2>/dev/null", code=None), "", "drop-ins that are left")
        host.get("/admin/v1/settings", headers={"Authorization": f"Bearer {host.token}"}).expect(200)


@suite.case("removed, it stops and keeps settings and data; installed again, it goes on; purged, nothing is left")
def _(t):
    with _inside() as host:
        machine = host.machine
        pid = host.show("MainPID")["MainPID"]
        machine.run("apt-get", "remove", "-y", "adtrack")
        machine.run("test", "-e", f"/proc/{pid}", code=1)
        for path in ("/var/lib/adtrack/log", "/etc/adtrack/adtrackd.toml", "/etc/adtrack/admin.keys"):
            machine.run("test", "-e", path)
        for path in ("/usr/bin/adtrackd", "/usr/share/adtrack", "/lib/systemd/system/adtrackd.service"):
            machine.run("test", "-e", path, code=1)
        machine.run("apt-get", "install", "-y", "--no-install-recommends", machine.take(host.package, "/opt"))
        equal(host.analytics(ad_id=70_000)["data"][0]["gross_clicks"], 1, "clicks of before the removal")
        machine.run("apt-get", "purge", "-y", "adtrack")
        machine.run("rm", "-r", "/root", "/opt")
        equal(machine.run("sh", "-c", "find / -xdev -iname '*adtrack*' -not -path '/proc/*' -not -path '/var/log/journal/*'"), "", "what is left of it")
        machine.run("getent", "passwd", "adtrack", code=2)
        equal(machine.run("systemctl", "is-system-running").strip(), "running", "systemd")
