"""Guidance: its block in the network, its simulation in training, its use in prediction."""

from __future__ import annotations

from collections.abc import Callable

import cv2
import numpy as np
import onnxruntime
import pytest
import torch
from torch.nn import functional
from training_material import SMALL_ENCODER
from typer.testing import CliRunner

from mattecli.cli.app import app
from mattecli.core.errors import MatteError
from mattecli.core.export import quantizing
from mattecli.core.export.exporting import export
from mattecli.core.imaging.pixels import Picture
from mattecli.core.imaging.reading import read_alpha
from mattecli.core.imaging.writing import write_image
from mattecli.core.inference.passes import network_matte
from mattecli.core.inference.predictor import Predictor
from mattecli.core.inference.session import Session
from mattecli.core.matting.placing import resize
from mattecli.core.network.building import build_network
from mattecli.core.network.context import ContextBlock
from mattecli.core.network.guidance import GuidanceInjection
from mattecli.core.network.networks import network_config
from mattecli.core.network.weights import fill_network, load_network, save_network
from mattecli.core.runtime import loading
from mattecli.core.runtime.loading import load_model
from mattecli.core.runtime.onnx_model import GUIDANCE_INPUT, OnnxModel
from mattecli.core.runtime.sizing import Sizing
from mattecli.core.runtime.torch_model import TorchModel
from mattecli.core.training import guidance as simulation
from mattecli.core.training.guidance import simulate_guidance

#: Guided, with two passes, at sizes that a test can afford.
SMALL = {
    "encoder": SMALL_ENCODER,
    "pyramid_channels": 16,
    "cue_channels": (16, 16, 8, 8),
    "predict_size": 64,
    "first_pass_size": 32,
}


def build(**changes) -> torch.nn.Module:
    """A network in eval mode: alpha is all over the range, and guidance, if it has any, strong."""
    torch.manual_seed(0)
    network = build_network(network_config("matte", **changes))
    network.train()(torch.rand(4, 3, 64, 64))  # statistics for the batch norms
    with torch.no_grad():
        network.head.alpha.weight *= 20
    if network.guidance is not None:
        for layer in network.guidance.layers:
            torch.nn.init.normal_(layer[-1].weight)
    return network.eval()


def noise(*shape: int) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, shape, np.uint8)


def maps(*shape: int) -> np.ndarray:
    """Guidance in [-1, 1]."""
    return np.random.default_rng(1).uniform(-1, 1, shape).astype(np.float32)


# The blocks of the network.


@pytest.mark.parametrize("size", [(1, 1), (2, 3), (7, 5)])
def test_a_new_context_block_changes_nothing_at_any_size(size):
    features = torch.randn(2, 16, *size)
    assert torch.equal(ContextBlock(16)(features), features)


def test_a_context_block_mixes_the_whole_map_and_learns():
    torch.manual_seed(0)
    block = ContextBlock(16)
    features = torch.randn(1, 16, 4, 6)
    block(features).square().sum().backward()
    assert all(layer.weight.grad.any() for layer in (block.position, block.project))
    torch.nn.init.normal_(block.project.weight)
    changed = features.clone()
    changed[..., 0, 0] = torch.randn(16)
    # Farther apart than the convolution reaches.
    assert not torch.allclose(block(changed)[..., 3, 5], block(features)[..., 3, 5])


def test_the_exported_attention_is_that_of_training(monkeypatch):
    block = ContextBlock(16)
    tokens = torch.randn(2, 12, 16)
    fused = block._attend(tokens)
    monkeypatch.setattr(torch.onnx, "is_in_onnx_export", lambda: True)
    torch.testing.assert_close(block._attend(tokens), fused)


def test_new_guidance_changes_nothing_and_gradient_reaches_it():
    torch.manual_seed(0)
    block = GuidanceInjection({4: 8, 16: 8})
    features = {4: torch.randn(1, 8, 16, 24), 16: torch.randn(1, 8, 4, 6)}
    guided = block(features, torch.rand(1, 2, 64, 96) * 2 - 1)
    assert all(torch.equal(guided[stride], features[stride]) for stride in features)
    sum(feature.square().sum() for feature in guided.values()).backward()
    assert all(layer[-1].weight.grad.any() for layer in block.layers)


@pytest.mark.parametrize("size", [(64, 64), (75, 41), (32, 100)])
def test_zeros_are_no_guidance_exactly_and_others_are_not(size):
    network = build(**SMALL)
    image = torch.rand(2, 3, *size)
    with torch.inference_mode():
        alone = network(image)
        assert torch.equal(network(image, torch.zeros(2, 2, *size)), alone)
        guided = network(image, torch.from_numpy(maps(2, 2, *size)))
    assert guided.shape == alone.shape and not torch.allclose(guided, alone, atol=0.01)


def test_a_point_is_not_lost_at_coarse_strides():
    torch.manual_seed(0)
    block = GuidanceInjection({32: 4})
    torch.nn.init.normal_(block.layers[0][-1].weight)
    features = {32: torch.zeros(1, 4, 2, 2)}
    for sign in (1, -1):
        hints = torch.zeros(1, 2, 64, 64)
        hints[0, 1, 40, 40] = sign
        assert block(features, hints)[32].abs().max() > 0.01


def test_guidance_enters_from_a_stride_on():
    assert build(**SMALL).guidance.strides == (4, 8, 16, 32)
    assert build(**SMALL, guidance_stride=2).guidance.strides == (2, 4, 8, 16, 32)
    assert build(**SMALL, guidance_stride=32).guidance.strides == (32,)


# Weights of networks without guidance.


def test_older_weights_fill_what_they_have(tmp_path):
    older = build(**SMALL, guidance=False, context_blocks=0)
    newer = build_network(network_config("matte", **SMALL))
    before = {name: tensor.clone() for name, tensor in newer.state_dict().items()}
    with pytest.raises(MatteError, match="tensors do not fit"):
        fill_network(newer, older.state_dict(), tmp_path / "older")
    fill_network(newer, older.state_dict(), tmp_path / "older", strict=False)
    for name, tensor in newer.state_dict().items():
        assert torch.equal(tensor, older.state_dict().get(name, before[name])), name
    image = torch.rand(1, 3, 64, 64)
    with torch.inference_mode():
        expected = older(image)
        for guidance in ([], [torch.from_numpy(maps(1, 2, 64, 64))]):
            # New parts start as if they were not there.
            torch.testing.assert_close(newer.eval()(image, *guidance), expected)


def test_tensors_of_another_shape_are_refused_without_strict_too(tmp_path):
    state = build(**SMALL).state_dict()
    other = build_network(network_config("matte", **{**SMALL, "pyramid_channels": 32}))
    with pytest.raises(MatteError, match="tensors do not fit"):
        fill_network(other, state, tmp_path / "w.safetensors", strict=False)


# Simulated guidance.


def scene(count: int, size: int = 48) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Photos of soft discs, with alpha, and an unknown corner that reaches into the disc."""
    y, x = torch.meshgrid(torch.arange(size), torch.arange(size), indexing="ij")
    distance = torch.hypot(y - size / 2, x - size / 2)
    alpha = ((size / 3 - distance) / 6).clamp(0, 1).expand(count, 1, size, size).clone()
    known = torch.ones_like(alpha)
    known[..., : size // 3, : size // 2] = 0
    return alpha.expand(count, 3, size, size).clone(), alpha, known


def simulate(
    share: float,
    seed: int = 0,
    count: int = 200,
    coarse: Callable[[torch.Tensor], torch.Tensor] = lambda reduced: reduced[:, :1],
) -> torch.Tensor:
    image, alpha, known = scene(count)
    return simulate_guidance(
        image,
        alpha,
        known,
        share=share,
        coarse=coarse,
        generator=torch.Generator().manual_seed(seed),
    )


def test_the_share_of_guided_samples():
    assert not simulate(0).any()
    guided = simulate(0.6).flatten(1).any(dim=1).float().mean()
    # A few samples with hints have drawn none.
    assert 0.45 < guided < 0.7
    assert simulate(1).flatten(1).any(dim=1).float().mean() > 0.95


def test_simulated_guidance_is_in_range_and_comes_in_all_kinds():
    guidance = simulate(1)
    assert guidance.shape == (200, 2, 48, 48)
    assert guidance.min() >= -1 and guidance.max() <= 1
    earlier, hints = (guidance[:, channel].flatten(1).any(dim=1) for channel in (0, 1))
    for kind in (earlier & ~hints, hints & ~earlier, earlier & hints):
        assert kind.sum() >= 10


def test_hints_agree_with_the_truth_and_say_nothing_of_the_unknown():
    _, alpha, known = scene(200)
    hints = simulate(1)[:, 1:]
    assert (alpha[hints > 0] > 0.95).all() and (alpha[hints < 0] < 0.05).all()
    assert set(hints.unique().tolist()) == {-1.0, 0.0, 1.0}
    assert not hints[known == 0].any()


def test_the_earlier_alpha_is_like_the_truth():
    _, alpha, _ = scene(200)
    earlier = simulate(1)[:, :1]
    given = earlier.flatten(1).any(dim=1)
    error = ((earlier + 1) / 2 - alpha).abs().flatten(1).mean(dim=1)[given]
    assert error.median() < 0.1 < error.max(), "mostly near, sometimes badly wrong"


def test_points_stand_where_the_earlier_alpha_is_wrong():
    def without_the_right_half(reduced: torch.Tensor) -> torch.Tensor:
        alpha = reduced[:, :1].clone()
        alpha[..., alpha.shape[-1] // 2 :] = 0
        return alpha

    guidance = simulate(1, count=800, coarse=without_the_right_half)
    earlier, hints = guidance[:, 0], guidance[:, 1]
    corrected = (earlier[..., 26:] == -1).all(-1).all(-1) & (hints > 0).any(-1).any(-1)
    assert corrected.sum() >= 40
    of_subject = (hints[corrected] > 0).float().sum(dim=1)
    assert of_subject[:, 22:].sum() > 3 * of_subject[:, :22].sum()


def test_a_point_takes_the_place_with_most_of_its_region_around():
    where = torch.rand(64, 96, generator=torch.Generator().manual_seed(1)) < 0.4
    around = functional.avg_pool2d(where[None, None].float(), 7, stride=1, padding=3)[0, 0]
    places = where.nonzero()
    for seed in range(20):
        drawn = torch.randint(len(places), (6,), generator=torch.Generator().manual_seed(seed))
        most = around[tuple(places[drawn].T)].max()
        found = simulation._middle(where, torch.Generator().manual_seed(seed))
        assert around[found] == most and list(found) in places[drawn].tolist()


def test_what_is_grown_reaches_as_far_as_a_square():
    values = torch.rand(1, 1, 20, 31)
    expected = functional.max_pool2d(values, 7, stride=1, padding=3)
    assert torch.equal(simulation._grown(values, 7), expected)


def test_simulation_is_determined_by_its_generator():
    assert torch.equal(simulate(0.6, seed=3), simulate(0.6, seed=3))
    assert not torch.equal(simulate(0.6, seed=3), simulate(0.6, seed=4))


# Prediction.


def test_the_bundled_graph_takes_guidance_as_pytorch_does(tmp_path):
    # The real network: the graph that ships is its.
    path = tmp_path / "own.safetensors"
    save_network(build(), path, provenance={}, half=False)
    ours = load_model(path, device="cpu", precision="fp32")
    assert type(ours) is OnnxModel and ours.takes_guidance
    theirs = TorchModel(load_network(path), torch.device("cpu"))
    images, guidance = list(noise(2, 96, 64, 3)), list(maps(2, 2, 96, 64))
    guided = ours.infer(images, guidance)
    np.testing.assert_allclose(guided, theirs.infer(images, guidance), atol=1e-3)
    assert np.abs(np.array(guided) - ours.infer(images)).max() > 0.01
    none = [np.zeros_like(given) for given in guidance]
    np.testing.assert_array_equal(ours.infer(images, none), ours.infer(images))


def test_the_int8_export_takes_guidance(tmp_path, monkeypatch):
    monkeypatch.setattr(quantizing, "TOLERANCE", 1.0)  # an untrained network
    path, target = tmp_path / "own.safetensors", tmp_path / "own.int8.onnx"
    # At the finest stride, where an untrained network follows it most.
    save_network(build(**SMALL, guidance_stride=2), path, provenance={}, half=False)
    photos = [tmp_path / f"{number}.png" for number in range(2)]
    for number, file in enumerate(photos):
        write_image(file, cv2.blur(noise(96, 96 + 32 * number, 3), (9, 9)))
    export(load_network(path), target, photos=photos, weights=path)
    session = onnxruntime.InferenceSession(str(target), providers=["CPUExecutionProvider"])
    assert [entry.name for entry in session.get_inputs()] == ["image", GUIDANCE_INPUT]
    model = load_model(path, device="cpu", precision="int8")
    assert model.takes_guidance
    image, guidance = noise(64, 96, 3), maps(2, 64, 96)
    (guided,), (alone,) = model.infer([image], [guidance]), model.infer([image])
    assert np.abs(guided - alone).max() > 0.01


def test_models_without_guidance_ignore_it(tmp_path):
    network = build(**SMALL, guidance=False)
    export(network, tmp_path / "plain.onnx")
    images, guidance = list(noise(1, 64, 64, 3)), list(maps(1, 2, 64, 64))
    models = (
        TorchModel(network, torch.device("cpu")),
        OnnxModel(tmp_path / "plain.onnx", "cpu"),
    )
    for model in models:
        assert not model.takes_guidance
        np.testing.assert_array_equal(model.infer(images, guidance), model.infer(images))


class Red:
    """A model that takes red for alpha, and notes what it is given."""

    max_concurrency, batch_one, device_type = 1, False, "cpu"

    def __init__(self, *, takes_guidance: bool) -> None:
        self.sizing = Sizing(128, 128)
        self.takes_guidance = takes_guidance
        self.calls: list[tuple[list[np.ndarray], list[np.ndarray] | None]] = []

    def prepare(self, image, size=None):
        return resize(image, *(size or self.sizing.input_size(*image.shape[:2])))

    def infer(self, images, guidance=None):
        self.calls.append((images, guidance))
        return [cv2.blur(image[..., 0].astype(np.float32) / 255, (5, 5)) for image in images]


def photo(left: int) -> np.ndarray:
    image = np.zeros((512, 512, 3), np.uint8)
    image[120:400, left : left + 140] = (255, 60, 60)
    return image


def test_the_second_pass_is_guided_by_the_alpha_of_the_first():
    model = Red(takes_guidance=True)
    Predictor(model, two_pass=True).network_mattes([photo(80), photo(240)])
    first, *second = model.calls
    assert len(first[0]) == 2 and first[1] is None
    crops = [crop for images, _ in second for crop in images]
    guidance = [given for _, maps_of_call in second for given in maps_of_call]
    assert len(crops) == len(guidance) == 2
    for crop, given in zip(crops, guidance, strict=True):
        assert given.shape == (2, *crop.shape[:2]) and given.dtype == np.float32
        # The first alpha of the same place, from a coarser picture.
        red = crop[..., 0].astype(np.float32) / 255
        assert np.abs((given[0] + 1) / 2 - red).mean() < 0.05
        assert np.ptp(given[0]) == pytest.approx(2) and not given[1].any()


def test_a_model_without_guidance_gets_none():
    model = Red(takes_guidance=False)
    Predictor(model, two_pass=True).network_mattes([photo(80)])
    assert len(model.calls) == 2 and not any(guidance for _, guidance in model.calls)


def test_the_detail_pass_is_larger_and_guided_by_all_before():
    usual, detailed = (Red(takes_guidance=True) for _ in range(2))
    before = Predictor(usual).network_mattes([photo(80)])[0][1]
    predictor = Predictor(detailed)
    passes = predictor.planner.start(photo(80), detailed=True)
    predictor.complete([passes])
    after = network_matte(passes).matte
    assert max(after.shape) == 1.5 * max(before.shape)
    assert len(detailed.calls) == len(usual.calls) + 1
    (crop,), (given,) = detailed.calls[-1]
    (earlier,), _ = usual.calls[-1]
    assert max(crop.shape) > max(earlier.shape)
    red = crop[..., 0].astype(np.float32) / 255
    assert np.abs((given[0] + 1) / 2 - red).mean() < 0.05
    truth = photo(80)[..., 0].astype(np.float32) / 255
    errors = [np.abs(resize(matte, 512, 512) - truth).mean() for matte in (before, after)]
    assert errors[1] < 0.8 * errors[0]


@pytest.mark.parametrize(
    ("guided", "options", "more"),
    [(True, [], 1), (True, ["--single-pass"], 0), (False, [], 0)],
)
def test_the_best_refinement_has_a_detail_pass(tmp_path, monkeypatch, guided, options, more):
    """Not of a single pass, nor of networks that cannot be told what was seen before."""
    write_image(tmp_path / "photo.png", photo(80))
    calls = []
    for refine in ("fast", "best"):
        model = Red(takes_guidance=guided)
        monkeypatch.setattr(loading, "load_model", lambda *_, made=model, **__: made)
        out = tmp_path / refine / "alpha.png"
        command = ["predict", tmp_path / "photo.png", out, "--save", "alpha", "--refine", refine]
        result = CliRunner().invoke(app, [*map(str, command), *options])
        assert result.exit_code == 0, result.output
        assert np.abs(read_alpha(out) / 255 - photo(80)[..., 0] / 255).mean() < 0.02
        calls.append(len(model.calls))
        if not options:
            session = Session.using(Predictor(model), Picture(photo(80)), refine)
            assert np.abs(session.alpha() - read_alpha(out) / 255).max() < 0.01
    assert calls[1] == calls[0] + more


def test_the_weights_that_ship_take_guidance():
    for precision in ("fp32", "int8"):
        assert load_model(device="cpu", precision=precision).takes_guidance
