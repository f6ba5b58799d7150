"""The process that makes samples: draws, renders, composes, encodes and writes them."""

from __future__ import annotations

import contextlib
import hashlib
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from mattecli.core.dataset.layers import Layer, LayerReader
from mattecli.core.dataset.material import Roots
from mattecli.core.dataset.plan import Sample
from mattecli.core.dataset.recipe import Recipe
from mattecli.core.dataset.render import compose, lay_out, pictures_of
from mattecli.core.dataset.scene import draw
from mattecli.core.errors import MatteError, OutputUnusable
from mattecli.core.imaging.writing import encode
from mattecli.core.objects.paths import ObjectPath
from mattecli.core.storage import write_whole
from mattecli.version import __version__

# A run stops while there is still room for its notes and for other programs.
_RESERVED_BYTES = 100_000_000

# The record of a finished sample, a line about a failed one, or what stops the whole run.
Result = dict | str | OutputUnusable


@dataclass(frozen=True)
class BuildSpec:
    """What every process needs to make samples.

    `out` is the folder of the set; `device` composes in batches, unless it is the CPU, which
    composes sample by sample. The files are the same.
    """

    recipe: Recipe
    roots: Roots
    seed: int
    out: Path
    device: str = "cpu"

    def path(self, name: str, output: str) -> Path:
        """Say where an output of a sample lies: of several splits each has a folder of its own."""
        folder = self.out
        if len(self.recipe.splits) > 1:
            split, _, name = name.partition("/")
            folder = self.out / split
        return folder / output / f"{name}.png"


class Worker:
    """Makes samples one after the other."""

    def __init__(self, spec: BuildSpec) -> None:
        # The processes share the cores already.
        cv2.setNumThreads(1)
        self._spec = spec
        self._reader = LayerReader(spec.recipe, spec.roots)
        self._encoded: dict[str, tuple[np.ndarray, bytes, str]] = {}

    def make_all(self, samples: list[Sample]) -> list[Result]:
        """Make samples; what failed gives a line instead of a record."""
        results: list[Result] = []
        try:
            for sample, made in zip(samples, self._render_all(samples), strict=True):
                if isinstance(made, str):
                    results.append(f"{sample.name}: {made}")
                else:
                    results.append(self._write(sample, *made))
        except OutputUnusable as error:
            # Given back, not raised, so that what is finished is noted first.
            results.append(error)
        return results

    def make_pictures(self, sample: Sample) -> tuple[dict, dict[str, tuple[bytes, str]]]:
        """Give what was drawn, and the outputs as PNG with their SHA-256, without writing them."""
        (made,) = self._render_all([sample])
        if isinstance(made, str):
            raise MatteError(f"{sample.name}: {made}")
        return made[0], self._encode_all(made[1])

    def _render_all(
        self, samples: list[Sample]
    ) -> Iterator[tuple[dict, dict[str, np.ndarray]] | str]:
        """Give each sample's record and pictures, or why it failed; composed in one batch."""
        recipe = self._spec.recipe
        laid_out: list[tuple[dict, Layer, np.ndarray] | str] = []
        for sample in samples:
            try:
                record = draw(sample, recipe, self._reader)
                laid_out.append((record, *lay_out(record, recipe, self._reader)))
            except MatteError as error:
                laid_out.append(str(error))
        layers = [made[1:] for made in laid_out if not isinstance(made, str)]
        images = iter(compose(layers, recipe, self._spec.device))
        for made in laid_out:
            if isinstance(made, str):
                yield made
            else:
                yield made[0], pictures_of(*made, next(images), recipe)

    def _write(self, sample: Sample, drawn: dict, pictures: dict[str, np.ndarray]) -> dict:
        encoded = self._encode_all(pictures)
        _check_room(self._spec.out, sum(len(data) for data, _ in encoded.values()))
        paths = {output: self._spec.path(sample.name, output) for output in encoded}
        try:
            for output, (data, _) in encoded.items():
                write_whole(paths[output], data)
        except BaseException:
            for path in paths.values():
                with contextlib.suppress(OSError, MatteError):
                    path.unlink(missing_ok=True)
            raise
        return {
            "name": sample.name,
            "split": sample.split,
            "key": sample.key(self._spec.recipe),
            "recipe": self._spec.recipe.name,
            "version": __version__,
            "seed": self._spec.seed,
            "sample_seed": sample.seed,
            **drawn,
            "files": {
                output: {"sha256": digest, "bytes": len(data)}
                for output, (data, digest) in encoded.items()
            },
        }

    def _encode_all(self, pictures: dict[str, np.ndarray]) -> dict[str, tuple[bytes, str]]:
        return {output: self._encode(output, array) for output, array in pictures.items()}

    def _encode(self, output: str, array: np.ndarray) -> tuple[bytes, str]:
        """Encode as PNG; a foreground placed as it is comes again and again as the same array."""
        known, data, digest = self._encoded.get(output, (None, b"", ""))
        if known is not array:
            data = encode(array, ".png", compression=None)
            digest = hashlib.sha256(data).hexdigest()
            self._encoded[output] = (array, data, digest)
        return data, digest


def free_bytes(out: Path) -> int | None:
    """Say how much room the disk has that `out` lies on, or will lie on; None of a store."""
    if isinstance(out, ObjectPath):
        return None
    folder = next(path for path in (out.absolute(), *out.absolute().parents) if path.exists())
    return shutil.disk_usage(folder).free


def _check_room(out: Path, needed: int) -> None:
    free = free_bytes(out)
    if free is not None and free - needed < _RESERVED_BYTES:
        raise OutputUnusable(
            f"only {free / 1e6:.0f} MB are left on the disk of {out}: make room and run again, "
            "finished samples are kept"
        )
