"""`matte predict --cluster` on this machine: what survives kills, what it costs, what lists take.

Figures of docs/scale.md. Needs the extras `ray` and `s3`, and moto's server of S3.

    python tests/benchmarks/bench_cluster.py kill --photos 2000    # a worker, then the driver
    python tests/benchmarks/bench_cluster.py ratio --photos 60     # photos per core-second
    python tests/benchmarks/bench_cluster.py list --objects 100000 # listed and skipped
"""

from __future__ import annotations

import argparse
import contextlib
import http.server
import json
import os
import re
import resource
import signal
import subprocess
import sys
import tempfile
import threading
import time
import urllib.parse
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import cv2
import numpy as np

ROOT = Path(__file__).parents[2]
EXAMPLES = sorted((ROOT / "examples").glob("*.jpg"))
BUCKET = "shop"


def serve_s3(address_of) -> None:
    """Point the environment at a server of S3."""
    os.environ |= {
        "AWS_ENDPOINT_URL": address_of,
        "AWS_ACCESS_KEY_ID": "user",
        "AWS_SECRET_ACCESS_KEY": "key",
        "AWS_DEFAULT_REGION": "us-east-1",
        "NO_PROXY": "127.0.0.1",
    }


@contextlib.contextmanager
def moto() -> Iterator[None]:
    """Run moto's server of S3 in a process of its own, with an empty bucket."""
    port = 5871
    server = subprocess.Popen(
        [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(port)],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    serve_s3(f"http://127.0.0.1:{port}")
    from mattecli.core.objects.paths import located
    from mattecli.core.objects.stores import file_system

    try:
        for _ in range(200):
            with contextlib.suppress(Exception):
                file_system(located(f"s3://{BUCKET}")).mkdir(BUCKET)
                break
            time.sleep(0.3)
        yield
    finally:
        server.kill()
        server.wait()


def photo(number: int, long_side: int) -> bytes:
    """Give one of the examples, small, turned by a number of pixels so that all differ."""
    color = cv2.imread(str(EXAMPLES[number % len(EXAMPLES)]))
    scale = long_side / max(color.shape[:2])
    small = cv2.resize(color, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
    return cv2.imencode(".jpg", np.roll(small, number, axis=1))[1].tobytes()


def command(*arguments: object) -> list[str]:
    return [sys.executable, "-m", "mattecli", "predict", *map(str, arguments), "--quiet"]


def descendants(pid: int) -> dict[int, str]:
    """Give the processes below one, with their command lines."""
    parents: dict[int, list[int]] = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdecimal():
            with contextlib.suppress(OSError):
                parent = int((entry / "stat").read_text().rpartition(")")[2].split()[1])
                parents.setdefault(parent, []).append(int(entry.name))
    found, waiting = {}, [pid]
    while waiting:
        for child in parents.get(waiting.pop(), ()):
            waiting.append(child)
            with contextlib.suppress(OSError):
                found[child] = Path(f"/proc/{child}/cmdline").read_text()
    return found


def cpu_seconds(pids: list[int]) -> float:
    """Sum the time that processes have had of all cores."""
    total = 0
    for pid in pids:
        with contextlib.suppress(OSError):
            fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
            total += int(fields[11]) + int(fields[12])
    return total / os.sysconf("SC_CLK_TCK")


def kill(photos: int, long_side: int) -> None:
    """Kill a worker at a third and the driver at two thirds; resume on another size."""
    from mattecli.core.objects.listing import list_objects
    from mattecli.core.objects.paths import located
    from mattecli.core.storage import write_whole

    with moto(), tempfile.TemporaryDirectory() as folder:
        here, store = Path(folder), located(f"s3://{BUCKET}")
        names = [f"{number % 7}/{number:06d}" for number in range(photos)]

        def put(number: int) -> None:
            data = photo(number, long_side)
            write_whole(here / "in" / f"{names[number]}.jpg", data)
            write_whole(store / "in" / f"{names[number]}.jpg", data)

        with ThreadPoolExecutor(8) as pool:
            list(pool.map(put, range(photos)))
        options = ("--size", 64, "--single-pass")
        start = time.perf_counter()
        subprocess.run(command(here / "in", here / "out", *options), check=True)
        print(f"{photos} photos here: {time.perf_counter() - start:.0f} s", flush=True)

        report = here / "report.jsonl"

        def run(workers: int) -> subprocess.Popen:
            cluster = ("--cluster", f"local:{workers}", "--resume", "--report", report)
            return subprocess.Popen(command(store / "in", store / "out", *options, *cluster))

        def wait_for(count: int, driver: subprocess.Popen) -> None:
            while driver.poll() is None:
                with contextlib.suppress(OSError):
                    if report.read_text().count("\n") >= count:
                        return
                time.sleep(0.2)
            raise SystemExit(f"the driver ended with {driver.returncode}")

        driver = run(2)
        wait_for(photos // 3, driver)
        below = descendants(driver.pid)
        worker = next(pid for pid, line in below.items() if line.startswith("ray::_Worker"))
        os.kill(worker, signal.SIGKILL)
        print(f"worker {worker} killed", flush=True)
        wait_for(2 * photos // 3, driver)
        workers = [pid for pid, line in descendants(driver.pid).items() if "ray::_Worker" in line]
        os.kill(driver.pid, signal.SIGKILL)
        driver.wait()
        killed = time.perf_counter()
        while any(Path(f"/proc/{pid}").exists() for pid in workers):
            time.sleep(0.1)
        print(
            f"driver killed; workers ended {time.perf_counter() - killed:.1f} s later", flush=True
        )
        told = report.read_text().count("\n")
        there = sum(1 for _ in list_objects(store / "out"))
        print(f"{there} results and {told} lines were there", flush=True)
        driver = run(1)
        print(f"resumed with one worker: exit code {driver.wait()}", flush=True)
        lines = [json.loads(line) for line in report.read_text().splitlines()]
        print("lines:", Counter(line["status"] for line in lines))
        assert len(lines) == photos
        assert {line["input"] for line in lines} == {f"{store}/in/{n}.jpg" for n in names}
        results = [found.name for found in list_objects(store / "out")]
        assert results == sorted(f"{name}.png" for name in names), "results are lost"
        with ThreadPoolExecutor(8) as pool:
            mine = pool.map(lambda name: (store / "out" / name).read_bytes(), results)
            same = sum(
                data == (here / "out" / name).read_bytes()
                for name, data in zip(results, mine, strict=True)
            )
        print(f"{len(results)} results, {same} with the bytes of the local run")
        assert same == photos
        score(here / "out", store / "out", here)


def score(truth: Path, found: Path, folder: Path) -> None:
    """Score results in a bucket, here and on a cluster."""
    figures = []
    for name, options in (("here", ("--workers", 2)), ("local:2", ("--cluster", "local:2"))):
        start = time.perf_counter()
        file = folder / f"{name}.json"
        arguments = map(str, (found, truth, *options, "--json", file, "--allow-missing"))
        subprocess.run(
            [sys.executable, "-m", "mattecli", "evaluate", *arguments],
            check=True,
            capture_output=True,
        )
        seconds = time.perf_counter() - start
        figures.append(file.read_bytes())
        images = len(json.loads(figures[-1])["images"])
        print(f"evaluate, {name}: {images} scored in {seconds:.0f} s", flush=True)
    pairs = zip(*(figure.splitlines() for figure in figures), strict=True)
    differing = [pair for pair in pairs if pair[0] != pair[1]]
    assert not differing, differing[:3]


def ratio(photos: int, long_side: int, rounds: int) -> None:
    """Compare photos per core-second of both executors, without their start, round by round."""
    from mattecli.core.executing.executor import executor_for
    from mattecli.core.executing.tasks import ClusterPlan
    from mattecli.core.inference.jobs import Job
    from mattecli.core.inference.options import PredictOptions
    from mattecli.core.inference.photo_task import PhotoTask
    from mattecli.core.inference.run import Settings
    from mattecli.core.inference.run_options import RunOptions
    from mattecli.core.matting.outputs import OutputSpec

    def measure(name: str, plan: ClusterPlan | None) -> float:
        # Two photos at a time, here by threads, there by two workers.
        run = RunOptions(workers=2 if plan is None else 1)
        task = PhotoTask(Settings(OutputSpec(("cutout",))), PredictOptions(), run)
        jobs = [
            Job(path, {"cutout": Path(folder, name, f"{path.stem}.png")})
            for path in sorted(Path(folder).glob("*.jpg"))
        ]
        spent: list[dict[str, float]] = []
        started = time.perf_counter()
        for done, _ in enumerate(executor_for(plan).run(task, iter(jobs)), start=1):
            if done in (photos // 3, photos - 8):
                spent.append(cpu_by_kind())
        seconds = time.perf_counter() - started
        kinds = {kind: spent[1][kind] - spent[0].get(kind, 0) for kind in spent[1]}
        rate = (photos - 8 - photos // 3) / sum(kinds.values())
        parts = ", ".join(f"{kind} {value:.2f}" for kind, value in sorted(kinds.items()))
        print(f"{name}: {rate:.2f} photos per core-second ({seconds:.0f} s in all; {parts})")
        return rate

    ratios = []
    with tempfile.TemporaryDirectory() as folder:
        for number in range(photos):
            (Path(folder) / f"{number:06d}.jpg").write_bytes(photo(number, long_side))
        for _ in range(rounds):
            here = measure("here", None)
            ratios.append(measure("local:2", ClusterPlan("local:2")) / here)
            print(f"local:2 to here: {ratios[-1]:.3f}", flush=True)
    print(f"local:2 to here: {sum(ratios) / len(ratios):.3f} in the mean of {rounds} rounds")


def cpu_by_kind() -> dict[str, float]:
    """Give the core-seconds of this process, of workers, and of what Ray runs beside them."""
    found = {"driver": cpu_seconds([os.getpid()]), "workers": 0.0, "beside": 0.0}
    for pid, line in descendants(os.getpid()).items():
        found["workers" if "ray::_Worker" in line else "beside"] += cpu_seconds([pid])
    return found


class Listings(http.server.BaseHTTPRequestHandler):
    """Answers ListObjectsV2 for a bucket of in/000000.jpg … and their results, made up."""

    protocol_version = "HTTP/1.1"
    objects = 0

    def do_GET(self) -> None:
        query = dict(urllib.parse.parse_qsl(urllib.parse.urlsplit(self.path).query))
        prefix = query.get("prefix", "")
        after = query.get("continuation-token") or query.get("start-after", "")
        folder, suffix = ("in/", ".jpg") if prefix.startswith("in/") else ("out/", ".png")
        digits = re.fullmatch(rf"{folder}(\d{{6}}).*", after, re.DOTALL)
        begin = int(digits[1]) + (after >= f"{folder}{digits[1]}{suffix}") if digits else 0
        end = min(begin + int(query.get("max-keys", 1000)), self.objects)
        keys = [f"{folder}{number:06d}{suffix}" for number in range(begin, end)]
        more = f"<NextContinuationToken>{keys[-1]}</NextContinuationToken>" if keys else ""
        entries = "".join(
            f"<Contents><Key>{key}</Key><Size>1</Size><ETag>x</ETag></Contents>" for key in keys
        )
        is_cut = str(end < self.objects).lower()
        body = (
            f"<ListBucketResult><IsTruncated>{is_cut}</IsTruncated>{more}{entries}"
            "</ListBucketResult>"
        ).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/xml")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        pass


def list_many(objects: int) -> None:
    """List objects whose results are all there, and compare the memory that few and many take."""
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Listings)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    serve_s3(f"http://127.0.0.1:{server.server_port}")
    places = (f"s3://{BUCKET}/in", f"s3://{BUCKET}/out")
    peaks = []
    for count in (objects // 100, objects):
        Listings.objects = count
        start = time.perf_counter()
        code = (
            "import sys, resource; from mattecli.cli.app import app\n"
            "try: app(sys.argv[1:])\n"
            "finally: print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024)"
        )
        done = subprocess.run(
            [sys.executable, "-c", code, "predict", *places, "--resume"],
            capture_output=True,
            text=True,
        )
        assert done.returncode == 0 and f"{count} skipped" in done.stderr, done.stderr
        peaks.append(int(done.stdout.split()[-1]))
        cpu = resource.getrusage(resource.RUSAGE_CHILDREN).ru_utime
        print(
            f"{count} objects listed and skipped: {time.perf_counter() - start:.0f} s, "
            f"{peaks[-1]} MB at most ({cpu:.0f} s of a core until now)"
        )
    print(f"memory of {objects} to {objects // 100}: {peaks[1] / peaks[0]:.2f}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("part", choices=("kill", "ratio", "list"))
    parser.add_argument("--photos", type=int, default=2000)
    parser.add_argument("--objects", type=int, default=100_000)
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--long-side", type=int, default=96)
    options = parser.parse_args()
    if options.part == "kill":
        kill(options.photos, options.long_side)
    elif options.part == "ratio":
        ratio(options.photos, options.long_side, options.rounds)
    else:
        list_many(options.objects)


if __name__ == "__main__":
    main()
