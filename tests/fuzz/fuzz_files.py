"""Mutated manifests, weights headers and TOML files: one line of error each, nothing else.

    python tests/fuzz/fuzz_files.py [--count 1000] [--seed 0]

Every fault is an exception that is none of the program's own, a case that takes longer than
`LIMIT` seconds, or a message that is no single printable line. The exit code is 1 if there is one,
and the seed and number of the case tell how to have it again. Not collected by pytest.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import random
import signal
import sys
import tempfile
import time
import traceback
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import tomli_w
from safetensors.numpy import save
from typer import BadParameter
from typer.testing import CliRunner

from mattecli.cli.app import app
from mattecli.core.dataset import manifest
from mattecli.core.dataset.checking import check_dataset
from mattecli.core.dataset.recipe import load_recipe, save_recipe
from mattecli.core.errors import MatteError
from mattecli.core.imaging.writing import write_image
from mattecli.core.network.networks import NETWORKS
from mattecli.core.network.weights import load_network, open_tensors, read_header
from mattecli.core.plain_text import LONGEST
from mattecli.core.runtime.named_weights import find_weights, list_weights
from mattecli.core.runtime.preprocessing import find_spec
from mattecli.core.training.config import load_config

LIMIT = 20
_VALUES = [
    None, True, False, 0, 1, -1, 2**31, 2**63, 10**400, 0.5, -0.5, 1e308, float("nan"),
    float("inf"), "", "x", "nan", "../../etc", "hf-hub:x/y", "local-dir:/", "a\x1b[2J\n", "\udcff",
    "x" * 12_000, [], [1], [[1]], [None], {}, {"x": 1}, [0] * 2000,
]  # fmt: skip
_BYTES = [b"\x00", b"\xff", b"[", b"{", b'"', b"=", b"\n", b"\x1b[2J", b"nan", b"9" * 5000]


class TooLong(BaseException):
    """A case took more than `LIMIT` seconds."""


@contextlib.contextmanager
def limit() -> Iterator[None]:
    def ring(*_: object) -> None:
        raise TooLong

    signal.signal(signal.SIGALRM, ring)
    signal.alarm(LIMIT)
    try:
        yield
    finally:
        signal.alarm(0)


def mutated_value(value: object, rng: random.Random) -> object:
    """Change one thing somewhere in tables and lists."""
    if isinstance(value, dict) and value and rng.random() < 0.8:
        key = rng.choice(list(value))
        changed = dict(value)
        way = rng.random()
        if way < 0.1:
            del changed[key]
        elif way < 0.2:
            changed[rng.choice(["x", "", "a\x1b[2J", key + "_"])] = changed.pop(key)
        else:
            changed[key] = mutated_value(value[key], rng)
        return changed
    if isinstance(value, list) and value and rng.random() < 0.6:
        place = rng.randrange(len(value))
        return [*value[:place], mutated_value(value[place], rng), *value[place + 1 :]]
    return rng.choice(_VALUES)


def mutated_bytes(data: bytes, rng: random.Random) -> bytes:
    """Cut, flip, double or add some bytes."""
    for _ in range(rng.randint(1, 4)):
        place = rng.randrange(len(data) + 1)
        way = rng.random()
        if way < 0.2:
            data = data[:place]
        elif way < 0.5 and data:
            place %= len(data)
            data = data[:place] + bytes([rng.randrange(256)]) + data[place + 1 :]
        elif way < 0.7:
            data = data[:place] + data[place // 2 :]
        else:
            data = data[:place] + rng.choice(_BYTES) + data[place:]
    return data


def without_none(value: object) -> object:
    """Give what TOML can hold of a value."""
    if isinstance(value, dict):
        return {k: without_none(v) for k, v in value.items() if v is not None}
    if isinstance(value, list):
        return [without_none(item) for item in value if item is not None]
    return value.encode("utf-8", "replace").decode() if isinstance(value, str) else value


def toml(table: object, rng: random.Random) -> bytes:
    """Mutate a table, as a table or as the text it is stored as."""
    if rng.random() < 0.7:
        for _ in range(rng.randint(1, 3)):
            table = mutated_value(table, rng)
        table = table if isinstance(table, dict) else {"x": table}
        return tomli_w.dumps(without_none(table)).encode()
    return mutated_bytes(tomli_w.dumps(without_none(table)).encode(), rng)


class Cases:
    """The kinds of cases; each makes its file and gives it to what reads it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        for name in ("set/image", "set/alpha", "work"):
            (folder / name).mkdir(parents=True)
        for kind in ("image", "alpha"):
            write_image(folder / "set" / kind / "a.png", np.full((20, 20), 128, np.uint8))
        save_recipe(load_recipe("custom"), folder / "recipe.toml")
        self.recipe = load_toml(folder / "recipe.toml")
        self.training = load_toml(Path(load_config.__globals__["RECIPES"]) / "default.toml")
        with open_tensors(find_weights()) as file:
            self.header = file.metadata()
            self.tensors = {key: file.get_tensor(key) for key in list(file.keys())[:3]}

    def manifest(self, rng: random.Random) -> None:
        """A line of a manifest, looked at by --check and by a build that goes on."""
        record: object = {
            "name": "a", "split": "train", "key": "k", "layers": [{"color": "x"}],
            "files": {"image": {"sha256": "0" * 64, "bytes": 3}},
        }  # fmt: skip
        lines = [json.dumps(mutated_value(record, rng)) for _ in range(rng.randint(1, 3))]
        data = "\n".join([*lines, json.dumps(record), ""]).encode()
        data = data if rng.random() < 0.7 else mutated_bytes(data, rng)
        (self.folder / "set" / manifest.NAME).write_bytes(data)
        recipe = self.folder / "set" / manifest.RECIPE_NAME
        recipe.write_bytes((self.folder / "recipe.toml").read_bytes())
        with contextlib.suppress(MatteError):
            manifest.read_finished(self.folder / "set")
        check_dataset(self.folder / "set", 1, quiet=True)

    def weights(self, rng: random.Random) -> None:
        """A header of weights, or the bytes of the file."""
        path = self.folder / "w.safetensors"
        settings: object = NETWORKS[rng.choice(list(NETWORKS))]().to_dict()
        for _ in range(rng.randint(1, 3)):
            settings = mutated_value(settings, rng)
        header = {**self.header, "network": json.dumps(settings)}
        if rng.random() < 0.3:
            key = rng.choice(list(header))
            header[key] = mutated_bytes(header[key].encode(), rng).decode("utf-8", "replace")
        data = save(self.tensors, metadata=header)
        if rng.random() < 0.3:
            start = data[: min(len(data), 4000)]
            data = mutated_bytes(start, rng) + data[len(start) :]
        path.write_bytes(data)
        read_header(path)
        load_network(path)

    def defaults(self, rng: random.Random) -> None:
        """A matte.toml, or a pyproject.toml, in the working folder."""
        table = {
            "predict": {"format": "webp", "refine": "best", "margin": 0.1, "save": ["alpha"]},
            "composite": {"linear": True, "scale": 0.5, "out": "x.png"},
            "train": {"steps": 3, "lr": 0.1, "loss": ["l1=1"]},
            "weights": {"add": {"licence": "MIT"}},
        }
        name = rng.choice(["matte.toml", "pyproject.toml"])
        wrapped = {"tool": {"matte": table}} if name == "pyproject.toml" else table
        path = self.folder / "work" / name
        path.write_bytes(toml(wrapped, rng))
        command = rng.choice(
            [["predict", "none.jpg", "x.png"], ["composite", "no.png", "red"], ["doctor", "--help"],
             ["train", "none", "--epochs", "1"], ["weights"]]
        )  # fmt: skip
        try:
            with contextlib.chdir(path.parent) if sys.version_info >= (3, 11) else _there(path):
                result = CliRunner().invoke(app, command)
        finally:
            path.unlink()
        if result.exception is not None and not isinstance(result.exception, SystemExit):
            raise result.exception
        if result.exit_code:
            raise MatteError(" ".join(result.output.split()))

    def recipes(self, rng: random.Random) -> None:
        """A recipe of a set or of a training, a convention, an index of weights."""
        path = self.folder / "r.toml"
        kind = rng.randrange(4)
        if kind == 0:
            path.write_bytes(toml(self.recipe, rng))
            load_recipe(str(path))
        elif kind == 1:
            path.write_bytes(toml(self.training, rng))
            load_config(str(path))
        elif kind == 2:
            path.write_bytes(toml({"preset": "u2net", "size": 320, "std": [1, 1, 1]}, rng))
            find_spec(self.folder / "r.onnx", {})
        else:
            record = {"x": {"file": "x.onnx", "sha256": "0" * 64, "licence": "MIT"}}
            (self.folder / "index.toml").write_bytes(toml(record, rng))
            list_weights()


def load_toml(path: Path) -> dict:
    """Read a file of ours."""
    from mattecli.core.toml import read_toml

    return read_toml(path)


@contextlib.contextmanager
def _there(path: Path) -> Iterator[None]:
    before = Path.cwd()
    os.chdir(path.parent)
    try:
        yield
    finally:
        os.chdir(before)


def run(case: Callable[[random.Random], None], rng: random.Random) -> tuple[str, str]:
    """Run one case: how it ended, and what is wrong with that, if anything."""
    try:
        with limit():
            case(rng)
    except MatteError as error:
        text = str(error)
        if not text.isprintable() or len(text) > 2 * LONGEST + 20:
            return "fault", f"a message of {len(text)} characters: {text[:200]!r}"
        return "refused", ""
    except BadParameter as error:
        return "refused", "" if str(error.message).isprintable() else repr(error.message)
    except TooLong:
        return "fault", f"more than {LIMIT} s"
    except Exception:
        return "fault", traceback.format_exc()
    return "accepted", ""


def main() -> None:
    """Run all cases and print how they ended."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--count", type=int, default=1000)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    # Importing PyTorch takes as long as some hundred cases, and is no case's fault.
    import mattecli.core.training.trainer  # noqa: F401

    ended: dict[str, Counter[str]] = {}
    slowest = 0.0
    with tempfile.TemporaryDirectory() as name:
        os.environ["MATTE_WEIGHTS"] = name
        cases = Cases(Path(name))
        kinds = {
            "manifests": cases.manifest,
            "weights": cases.weights,
            "defaults": cases.defaults,
            "recipes": cases.recipes,
        }
        for number in range(options.count):
            kind = list(kinds)[number % len(kinds)]
            # The index of one case must not stand in the way of the next.
            Path(name, "index.toml").unlink(missing_ok=True)
            started = time.perf_counter()
            state, wrong = run(kinds[kind], random.Random(f"{options.seed}/{number}"))
            slowest = max(slowest, time.perf_counter() - started)
            ended.setdefault(kind, Counter())["fault" if wrong else state] += 1
            if wrong:
                print(f"--seed {options.seed}, case {number} ({kind}):\n{wrong}", file=sys.stderr)
    for kind, count in ended.items():
        states = ", ".join(f"{count[state]} {state}" for state in ("accepted", "refused", "fault"))
        print(f"{kind}: {states}")
    print(f"slowest case: {slowest:.1f} s")
    if any(count["fault"] for count in ended.values()):
        sys.exit(1)


if __name__ == "__main__":
    main()
