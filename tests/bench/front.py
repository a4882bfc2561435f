#!/usr/bin/env python3
"""Single-event POST over 64 keep-alive connections: nginx's fixed 202, the Go peer and adtrackd, alternating in one run.
Prints the medians of the rounds and adtrackd's ratios. See README.md for how to read it."""

import argparse
import json
import os
import statistics
import subprocess
import time

import peers


def fdatasync_ms(directory):
    """What one small durable write costs here, without any server."""
    path = os.path.join(directory, "probe")
    taken = []
    with open(path, "wb", buffering=0) as file:
        for _ in range(100):
            file.write(b"x" * 4096)
            started = time.perf_counter()
            os.fdatasync(file.fileno())
            taken.append((time.perf_counter() - started) * 1000)
    os.unlink(path)
    return statistics.median(taken)


def one_round(peer, options, run, seconds):
    cpu = peer.cpu_seconds()
    command = ["wrk", f"-t{options.threads}", f"-c{options.connections}", f"-d{seconds}s", "--timeout", "10s", "-s", os.path.join(peers.HERE, "post.lua"),
               f"http://127.0.0.1:{peer.port}/api/v1/ads/click", "--", run]
    said = subprocess.run(command, capture_output=True, text=True, check=False)
    lines = [line for line in said.stdout.splitlines() if line.startswith("RESULT ")]
    if not lines:
        raise SystemExit(f"wrk said no result: {said.stdout}{said.stderr}")
    result = json.loads(lines[0][7:])
    result["rate"] = result["requests"] / result["seconds"]
    result["cpu_us"] = (peer.cpu_seconds() - cpu) * 1e6 / max(1, result["requests"])
    return result


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--go-peer", required=True)
    parser.add_argument("--dir", required=True, help="on the disk that is to be measured")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=int, default=4)
    parser.add_argument("--connections", type=int, default=64)
    parser.add_argument("--threads", type=int, default=2)
    options = parser.parse_args()
    os.makedirs(options.dir, exist_ok=True)
    print(f"single-event POST: {options.connections} keep-alive connections, unique ids, {options.rounds} alternating rounds of {options.seconds} s, medians; "
          f"{os.cpu_count()} CPUs shared by wrk and the server; one 4 KiB fdatasync takes {fdatasync_ms(options.dir):.2f} ms here", flush=True)
    running = [peers.start_nginx(os.path.join(options.dir, "nginx"))]
    try:
        running.append(peers.start_go(options.go_peer, os.path.join(options.dir, "go")))
        running.append(peers.start_adtrackd(os.path.join(options.dir, "adtrackd")))
        results = {peer.name: [] for peer in running}
        for peer in running:
            one_round(peer, options, f"warm-{os.getpid()}", 1)
        for number in range(options.rounds):
            for peer in running:
                results[peer.name].append(one_round(peer, options, f"r{os.getpid()}-{number:03d}", options.seconds))
    finally:
        for peer in running:
            peer.stop()

    def median(name, what):
        return statistics.median(result[what] for result in results[name])

    print(f"{'':30}{'requests/s':>12}{'lowest':>10}{'highest':>10}{'p50 ms':>9}{'p99 ms':>9}{'CPU us/request':>16}{'errors':>8}")
    for name, rounds in results.items():
        rates = [result["rate"] for result in rounds]
        print(f"{name:30}{median(name, 'rate'):12.0f}{min(rates):10.0f}{max(rates):10.0f}{median(name, 'p50_ms'):9.2f}{median(name, 'p99_ms'):9.2f}"
              f"{median(name, 'cpu_us'):16.1f}{sum(result['errors'] for result in rounds):8}")
    nginx, go, ours = results
    for name, aim in ((nginx, 0.4), (go, 1.2)):
        ratios = sorted(a["rate"] / b["rate"] for a, b in zip(results[ours], results[name]))
        print(f"adtrackd / {name}: {statistics.median(ratios):.2f} x requests/s ({ratios[0]:.2f} to {ratios[-1]:.2f} over the rounds; aim {aim} x), "
              f"{median(ours, 'cpu_us') / median(name, 'cpu_us'):.2f} x CPU a request")


if __name__ == "__main__":
    main()
