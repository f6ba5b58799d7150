"""The plan of a set: which foreground meets which background under which name and seed."""

from __future__ import annotations

import dataclasses
import hashlib
import itertools
import json
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from mattecli.core.dataset.material import Foreground, Material
from mattecli.core.dataset.recipe import Recipe
from mattecli.core.errors import MatteError


@dataclass(frozen=True)
class Sample:
    """One composite to make; with the recipe it decides every pixel.

    Attributes
    ----------
    name : str
        Path of the outputs below ``image/``, ``alpha/`` and so on, without suffix; where there are
        several splits, after that of the split: ``train/dog_003`` is ``train/image/dog_003.png``.
    split : str
    seed : int
        Of the random numbers of this sample alone.
    foregrounds : tuple of Foreground
        The subject, then those that share the scene with it.
    background : str
        Reference to the background.
    """

    name: str
    split: str
    seed: int
    foregrounds: tuple[Foreground, ...]
    background: str

    @property
    def material(self) -> list[str]:
        """References to the files that it is made of."""
        files = [self.background]
        for foreground in self.foregrounds:
            files += filter(None, (foreground.color, foreground.alpha))
        return files

    def key(self, recipe: Recipe) -> str:
        """Give a hash that tells whether a finished sample is the one that is planned."""
        text = json.dumps([dataclasses.asdict(self), recipe.fingerprint], sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()[:16]


def plan(recipe: Recipe, material: dict[str, Material], seed: int) -> list[Sample]:
    """List every sample, all those of one foreground together.

    A sample's seed depends on its split, its foreground's name and its number only, so that a set
    can grow by foregrounds or by samples per foreground and keep what it has.

    Raises
    ------
    MatteError
        If a running order runs out of backgrounds, or two samples get one name.
    """
    samples: list[Sample] = []
    for split_name, split in recipe.splits.items():
        part = material[split_name]
        running = iter(part.backgrounds)
        needed = len(part.foregrounds) * split.per_foreground
        if recipe.background_order == "running" and len(part.backgrounds) < needed:
            raise MatteError(
                f"split {split_name} needs {needed} backgrounds for {len(part.foregrounds)} "
                f"foregrounds × {split.per_foreground}, but has {len(part.backgrounds)}"
            )
        index = 0
        for foreground in part.foregrounds:
            if recipe.background_order == "shuffled":
                running = _shuffled(part.backgrounds, _hash(seed, split_name, foreground.name))
            for n in range(split.per_foreground):
                sample_seed = _hash(seed, split_name, foreground.name, n)
                stem = foreground.name
                name = recipe.naming.format(stem=stem, prefix=stem.split("_")[0], n=n, index=index)
                if len(recipe.splits) > 1:
                    name = f"{split_name}/{name}"
                others = _others(recipe, part, foreground, sample_seed)
                samples.append(
                    Sample(name, split_name, sample_seed, (foreground, *others), next(running))
                )
                index += 1
    _check_names(samples)
    return samples


def _others(
    recipe: Recipe, part: Material, foreground: Foreground, seed: int
) -> tuple[Foreground, ...]:
    """Draw who shares the scene, from the same split."""
    if recipe.placement != "scene":
        return ()
    rng = np.random.default_rng([seed, 1])
    chances = np.array(recipe.scene.layers)
    count = rng.choice(len(chances), p=chances / chances.sum())
    candidates = [part.foregrounds[i] for i in rng.integers(len(part.foregrounds), size=count)]
    return tuple(other for other in candidates if other != foreground)


def _hash(*parts: object) -> int:
    text = "\0".join(str(part) for part in parts)
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:7], "big")


def _shuffled(items: list[str], seed: int) -> Iterator[str]:
    """All of the items in random order, again and again."""
    order = np.random.default_rng(seed).permutation(len(items))
    return itertools.cycle(items[i] for i in order)


def _check_names(samples: list[Sample]) -> None:
    seen = set()
    for sample in samples:
        # Told apart as some file systems do, which do not know capitals from small letters.
        folded = sample.name.casefold()
        if folded in seen:
            raise MatteError(f"two samples would be called {sample.name}: change the naming")
        seen.add(folded)
