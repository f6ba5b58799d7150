"""`matte serve` under load, on this machine's loopback address.

Figures of docs/serve.md. Clients send whole requests at once and wait for their answers; memory is
the server process's, as the kernel counts it.

    python tests/benchmarks/bench_serve.py                # all parts
    python tests/benchmarks/bench_serve.py load --requests 200 --clients 4
"""

from __future__ import annotations

import argparse
import contextlib
import http.client
import random
import re
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import threading
import time
import zlib
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np

from mattecli.core.imaging.reading import read_picture
from mattecli.core.imaging.writing import encode

EXAMPLES = Path(__file__).parents[2] / "examples"
PHOTOS = [path.read_bytes() for path in sorted(EXAMPLES.glob("*.jpg"))]


class Server:
    """A server in a process of its own."""

    def __init__(self, *options: str) -> None:
        command = [sys.executable, "-m", "mattecli", "serve", "--port", "0", "--device", "cpu"]
        self.process = subprocess.Popen(
            [*command, *options], stderr=subprocess.PIPE, text=True, cwd=EXAMPLES.parent
        )
        line = self.process.stderr.readline()
        self.port = int(re.search(r":(\d+)/", line)[1])
        # What it prints later must not fill the pipe.
        threading.Thread(target=self.process.stderr.read, daemon=True).start()

    @property
    def megabytes(self) -> float:
        """Memory that the process holds."""
        text = Path(f"/proc/{self.process.pid}/status").read_text()
        return int(re.search(r"VmRSS:\s+(\d+)", text)[1]) / 1024

    def post(self, path: str, body: bytes, headers: dict[str, str] | None = None) -> Answer:
        """Send a request on a connection of its own."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=120)
        with contextlib.closing(connection):
            connection.request("POST", path, body, headers or {})
            answer = connection.getresponse()
            return Answer(answer.status, answer.headers.get("Retry-After"), answer.read())

    def stop(self, number: int = signal.SIGTERM) -> int:
        """End it by a signal, and give its exit code."""
        self.process.send_signal(number)
        return self.process.wait(120)


class Answer:
    """Status, header and body of an answer."""

    def __init__(self, status: int, retry_after: str | None, body: bytes) -> None:
        self.status, self.retry_after, self.body = status, retry_after, body


@contextlib.contextmanager
def serving(*options: str) -> Iterator[Server]:
    """Start a server and end it after the block, whatever happens there."""
    server = Server(*options)
    try:
        yield server
    finally:
        if server.process.poll() is None:
            server.process.kill()
            server.process.wait()


def bench_load(requests: int, clients: int, options: list[str]) -> None:
    """Send photos from several clients at once; those told to come again later do."""
    with serving(*options) as server, ThreadPoolExecutor(clients) as pool:
        seconds, memory, statuses = [], [], Counter()

        def send(number: int) -> None:
            start = time.perf_counter()
            while True:
                answer = server.post("/v1/cutout", PHOTOS[number % len(PHOTOS)])
                statuses[answer.status] += 1
                if answer.status != 429:
                    break
                time.sleep(float(answer.retry_after))
            assert answer.status == 200 and answer.body.startswith(b"\x89PNG"), answer.body[:200]
            seconds.append(time.perf_counter() - start)
            memory.append(server.megabytes)

        start = time.perf_counter()
        list(pool.map(send, range(requests)))
        wall = time.perf_counter() - start
        code = server.stop()
    tenth = max(1, requests // 10)
    early, late = max(memory[tenth : 3 * tenth]), max(memory[-2 * tenth :])
    print(
        f"load: {len(seconds)} of {requests} answered, by status {dict(statuses)}, {clients} "
        f"clients, {requests / wall:.1f} a second; median {statistics.median(seconds):.2f} s, "
        f"p95 {np.quantile(seconds, 0.95):.2f} s; memory {early:.0f} MB after a tenth, "
        f"{late:.0f} MB at the end (× {late / early:.2f}); SIGTERM: exit code {code}"
    )


def bench_kill(photos: int) -> None:
    """Kill the server while it cuts a folder; what is written is whole, and the rest is done."""
    with tempfile.TemporaryDirectory() as root:
        source, results = Path(root, "photos"), Path(root, "cutouts")
        source.mkdir()
        for number in range(photos):
            (source / f"{number:03}.jpg").write_bytes(PHOTOS[number % len(PHOTOS)])
        killed, written = 0, 0
        while written < photos:
            with serving(str(source), str(results)) as server:
                until = time.monotonic() + 3 + random.random()
                while written < photos and time.monotonic() < until:
                    time.sleep(0.05)
                    written = len(list(results.glob("*.png")))
                if written < photos:
                    killed += 1
                    server.stop(signal.SIGKILL)
            for path in results.glob("*.png"):
                read_picture(path)
        left = [path.name for path in results.iterdir() if path.suffix != ".png"]
    print(f"kill -9: {killed} times, {written} of {photos} results whole, beside them {left}")


def bad_bodies(count: int) -> Iterator[tuple[str, dict[str, str], bytes]]:
    """Make requests that hold no photo that can be cut: truncated, bombs, wrong types, forms."""
    choose = random.Random(0)
    whole = [*PHOTOS, *(encode(noise(choose), suffix) for suffix in (".png", ".webp", ".tiff"))]
    form = {"Content-Type": "multipart/form-data; boundary=x"}
    for number in range(count):
        photo = choose.choice(whole)
        kind = number % 8
        path, headers, body = "/v1/cutout", {}, photo[: choose.randrange(len(photo) // 2)]
        if kind == 1:
            body = bomb(choose.randrange(20_000, 2_000_000_000), choose.randrange(20_000, 60_000))
        elif kind == 2:
            body = choose.randbytes(choose.randrange(5000))
        elif kind == 3:
            headers, body = form, choose.randbytes(choose.randrange(3000))
        elif kind == 4:
            headers, body = form, b'--x\r\nContent-Disposition: form-data; name="a"\r\n\r\n' + body
        elif kind == 5:
            headers, body = {"Content-Type": "application/json"}, b"[" * choose.randrange(1, 9000)
        elif kind == 6:
            path += f"?{choose.choice(['bits=7', 'format=exe', 'x=1', 'margin=nan', 'quality='])}"
            body = photo
        elif kind == 7:
            path, headers = "/v1.0/removebg", {"Content-Type": "application/x-www-form-urlencoded"}
            body = b"image_file_b64=" + choose.randbytes(200).hex().encode()
        yield path, headers, body


def noise(choose: random.Random) -> np.ndarray:
    """Give a picture that does not compress."""
    return np.frombuffer(choose.randbytes(64 * 64 * 3), np.uint8).reshape(64, 64, 3)


def bomb(width: int, height: int) -> bytes:
    """Give a small PNG that says that it is enormous."""
    start = encode(np.zeros((1, 1, 3), np.uint8), ".png")
    header = b"IHDR" + width.to_bytes(4, "big") + height.to_bytes(4, "big") + b"\x08\x02\0\0\0"
    return start[:12] + header + zlib.crc32(header).to_bytes(4, "big") + start[33:]


def bench_bad(count: int, clients: int) -> None:
    """Send bodies that are bad; every one is answered as the client's mistake."""
    with serving("--timeout", "5") as server, ThreadPoolExecutor(clients) as pool:
        assert server.post("/v1/cutout", PHOTOS[0]).status == 200
        before = server.megabytes
        answers = pool.map(
            lambda one: server.post(one[0], one[2], one[1]).status, bad_bodies(count)
        )
        statuses = Counter(answers)
        # Half a request, and nothing more.
        silent = [socket.create_connection(("127.0.0.1", server.port)) for _ in range(clients)]
        for connection in silent:
            connection.sendall(
                b"POST /v1/cutout HTTP/1.1\r\nHost: localhost\r\nContent-Length: 9\r\n\r\n"
            )
        late = [connection.recv(100).split()[1].decode() for connection in silent]
        well = server.post("/v1/cutout", PHOTOS[0]).status
        after = server.megabytes
    others = {status: number for status, number in statuses.items() if not 400 <= status < 500}
    print(
        f"bad bodies: {sum(statuses.values())} of {count} answered, by status "
        f"{dict(sorted(statuses.items()))}, other than 4xx: {others or 'none'}; {len(late)} silent "
        f"clients: {dict(Counter(late))}; a photo afterwards: {well}; memory × {after / before:.2f}"
    )


def main() -> None:
    """Run what is asked for."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("parts", nargs="*", default=["load", "kill", "bad"])
    parser.add_argument("--requests", type=int, default=2000)
    parser.add_argument("--clients", type=int, default=16)
    parser.add_argument("--photos", type=int, default=60)
    parser.add_argument("--bad", type=int, default=10_000)
    parser.add_argument("--size", help="long side at which the network sees photos: small is quick")
    given = parser.parse_args()
    if "load" in given.parts:
        bench_load(given.requests, given.clients, ["--size", given.size] if given.size else [])
    if "kill" in given.parts:
        bench_kill(given.photos)
    if "bad" in given.parts:
        bench_bad(given.bad, given.clients)


if __name__ == "__main__":
    main()
