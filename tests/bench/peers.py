"""The processes that the front benchmark compares, each started on a port of its own and looked at through /proc."""

import os
import socket
import subprocess
import sys
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.dont_write_bytecode = True
sys.path.insert(0, os.path.join(os.path.dirname(HERE), "e2e"))

import harness  # noqa: E402


def _tree(pid):
    yield pid
    with open(f"/proc/{pid}/task/{pid}/children", encoding="ascii") as file:
        for child in file.read().split():
            yield from _tree(int(child))


class Peer:
    """`process` listens on 127.0.0.1:port; `name` is how the table calls it."""

    def __init__(self, name, process, port):
        self.name, self.process, self.port = name, process, port

    def cpu_seconds(self):
        """User and system time of the process and its children."""
        total = 0
        for pid in _tree(self.process.pid):
            with open(f"/proc/{pid}/stat", encoding="ascii") as file:
                fields = file.read().rsplit(")", 1)[1].split()
            total += int(fields[11]) + int(fields[12])
        return total / os.sysconf("SC_CLK_TCK")

    def stop(self):
        self.process.terminate()
        try:
            self.process.wait(15)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()


def _wait_port(process, port, what):
    for _ in range(500):
        if process.poll() is not None:
            raise SystemExit(f"{what} ended with {process.returncode}")
        try:
            socket.create_connection(("127.0.0.1", port), 1).close()
            return
        except OSError:
            time.sleep(0.01)
    raise SystemExit(f"{what} does not listen on {port}")


def start_nginx(directory):
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    os.makedirs(directory, exist_ok=True)
    with open(os.path.join(HERE, "nginx.conf.in"), encoding="utf-8") as file:
        text = file.read().replace("@DIR@", directory).replace("@PORT@", str(port))
    path = os.path.join(directory, "nginx.conf")
    with open(path, "w", encoding="utf-8") as file:
        file.write(text)
    process = subprocess.Popen(["nginx", "-p", directory, "-c", path], stdin=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
                               env={**os.environ, "PATH": os.environ.get("PATH", "") + ":/usr/sbin"})
    _wait_port(process, port, "nginx")
    return Peer("nginx, fixed 202", process, port)


def start_go(binary, directory):
    os.makedirs(directory, exist_ok=True)
    process = subprocess.Popen([binary, "-file", os.path.join(directory, "events.log")], stdout=subprocess.PIPE, text=True)
    word, _, port = process.stdout.readline().strip().partition(" ")
    if word != "ready":
        raise SystemExit("the Go peer did not start")
    return Peer("Go net/http, group fdatasync", process, int(port))


def start_adtrackd(directory):
    server = harness.Server(data_dir=directory, name="bench").start()
    peer = Peer("adtrackd", server.process, server.port)
    peer.server = server
    return peer
