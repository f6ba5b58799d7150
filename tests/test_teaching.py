"""Training on photos without mattes, which other networks tell of."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from training_material import FAST, SMALL_ENCODER, log_of, make_data, matte

from mattecli.core.dataset.sample_cache import SampleCache
from mattecli.core.dataset.sources import Source, find_unlabeled
from mattecli.core.dataset.training_set import TrainingSet
from mattecli.core.imaging.writing import write_image
from mattecli.core.network.weights import read_header
from mattecli.core.toml import read_toml
from mattecli.core.training.teaching import Teachers, agreement, load_teacher

SIDE = 64


def disc(radius: float, soft: float = 1.0) -> torch.Tensor:
    """Alpha of a disc, 1x1xSxS, whose edge is so many pixels wide."""
    y, x = torch.meshgrid(torch.arange(SIDE), torch.arange(SIDE), indexing="ij")
    distance = ((x - SIDE / 2) ** 2 + (y - SIDE / 2) ** 2).sqrt()
    return ((radius - distance) / soft + 0.5).clamp(0, 1)[None, None]


def test_the_first_edge_is_learned_where_all_see_the_same_subject():
    sharp, blunt = disc(20, 1), disc(20, 6)
    alpha, known = agreement([sharp, blunt, blunt], [1, 1, 1])
    assert known.all()
    assert torch.equal(alpha, sharp)


def test_what_the_first_is_unsure_of_is_decided_by_the_others():
    unsure = disc(20)
    unsure[..., SIDE // 2 :] *= 0.4
    alpha, known = agreement([unsure, disc(20), disc(20)], [1.5, 1, 1])
    middle = (..., slice(24, 40), slice(40, 48))
    assert known[middle].all()
    assert (alpha[middle] == 1).all()


def test_what_two_are_sure_of_against_a_third_counts_and_a_tie_is_unknown():
    whole, half = disc(20), disc(20)
    half[..., SIDE // 2 :] = 0
    middle = (..., slice(24, 40), slice(40, 48))
    alpha, known = agreement([half, whole, whole], [1, 1, 1])
    assert known[middle].all()
    assert (alpha[middle] == 1).all()
    _, known = agreement([half, whole, whole], [2, 1, 1])
    assert not known[middle].any()
    assert known[..., :16, :16].all(), "nobody sees anything in a corner"


def test_a_weight_counts_as_often_as_it_says():
    draws = [torch.rand(2, 1, SIDE, SIDE, generator=torch.Generator().manual_seed(1))] * 2
    draws.append(disc(20).expand(2, -1, -1, -1))
    twice = agreement([draws[0], draws[2]], [2, 1])
    listed = agreement(draws, [1, 1, 1])
    assert all(torch.equal(a, b) for a, b in zip(twice, listed, strict=True))


@pytest.mark.parametrize("varied", [False, True])
def test_only_photos_without_mattes_are_taught(varied):
    seen = []

    def teacher(images):
        seen.append(images)
        return torch.ones_like(images[:, :1])

    image, alpha = torch.rand(40, 3, 32, 32), torch.zeros(40, 1, 32, 32)
    known = torch.zeros_like(alpha)
    known[2::2, :, :8] = 1
    unlabeled = torch.arange(40) % 2 == 1
    before = {"image": image, "alpha": alpha, "known": known, "unlabeled": unlabeled}
    if varied:
        before["unvaried"] = torch.rand(20, 3, 32, 32)
    batch = Teachers([(teacher, 1.0)]).teach(before)
    assert torch.equal(torch.cat(seen), before["unvaried"] if varied else image[1::2])
    assert (batch["alpha"][1::2] == 1).all()
    assert (batch["known"][1::2] == 1).all()
    assert (batch["alpha"][::2] == 0).all()
    assert torch.equal(batch["known"][::2], known[::2])
    assert not alpha.any(), "the batch itself stays as it was, for another try"


def test_a_network_teaches_what_it_predicts():
    y, x = np.mgrid[:128, :128]
    inside = ((x - 64) ** 2 + (y - 64) ** 2 < 40**2)[..., None]
    rng = np.random.default_rng(2)
    wall = 200 + rng.integers(-8, 8, (128, 128, 3))
    color = np.array([150, 60, 30]) + rng.integers(-25, 25, (128, 128, 3))
    photo = np.where(inside, color, wall)
    images = torch.from_numpy(photo / 255).float().permute(2, 0, 1)[None]
    found = load_teacher("default", torch.device("cpu"))(images.expand(2, -1, -1, -1))
    assert found.shape == (2, 1, 128, 128)
    assert np.abs(found[:, 0].numpy() - inside[..., 0]).mean() < 0.05


def test_samples_of_photos_say_that_nothing_is_known(tmp_path):
    rng = np.random.default_rng(0)
    write_image(tmp_path / "photos/deep/a.png", rng.integers(0, 255, (50, 70, 3), np.uint8))
    photos = find_unlabeled(f"{tmp_path}/photos=0.5")
    assert (photos.kind, photos.weight, len(photos.files)) == ("photos", 0.5, 1)
    make_data(tmp_path)
    cutouts = Source("cutouts", [(tmp_path / "cutouts/0.png", None)], 0.5)
    backgrounds = Source("backgrounds", [(tmp_path / "backgrounds/0.png", None)])
    dataset = TrainingSet(
        [photos, cutouts], backgrounds, sizes=(32,), cache=SampleCache(None, 64), seed=3
    )
    samples = [dataset[number] for number in range(40)]
    assert all(float(s["known"].mean()) == float(not s["unlabeled"]) for s in samples)
    unlabeled = [s for s in samples if s["unlabeled"]]
    assert 10 < len(unlabeled) < 30
    # What the photo holds, whatever became of its colors in the image.
    noise = [float(s["unvaried"].float().std()) / 255 for s in unlabeled]
    varied = [float(s["image"].std()) for s in unlabeled]
    assert np.std(noise) < np.std(varied) / 2
    assert not any("unvaried" in s for s in samples if not s["unlabeled"])


@pytest.fixture()
def run(tmp_path):
    """Data, and the command that trains on it with photos without mattes."""
    make_data(tmp_path)
    command = [
        *("train", tmp_path / "pairs", "--out", tmp_path / "run", *FAST),
        *("--encoder", SMALL_ENCODER, "--steps", 3),
    ]
    return tmp_path, command


def test_a_run_learns_from_photos_without_mattes(run):
    root, command = run
    own = [*command, "--unlabeled", f"{root / 'backgrounds'}=3", "--teacher", "default=2"]
    code, said = matte(*own)
    assert code == 0, said
    config = read_toml(root / "run/config.toml")
    assert config["teachers"] == ["default=2"]
    settings = read_header(root / "run/last.safetensors")[1]["settings"]
    assert settings["unlabeled"] == [f"{root.name}/backgrounds=3"], "not the machine's paths"
    assert np.isfinite(log_of(root / "run")[-1]["total"])
    code, said = matte(*command, "--resume", "--steps", 4, "--unlabeled", root / "cutouts")
    assert code == 1
    assert "cannot change unlabeled" in said


@pytest.mark.parametrize(
    ("more", "says"),
    [
        (["--unlabeled", "backgrounds"], "give --unlabeled and --teacher together"),
        (["--teacher", "default"], "give --unlabeled and --teacher together"),
        (["--unlabeled", "nowhere", "--teacher", "default"], "nowhere: no such folder of photos"),
        (["--unlabeled", "bare", "--teacher", "default"], "bare: no photos"),
        (["--unlabeled", "backgrounds", "--teacher", "nobody"], "nobody"),
        (["--unlabeled", "backgrounds=-1", "--teacher", "default"], "above 0"),
    ],
)
def test_what_cannot_teach_is_refused_before_the_first_step(run, monkeypatch, more, says):
    root, command = run
    monkeypatch.chdir(root)
    (root / "bare").mkdir()
    code, said = matte(*command, *more)
    assert code == 1
    assert says in said
    assert len(said.strip().splitlines()) == 1
    assert not (root / "run/last.safetensors").exists()
