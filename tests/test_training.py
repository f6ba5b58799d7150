"""``matte train`` from the outside: it learns, it logs, it survives a kill, it explains itself."""

from __future__ import annotations

import os
import signal
import threading
import time
from unittest import mock

import numpy as np
import pytest
import torch
from child_processes import MATTE, Child
from training_material import FAST, PLAIN, SMALL_ENCODER, log_of, matte

from mattecli.core.dataset.sample_cache import SampleCache
from mattecli.core.dataset.sources import find_backgrounds, find_sources
from mattecli.core.dataset.training_set import Mixture, TrainingSet
from mattecli.core.imaging.reading import read_picture
from mattecli.core.imaging.writing import write_image
from mattecli.core.network.weights import load_network, read_header
from mattecli.core.training import batches, losses, state
from mattecli.core.training.checkpoint import load_checkpoint
from mattecli.core.training.config import load_config
from mattecli.core.training.processes import Processes


def test_training_learns_and_leaves_usable_weights(data, tmp_path):
    run = tmp_path / "run"
    code, error = matte(
        *(
            "train",
            data / "pairs",
            f"{data / 'cutouts'}=0.5",
            "--backgrounds",
            data / "backgrounds",
        ),
        *("--val", data / "pairs", "--out", run, "--steps", 40, "--lr", 3e-3, "--batch-size=4"),
        *("--predict-size", 128, "--crop-size=64", "--encoder", SMALL_ENCODER, *PLAIN),
    )
    assert code == 0, error
    lines = log_of(run)
    totals = [line["total"] for line in lines if "total" in line]
    assert np.mean(totals[-2:]) < 0.9 * totals[0]
    assert {"step", "lr", "images_per_s", "l1", "sentry", "total"} <= set(lines[0])
    assert any("val_sad" in line for line in lines)
    assert 'name = "matte"' in (run / "config.toml").read_text()
    network = load_network(run / "best.safetensors")
    assert network.config.predict_size == 128
    provenance = read_header(run / "best.safetensors")[1]
    assert provenance["settings"]["data"] == [
        f"{data.name}/pairs",
        f"{data.name}/cutouts=0.5",
    ], "names of folders, not the machine's paths"
    with torch.inference_mode():
        assert network(torch.rand(1, 3, 64, 64)).shape == (1, 1, 64, 64)


TINY = f"""
[network]
name = "hattmatting"
encoder = "{SMALL_ENCODER}"
pyramid_channels = 16
cue_channels = [16]
[loss]
l1 = 1.0
"""


def train_steps(data, run, *more):
    """Train `matte` with a small encoder, or what a recipe among `more` says."""
    encoder = () if "--recipe" in more else ("--encoder", SMALL_ENCODER)
    return matte("train", data / "pairs", "--out", run, "--steps", 6, *FAST, *encoder, *more)


@pytest.fixture(scope="module")
def trained(data, tmp_path_factory):
    """A run of six steps, to be left as it is."""
    run = tmp_path_factory.mktemp("trained") / "run"
    code, error = train_steps(data, run)
    assert code == 0, error
    return run


DIES_IN_THE_FOURTH_WRITE = """
import os, signal, torch
from mattecli.cli import app
save, written = torch.save, []
def save_or_die(state, file):
    save(state, file)
    written.append(file)
    if len(written) == 4:  # the first one is of step 0
        file.file.truncate(file.file.tell() // 2)
        os.kill(os.getpid(), signal.SIGKILL)
torch.save = save_or_die
app.main()
"""


def test_a_run_killed_while_it_writes_resumes_to_the_same_result(data, tmp_path):
    recipe = tmp_path / "every_step.toml"
    recipe.write_text(
        "log_every = 1\ncheckpoint_every = 1\nvalidate_every = 3\n"
        f'[network]\nname = "matte"\nencoder = "{SMALL_ENCODER}"\n[loss]\nl1 = 1.0\n'
    )
    whole, broken = tmp_path / "whole", tmp_path / "broken"
    judged = ("--val", data / "pairs", "--predict-size", 32, "--recipe", recipe)
    assert train_steps(data, whole, *judged)[0] == 0

    arguments = ["train", data / "pairs", "--out", broken, "--steps", 6, *FAST, *judged]
    killed = Child(DIES_IN_THE_FOURTH_WRITE, *arguments, said=tmp_path / "said")
    assert killed.wait()[0] == -signal.SIGKILL
    assert len(list((broken / "last").iterdir())) == 2, "a whole checkpoint and half of the next"
    assert [line["step"] for line in log_of(broken)] == [1, 2, 3, 3]
    code, error = matte("train", "--out", broken, "--resume", *PLAIN)
    assert code == 0, error

    same = ("step", "total", "lr", "val_sad")
    expected = [[line.get(name) for name in same] for line in log_of(whole)]
    assert [[line.get(name) for name in same] for line in log_of(broken)] == expected
    stored = [load_checkpoint(run / "last/checkpoint.pt") for run in (whole, broken)]
    for part in ("network", "average"):
        for name, value in stored[0][part].items():
            assert torch.equal(value, stored[1][part][name]), name


def test_ctrl_c_keeps_everything_and_resume_goes_on(data, tmp_path):
    run = tmp_path / "run"
    arguments = ["train", data / "pairs", "--out", run, "--steps", 5000, *FAST]
    started = Child(MATTE, *arguments, said=tmp_path / "said")
    while not (run / "log.jsonl").exists() or not log_of(run):
        assert started.process.is_alive(), started.wait()
        time.sleep(0.1)
    for number in (signal.SIGINT, signal.SIGTERM):  # the second as torchrun hands it on
        os.kill(started.process.pid, number)
    code, said = started.wait()
    assert code == 130 and "--resume goes on" in said
    step = load_checkpoint(run / "last/checkpoint.pt")["step"]
    assert 10 <= step < 100 and (run / "last.safetensors").exists()

    (run / "config.toml").write_text(
        (run / "config.toml").read_text().replace("steps = 5000", f"steps = {step + 2}")
    )
    code, error = matte("train", "--out", run, "--resume", *PLAIN)
    assert code == 0, error
    assert log_of(run)[-1]["step"] == step + 2


def test_a_run_is_not_overwritten_by_accident(data, trained):
    before = {path: path.stat().st_mtime_ns for path in trained.rglob("*")}
    code, error = train_steps(data, trained)
    assert code == 1 and "--resume" in error
    assert {path: path.stat().st_mtime_ns for path in trained.rglob("*")} == before


@pytest.mark.parametrize("below", ["", "run"])
@pytest.mark.parametrize("resume", [[], ["--resume"]])
def test_a_file_in_the_place_of_a_run_is_said_before_anything_is_fetched(
    data, tmp_path, monkeypatch, below, resume
):
    monkeypatch.setattr(state, "build_network", lambda *_, **__: pytest.fail("fetched"))
    (tmp_path / "file").write_text("something")
    out = tmp_path / "file" / below
    code, error = matte("train", data / "pairs", "--out", out, "--device=cpu", *resume)
    assert code == 1
    assert error.count("\n") == 1 and f"{tmp_path / 'file'} is a file" in error
    assert (tmp_path / "file").read_text() == "something"


@pytest.mark.parametrize(
    ("where", "message"),
    [("loss", "the loss is not finite at step 3"), ("weight", "a weight is not finite at step 2")],
)
def test_what_is_not_finite_stops_and_keeps_the_last_good_checkpoint(
    data, tmp_path, where, message
):
    recipe, run = tmp_path / "r.toml", tmp_path / "run"
    recipe.write_text(f"checkpoint_every = 1\nclip = 0.0\n{TINY}")
    weights, step = losses.weighted_sum, []

    def spoil(values, share):
        step.append(None)
        total = weights(values, share)
        if where == "loss":
            return total * float("nan") if len(step) == 3 else total
        # The loss stays what it is, its slope does not.
        return total + 0 * torch.sqrt(values["l1"] - values["l1"]) if len(step) == 2 else total

    with mock.patch("mattecli.core.training.step.weighted_sum", spoil):
        code, error = train_steps(data, run, "--recipe", recipe)
    assert code == 1 and message in error and "--resume" in error
    stored = load_checkpoint(run / "last/checkpoint.pt")
    assert stored["step"] == (2 if where == "loss" else 1)
    assert all(torch.isfinite(value).all() for value in stored["network"].values())
    assert train_steps(data, run, "--resume", "--steps", 3)[0] == 0


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["nowhere"], "nowhere: no such folder"),
        (["{data}/cutouts"], "needs --backgrounds"),
        (["{data}/pairs", "--loss", "l3=1"], "unknown loss l3"),
        (["{data}/pairs", "--recipe", "secret"], "no recipe 'secret'"),
        (["{data}/pairs", "--network", "unet"], "unknown network 'unet'"),
        (["{data}/pairs", "--crop-size", "100"], "multiple of 32"),
        (
            ["{data}/pairs", "--no-pretrained", "--train-only", "aspp", "--freeze", "aspp"],
            "train_only and freeze together leave nothing to train",
        ),
        (["{data}/pairs=x"], "must be a number"),
        (["{data}/pairs=0"], "must be above 0"),
        (["{data}/pairs", "--resume"], "nothing to resume from"),
        (["{data}/pairs", "--device", "warp"], "unknown device 'warp'"),
        (["{data}/pairs", "--gan", "wgan"], "use lsgan or bce"),
        (["{data}/pairs", "--lr", "-1"], "lr must be 0 or more"),
        (["{data}/pairs", "--loss", "l1=nan"], "loss l1 must be 0 or more"),
        (["{data}/pairs", "--accumulate", "5"], "cannot be shared out"),
        (["{data}/pairs", "--crop-size", "32", "--batch-size", "1"], "use at least 64 px"),
        (["{data}/pairs", "--network", "late-fusion", "--channel-attention"], "no attention"),
    ],
)
def test_what_cannot_be_trained_says_why_in_one_line(data, tmp_path, arguments, message):
    filled = [argument.format(data=data) for argument in arguments]
    flags = [] if "--crop-size" in filled else ["--crop-size=32"]
    code, error = matte("train", *filled, "--out", tmp_path, *flags)
    assert code == 1 and message in error
    assert len(error.strip().splitlines()) == 1


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("stepps = 2", "did you mean 'steps'?"),
        ('steps = "many"', "'steps' has a value of the wrong kind"),
        ("[network]\nwidth = 3", "unknown network setting width"),
        ("sides = [64, 100]", "sides must be a multiple of 32, not 100"),
        ("[mixture]\nfull = 1.0", "unknown key 'mixture.full'"),
        ("[mixture]\nhair = 25", "mixture.hair must be from 0 to 1, not 25"),
        ('optional_losses = ["ssimm"]', "only composition can be an optional loss, not ssimm"),
    ],
)
def test_recipes_that_make_no_sense_say_where(data, tmp_path, text, message):
    recipe = tmp_path / "r.toml"
    recipe.write_text(text)
    code, error = matte("train", data / "pairs", "--recipe", recipe, "--out", tmp_path / "run")
    assert code == 1 and message in error


def write_pair(folder, name, image=(8, 8, 3), alpha=(8, 8)):
    for kind, shape in (("image", image), ("alpha", alpha)):
        if shape:
            write_image(folder / kind / f"{name}.png", np.zeros(shape, np.uint8))


def refused(tmp_path, *arguments):
    code, error = matte("train", *arguments, "--out", tmp_path / "run", *FAST)
    assert code == 1 and len(error.strip().splitlines()) == 1, error
    return error


def test_pictures_without_a_matte_are_listed(tmp_path):
    for name in "abcd":
        write_pair(tmp_path, name, alpha=(8, 8) if name == "a" else None)
    error = refused(tmp_path, tmp_path)
    assert "3 file(s)" in error and "b.png" in error and "d.png" in error


def test_mattes_of_another_size_are_listed(tmp_path):
    for name in "abc":
        write_pair(tmp_path, name, alpha=(8, 8) if name == "b" else (6, 9))
    error = refused(tmp_path, tmp_path)
    assert "2 file(s)" in error and "a.png (8x8, its matte 9x6)" in error and "c.png" in error


def test_cutouts_without_alpha_are_listed(data, tmp_path):
    write_pair(tmp_path / "set", "a", alpha=None)
    error = refused(tmp_path, tmp_path / "set/image", "--backgrounds", data / "backgrounds")
    assert "a.png (no alpha channel)" in error


@pytest.mark.parametrize("workers", [0, 1])
@pytest.mark.parametrize(
    ("alpha", "reason"),
    [(0, "fully transparent"), (1, "its alpha is 0 and 1 of 255, a mask of labels: write 1 as")],
)
def test_a_file_that_turns_out_bad_is_named_in_one_line(data, tmp_path, workers, alpha, reason):
    """A cutout's header says nothing of what is in it."""
    empty = tmp_path / "set/empty.png"
    cutout = np.zeros((8, 8, 4), np.uint8)
    cutout[2:6, 2:6, 3] = alpha
    write_image(empty, cutout)
    more = ("--backgrounds", data / "backgrounds", "--workers", workers)
    code, error = matte("train", tmp_path / "set", "--out", tmp_path / "run", *FAST, *more)
    assert code == 1
    assert error.startswith(f"matte: {empty}: ") and reason in error
    assert len(error.strip().splitlines()) == 1


def test_composites_that_a_script_numbered_share_their_matte(tmp_path):
    for name in ("hat_1", "hat_2", "cat_0"):
        write_pair(tmp_path, name, alpha=None)
    for name in ("hat", "cat"):
        write_pair(tmp_path, name, image=None)
    (pairs,) = find_sources(tmp_path)
    names = {image.stem: alpha.stem for image, alpha in pairs.files}
    assert names == {"hat_1": "hat", "hat_2": "hat", "cat_0": "cat"}


@pytest.mark.parametrize(
    ("color", "matte_folder"), [("fg", "alpha"), ("FG", "GT")], ids=["composition-1k", "646"]
)
def test_raw_parts_of_the_published_sets_are_cutouts(data, tmp_path, color, matte_folder):
    for cutout in (data / "cutouts").glob("*.png"):
        rgba = read_picture(cutout)
        write_image(tmp_path / "Training_set/Other" / color / cutout.name, rgba.color)
        write_image(tmp_path / "Training_set/Other" / matte_folder / cutout.name, rgba.alpha)
    (raw,) = find_sources(tmp_path / "Training_set")
    (plain,) = find_sources(data / "cutouts")
    assert raw.kind == plain.kind == "cutouts"
    backgrounds = find_backgrounds(data / "backgrounds")
    for number in range(4):
        one, other = (
            TrainingSet([source], backgrounds, sizes=(32,))[number] for source in (raw, plain)
        )
        assert torch.equal(one["image"], other["image"])


def test_the_cache_leaves_a_full_disk_alone(data, tmp_path):
    path = data / "backgrounds/0.png"
    # Whatever the disk under the test is like.
    disk = mock.Mock(return_value=mock.Mock(free=10))
    with mock.patch("mattecli.core.dataset.sample_cache.shutil.disk_usage", disk):
        read = SampleCache(tmp_path, 32).background(path)
        assert not list(tmp_path.iterdir())
        disk.return_value.free = 2**30
        assert np.array_equal(SampleCache(tmp_path, 32).background(path), read)
    assert len(list(tmp_path.iterdir())) == 1


def test_the_automatic_number_of_workers(monkeypatch):
    monkeypatch.setattr(batches, "usable_cores", lambda: 24)
    assert batches._workers(Processes(0, 1, torch.device("cpu"))) == 0
    assert batches._workers(Processes(0, 1, torch.device("cuda", 0))) == 16
    monkeypatch.setenv("LOCAL_WORLD_SIZE", "4")
    assert batches._workers(Processes(0, 4, torch.device("cuda", 0))) == 5


def test_losses_are_worked_out_in_full_precision(data, tmp_path, monkeypatch):
    """The variances of SSIM are small differences, and a sure mistake is 1.0 in half precision."""
    seen = []

    def watched(alpha, *rest):
        seen.append((torch.is_autocast_enabled("cpu"), alpha.dtype))
        return losses.loss_values(alpha, *rest)

    monkeypatch.setattr("mattecli.core.training.step.loss_values", watched)
    recipe = tmp_path / "r.toml"
    recipe.write_text(TINY)
    code, error = train_steps(data, tmp_path / "run", "--precision", "bf16", "--recipe", recipe)
    assert code == 0, error
    assert seen == [(False, torch.float32)] * 6


def test_threads_and_workers_prepare_the_same_batches(data):
    config = load_config("default", data=[str(data / "pairs")], crop_size=64, batch_size=4, steps=2)
    streams = []
    for workers in (0, 2):
        config.workers = workers
        dataset = batches.build_dataset(config, None)
        processes = Processes(0, 1, torch.device("cpu"))
        streams.append(list(batches.batches(dataset, config, 0, processes)))
    for alone, worked in zip(*streams, strict=True):
        assert set(alone) == set(worked)
        assert all(torch.equal(alone[name], worked[name]) for name in alone)


LOCK = threading.Lock()


class Locked(TrainingSet):
    """Samples that are made by one thread at a time, as parts of libraries work."""

    def __getitem__(self, number):
        with LOCK:
            return super().__getitem__(number)


def test_workers_wait_for_no_thread_of_the_process_that_started_them(data):
    """OpenCV's threads, for one, hold a lock while they end; a forked copy never gets it back."""
    config = load_config("default", data=[str(data / "pairs")], crop_size=64, batch_size=4, steps=1)
    config.workers = 1
    dataset = Locked(find_sources(str(data / "pairs")), None, sizes=(64,))
    with LOCK:
        (batch,) = batches.batches(dataset, config, 0, Processes(0, 1, torch.device("cpu")))
    assert len(batch["image"]) == 4


LOSES_ITS_WORKER = """
import multiprocessing, os, signal, time
from mattecli.cli import app
from mattecli.core.network.aspp import ASPP
forward, calls = ASPP.forward, []
def work(self, features):
    calls.append(None)
    if len(calls) == 4:
        {what}
    return forward(self, features)
ASPP.forward = work
app.main()
"""


@pytest.mark.parametrize(
    ("what", "says"),
    [
        (
            "os.kill(multiprocessing.active_children()[0].pid, signal.SIGKILL); time.sleep(60)",
            "try fewer --workers; --resume goes on",
        ),
        ("raise RuntimeError('the device has failed')", "the device has failed"),
    ],
)
def test_a_run_ends_with_its_workers_whatever_happens(data, tmp_path, what, says):
    recipe, run = tmp_path / "r.toml", tmp_path / "run"
    recipe.write_text(TINY)
    code, said = Child(
        LOSES_ITS_WORKER.format(what=what),
        *("train", data / "pairs", "--recipe", recipe, "--out", run, "--steps", 9, *FAST),
        *("--no-pretrained", "--device=cpu", "--quiet", "--workers=1"),
        said=tmp_path / "said",
    ).wait()
    assert code == 1 and says in said
    assert load_checkpoint(run / "last/checkpoint.pt")["step"] == 0


def test_each_step_has_one_of_the_sides_in_all_its_parts_and_processes(data):
    sides = [32, 64, 96]
    config = load_config("default", data=[str(data / "pairs")], sides=sides, steps=12, accumulate=2)
    config.batch_size = 4
    dataset = batches.build_dataset(config, None)
    seen = []
    for rank in (0, 1):
        processes = Processes(rank, 2, torch.device("cpu"))
        stream = batches.batches(dataset, config, 0, processes)
        seen.append([tuple(batch["image"].shape) for batch in stream])
    assert seen[0] == seen[1], "processes would wait for one another"
    assert seen[0][::2] == seen[0][1::2]
    assert {shape[2] for shape in seen[0]} == set(sides)
    assert {shape[0] for shape in seen[0]} == {1}

    # Going on after step 5 shows what would have come.
    later = batches.batches(dataset, config, 5, Processes(1, 2, torch.device("cpu")))
    assert [tuple(batch["image"].shape) for batch in later] == seen[1][10:]


def test_sample_n_is_a_pure_function_of_n_and_seed(data):
    sources = [*find_sources(data / "pairs"), *find_sources(data / "cutouts")]
    backgrounds = find_backgrounds(data / "backgrounds")

    def sample(seed, number):
        return TrainingSet(sources, backgrounds, sizes=(32,), seed=seed)[number]

    for number in range(8):
        for key, value in sample(5, number).items():
            assert torch.equal(value, sample(5, number)[key])
    assert not torch.equal(sample(5, 0)["image"], sample(6, 0)["image"])


def test_composed_samples_obey_the_matting_equation(data):
    samples = TrainingSet(
        find_sources(data / "cutouts"),
        find_backgrounds(data / "backgrounds"),
        sizes=(64,),
        mixture=Mixture(second_subject=0.5, empty=0.1),
    )
    known = exact = 0
    for number in range(40):
        s = samples[number]
        assert s["alpha"].min() >= 0 and s["alpha"].max() <= 1
        if s["composed"]:
            known += 1
            again = s["alpha"] * s["foreground"] + (1 - s["alpha"]) * s["background"]
            exact += torch.allclose(again, s["image"], atol=1e-5)
    # A good third is neither grey, dim, soft, noisy nor was it a JPEG.
    assert known > 30 and exact > 10


def test_recomposed_photos_do_not_carry_their_old_background(data):
    """The photos' background is blue-green; on a grey one no pixel may stay blue-green."""
    sources = find_sources(data / "pairs")
    grey = data.parent / f"{data.name}-grey"
    write_image(grey / "g.png", np.full((64, 64, 3), 128, np.uint8))
    # Drawn hair and glass may have colors of their own.
    mixture = Mixture(1.0, 0.0, 0.0, hair=0.0, glass=0.0)
    samples = TrainingSet(sources, find_backgrounds(grey), sizes=(64,), mixture=mixture, seed=2)
    for number in range(12):
        s = samples[number]
        foreground = s["foreground"][:, s["alpha"][0] > 0.1]
        if foreground.numel():
            assert (foreground[0] > foreground[1]).float().mean() > 0.97


def test_fine_tuning_starts_from_given_weights_and_may_change_the_predict_size(
    data, trained, tmp_path
):
    second = tmp_path / "second"
    start = ("--start-from", trained / "last.safetensors", "--predict-size", 96)
    code, error = train_steps(data, second, *start, "--lr", "0", "--steps", 1)
    assert code == 0, error
    before, after = (load_network(run / "last.safetensors") for run in (trained, second))
    assert after.config.predict_size == 96
    assert torch.equal(before.head.alpha.weight, after.head.alpha.weight)


def test_fine_tuning_may_add_a_part_to_the_network(data, tmp_path):
    first, second = tmp_path / "first", tmp_path / "second"
    recipe = tmp_path / "recipe.toml"
    recipe.write_text(
        f'[network]\nname = "matte"\nencoder = "{SMALL_ENCODER}"\nguided_strides = []\n'
        "[loss]\nl1 = 1.0\n"
    )
    assert train_steps(data, first, "--recipe", recipe, "--steps", 1)[0] == 0
    before = load_network(first / "last.safetensors")
    assert before.guided is None and not before.sentries
    recipe.write_text(recipe.read_text().replace("[]", "[16, 4]") + "sentry = 1.0\n")
    start = ("--start-from", first / "last.safetensors", "--recipe", recipe)
    code, error = train_steps(data, second, *start, "--lr", "0", "--steps", 1)
    assert code == 0, error
    after = load_network(second / "last.safetensors")
    assert after.guided.strides == (16, 4)
    assert len(after.sentries) == 4 and log_of(second)[0]["sentry"] > 0
    assert torch.equal(before.head.alpha.weight, after.head.alpha.weight)
    code, error = train_steps(data, tmp_path / "third", *start, "--encoder", "resnet18")
    assert code == 1 and f"has the encoder '{SMALL_ENCODER}', not" in " ".join(error.split())


def test_a_part_can_be_trained_alone(data, trained, tmp_path):
    second, start = tmp_path / "second", ("--start-from", trained / "last.safetensors")
    code, error = train_steps(data, second, *start, "--train-only", "levels")
    assert code == 0, error
    before, after = (
        load_network(run / "last.safetensors").state_dict() for run in (trained, second)
    )
    changed = {name.partition(".")[0] for name in before if not before[name].equal(after[name])}
    assert changed == {"levels"}, "batch norms of the other parts rest too"
    resting = ("encoder.body.conv_stem", "aspp", "levels")
    frozen = [argument for part in resting for argument in ("--freeze", part)]
    code, error = train_steps(data, tmp_path / "still", *start, *frozen)
    assert code == 0, error
    after = load_network(tmp_path / "still" / "last.safetensors").state_dict()
    moved = {name for name in before if not before[name].equal(after[name])}
    assert not any(name.startswith(resting) for name in moved)
    assert any(name.startswith("encoder.body.blocks.0") for name in moved)
    code, error = train_steps(data, tmp_path / "third", "--only", "roof")
    assert code == 1 and "no part 'roof': choose from encoder, guidance, aspp" in " ".join(
        error.split()
    )


def test_recipes_of_earlier_versions_call_the_trained_part_only(tmp_path):
    (tmp_path / "old.toml").write_text('only = "head"')
    assert load_config(str(tmp_path / "old.toml")).train_only == "head"
