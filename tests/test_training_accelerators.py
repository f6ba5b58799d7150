"""What training does for accelerators: on the CPU by stand-ins, and on a GPU where there is one."""

from __future__ import annotations

import contextlib
import functools
import sys
from pathlib import Path
from unittest import mock

import pytest
import torch
from child_processes import Launched
from training_material import FAST, PLAIN, SMALL_ENCODER, log_of, matte

from mattecli.core.errors import MatteError
from mattecli.core.training import accelerating, processes, step
from mattecli.core.training.adversary import Adversary
from mattecli.core.training.config import load_config
from mattecli.core.training.processes import Processes, training_precision
from mattecli.core.training.rehearsing import rehearse

CUDA = torch.device("cuda", 0)
RECIPE = f"""
log_every = 1
freeze_batch_norm = true
[network]
name = "hattmatting"
encoder = "{SMALL_ENCODER}"
pyramid_channels = 16
cue_channels = [16]
[loss]
l1 = 1.0
"""


@pytest.fixture
def recipe(tmp_path):
    path = tmp_path / "recipe.toml"
    path.write_text(RECIPE)
    return path


def train(data, recipe, run, *arguments):
    command = ["train", data / "pairs", "--recipe", recipe, "--out", run, "--batch-size=4"]
    code, error = matte(*command, "--crop-size=32", *PLAIN, *arguments)
    return code, " ".join(error.split())


class SmallMemory:
    """Stands in for a device that has room for so many samples, and fails halfway otherwise."""

    def __init__(self, room):
        self.room, self.sizes = room, []
        self.loss_values = step.loss_values

    def __call__(self, alpha, *rest):
        self.sizes.append(len(alpha))
        if len(alpha) > self.room:
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 1 GiB")
        return self.loss_values(alpha, *rest)


@pytest.mark.parametrize("accumulate", [1, 2])
def test_out_of_memory_halves_what_goes_through_at_once_and_changes_nothing_else(
    data, recipe, tmp_path, accumulate
):
    assert train(data, recipe, tmp_path / "whole", "--steps", 3)[0] == 0
    memory = SmallMemory(1)
    with mock.patch.object(step, "loss_values", memory):
        code, said = train(data, recipe, tmp_path / "run", "--steps", 3, "--accumulate", accumulate)
    assert code == 0, said
    assert said.count("out of memory: parts of a batch go in") == 1
    assert memory.sizes[-12:] == [1] * 12, "and it is not tried again in every step"
    for line, other in zip(log_of(tmp_path / "whole"), log_of(tmp_path / "run"), strict=True):
        assert line["total"] == pytest.approx(other["total"], rel=1e-4)


def test_a_device_too_small_for_one_sample_says_what_to_do(data, recipe, tmp_path):
    with mock.patch.object(step, "loss_values", SmallMemory(0)):
        code, said = train(data, recipe, tmp_path / "run", "--steps", 3)
    assert code == 1
    assert "out of memory with a single sample at 32 px: choose a smaller --crop-size" in said


#: The second of two processes has memory for a single sample.
SHORT = """
import os
import torch
from mattecli.cli import app
from mattecli.core.training import step
loss_values = step.loss_values
def short(alpha, *rest):
    if os.environ["RANK"] == "1" and len(alpha) > 1:
        raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 1 GiB")
    return loss_values(alpha, *rest)
step.loss_values = short
app.main()
"""


def test_processes_agree_on_what_goes_through_where_one_is_short_of_memory(data, recipe, tmp_path):
    arguments = ["--batch-size=4", "--crop-size=32", "--steps=3", "--loss", "adversarial=0.05"]
    command = ["train", data / "pairs", "--recipe", recipe, "--out", tmp_path / "two"]
    launched = Launched(SHORT, *command, *arguments, *PLAIN, said=tmp_path / "said")
    code, said = launched.wait()
    assert code == 0, said
    assert said.count("out of memory: parts of a batch go in 2 pieces from now") == 1
    assert train(data, recipe, tmp_path / "one", *arguments)[0] == 0
    for line, other in zip(log_of(tmp_path / "one"), log_of(tmp_path / "two"), strict=True):
        for loss in ("total", "discriminator"):
            assert line[loss] == pytest.approx(other[loss], rel=1e-4)


def test_a_rehearsal_ends_in_all_processes_where_one_has_no_memory_for_a_sample():
    state = mock.Mock(chunks=1, rehearsed={})
    others = mock.Mock(world=2, device=torch.device("cpu"))
    others.total.return_value = [1.0]
    with pytest.raises(MatteError, match="a single sample at 64 px"):
        rehearse(state, others, 2, 64, lambda: None)
    assert others.total.call_count == 2 and state.chunks == 2


def test_the_first_two_steps_of_every_size_are_rehearsed():
    state = mock.Mock(chunks=1, rehearsed={})
    alike = mock.Mock(world=2, device=torch.device("cpu"))
    alike.total.side_effect = lambda values: values
    attempts = []
    for side in (32, 32, 64, 32, 64, 64):
        rehearse(state, alike, 2, side, lambda side=side: attempts.append(side))
    assert attempts == [32, 32, 64, 64] and state.chunks == 1


def test_a_compiled_network_is_compiled_once_for_every_size(data, tmp_path):
    recipe = tmp_path / "recipe.toml"
    recipe.write_text(f"sides = [32, 64, 96]\n{RECIPE}")
    made, called = [], []

    def backend(graph, inputs):
        sizes = {tuple(i.shape) for i in inputs if isinstance(i, torch.Tensor) and i.ndim == 4}
        made.append(next(size for size in sizes if size[:2] == (2, 3)))

        def run(*arguments):
            called.append(None)
            return graph.forward(*arguments)

        return run

    counted = functools.partial(torch.compile, backend=backend)
    torch._dynamo.reset()
    with mock.patch.object(accelerating.torch, "compile", counted):
        code, error = matte(
            *("train", data / "pairs", "--recipe", recipe, "--out", tmp_path / "run"),
            *("--batch-size=2", "--steps", 12, "--compile", *PLAIN),
        )
    torch._dynamo.reset()
    assert code == 0, error
    assert sorted(size[-1] for size in made) == [32, 64, 96]
    assert len(called) == 12


def test_gpus_compute_in_tf32_and_look_for_the_fastest_convolutions_of_few_sizes():
    backends = torch.backends

    def flags():
        cudnn = backends.cudnn
        return cudnn.benchmark, cudnn.allow_tf32, backends.cuda.matmul.allow_tf32

    before = flags()
    config = load_config("default")
    with accelerating.fast_backends(CUDA, config):
        assert flags() == (True, True, True)
    assert flags() == before
    config.sides = [512, 640]
    with accelerating.fast_backends(CUDA, config):
        assert flags() == (False, True, True)
    with accelerating.fast_backends(torch.device("cpu"), config):
        assert flags() == before


@pytest.mark.skipif(sys.platform != "linux", reason="glibc's malloc")
def test_on_a_cpu_memory_of_tensors_is_kept_from_step_to_step():
    import resource

    def resident():
        pages = int(Path("/proc/self/statm").read_text().split()[1])
        return pages * resource.getpagesize() / 2**20

    with accelerating.fast_backends(torch.device("cpu"), load_config("default")):
        torch.ones(200 * 2**18)
        kept = resident()
    assert kept - resident() > 150, "MiB kept until the end, then given back"
    before = resident()
    torch.ones(200 * 2**18)
    assert resident() - before < 50, "and at once as before"


@pytest.mark.parametrize(("has_it", "expected"), [(True, torch.bfloat16), (False, torch.float16)])
def test_bfloat16_is_taken_where_a_gpu_has_it(has_it, expected):
    with mock.patch.object(processes.torch.cuda, "is_bf16_supported", return_value=has_it):
        assert training_precision("auto", CUDA) is expected
        assert training_precision("fp16", CUDA) is torch.float16
    assert training_precision("auto", torch.device("cpu")) is torch.float32


@pytest.mark.parametrize("name, expected", [("bf16", torch.bfloat16), ("fp16", torch.float32)])
def test_the_discriminator_computes_in_bfloat16_but_not_in_float16(name, expected):
    config = load_config("default", precision=name)
    adversary = Adversary(config, Processes(0, 1, torch.device("cpu")))
    image, alpha = torch.rand(1, 3, 32, 32), torch.rand(1, 1, 32, 32)
    seen = []
    convolution = adversary.discriminator.layers[0]
    convolution.register_forward_hook(lambda module, inputs, output: seen.append(output.dtype))
    losses = [
        adversary.generator_loss(image, alpha),
        adversary.learn(image, alpha, alpha, 1.0),
    ]
    assert seen == [expected] * 3
    assert [loss.dtype for loss in losses] == [torch.float32] * 2, "losses stay in full precision"


class FakeCuda:
    """Streams that only note in which order they are used."""

    def __init__(self):
        self.events = []
        self.on = "work"

    def Stream(self, device):
        return "copies"

    @contextlib.contextmanager
    def stream(self, name):
        self.on, before = name, self.on
        yield
        self.on = before

    def current_stream(self, device):
        return mock.Mock(wait_stream=lambda other: self.events.append(("wait", other)))


class FakeTensor:
    """A tensor that notes on which stream it is copied and used."""

    def __init__(self, cuda, number, place="host"):
        self.cuda, self.number, self.place = cuda, number, place

    def to(self, device, non_blocking):
        assert non_blocking and self.cuda.on == "copies"
        self.cuda.events.append(("copy", self.number))
        return FakeTensor(self.cuda, self.number, device)

    def record_stream(self, stream):
        self.cuda.events.append(("keep", self.number))


def test_the_next_batch_is_copied_before_the_one_before_it_is_worked_on():
    cuda = FakeCuda()
    with mock.patch.object(accelerating.torch, "cuda", cuda):
        source = iter([{"image": FakeTensor(cuda, number)} for number in range(3)])
        for batch in accelerating.prefetched(source, CUDA):
            assert batch["image"].place == CUDA
            cuda.events.append(("work", batch["image"].number))
    events = cuda.events
    assert [number for what, number in events if what == "work"] == [0, 1, 2]
    for number in range(3):
        copied = events.index(("copy", number))
        kept, worked = events.index(("keep", number)), events.index(("work", number))
        assert copied < kept < worked and events[kept - 1] == ("wait", "copies")
    assert events.index(("copy", 1)) < events.index(("work", 0))
    assert events.index(("copy", 2)) < events.index(("work", 1))


def test_on_a_cpu_batches_are_not_made_ahead():
    taken = []
    source = (taken.append(number) or {"n": number} for number in range(3))
    stream = accelerating.prefetched(source, torch.device("cpu"))
    assert next(stream) == {"n": 0} and taken == [0]


def test_the_discriminator_is_reduced_over_processes_once_a_step():
    adversary = Adversary(load_config("default"), Processes(0, 1, torch.device("cpu")))
    reduced = []

    class Wrapped(torch.nn.Module):
        """Notes for every pass whether its gradients are reduced."""

        def __init__(self):
            super().__init__()
            self.module = adversary.discriminator
            self.reduces = True

        def forward(self, *inputs):
            reduced.append(self.reduces)
            return self.module(*inputs)

        @contextlib.contextmanager
        def no_sync(self):
            self.reduces = False
            yield
            self.reduces = True

    adversary.parallel = Wrapped()
    image, truth = torch.rand(1, 3, 32, 32), torch.rand(1, 1, 32, 32)
    adversary.learn(image, truth, truth, 0.5, reduced=False)
    assert reduced == [False, False]
    reduced.clear()
    adversary.learn(image, truth, truth, 0.5, reduced=True)
    assert reduced == [False, True]


needs_cuda = pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")


@needs_cuda
@pytest.mark.parametrize("more", [[], ["--compile"], ["--precision", "fp16"]])
def test_cuda_trains_resumes_and_leaves_usable_weights(data, recipe, tmp_path, more):
    arguments = ["train", data / "pairs", "--recipe", recipe, "--out", tmp_path / "run"]
    arguments += ["--val", data / "pairs", *FAST, "--device=cuda", "--loss", "adversarial=0.05"]
    code, error = matte(*arguments, "--steps", 4, *more)
    assert code == 0, error
    code, error = matte(*arguments, "--steps", 6, "--resume", *more)
    assert code == 0, error
    lines = [line for line in log_of(tmp_path / "run") if "total" in line]
    assert [line["step"] for line in lines] == [1, 2, 3, 4, 5, 6]
    assert all(0 < line["memory_gb"] < 10 for line in lines)


@needs_cuda
def test_cuda_and_cpu_train_alike_in_float32(data, recipe, tmp_path):
    lines = {}
    for device in ("cpu", "cuda"):
        arguments = ["train", data / "pairs", "--recipe", recipe, "--out", tmp_path / device]
        code, error = matte(
            *arguments, *FAST, f"--device={device}", "--steps", 3, "--precision", "fp32"
        )
        assert code == 0, error
        lines[device] = [line["total"] for line in log_of(tmp_path / device)]
    assert lines["cuda"] == pytest.approx(lines["cpu"], rel=2e-2)
