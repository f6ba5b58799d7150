"""The network as the paper draws it, its switches, and its weights on disk."""

from __future__ import annotations

import ast
import inspect
import json
from dataclasses import fields

import pytest
import timm
import torch

from mattecli.core.errors import MatteError
from mattecli.core.network.attention import AppearanceCueFiltration, PyramidalFeatureDistillation
from mattecli.core.network.building import build_network
from mattecli.core.network.config import NetworkConfig
from mattecli.core.network.discriminator import PatchDiscriminator
from mattecli.core.network.encoders import Encoder, load_encoder_weights
from mattecli.core.network.folding import fold_batch_norm
from mattecli.core.network.networks import NETWORKS, network_config
from mattecli.core.network.weights import load_network, read_header, save_network
from mattecli.core.runtime.named_weights import find_weights

#: The paper's layout at a size that a test can afford.
SMALL_PAPER = {"encoder": "test_efficientnet", "pyramid_channels": 16}


def small(name: str, **changes) -> torch.nn.Module:
    if name != "matte":
        changes = {**SMALL_PAPER, **changes}
        levels = len(NETWORKS[name]().cue_strides)
        changes.setdefault("cue_channels", (16,) * levels)
    torch.manual_seed(0)
    return build_network(network_config(name, **changes))


@pytest.mark.parametrize("name", NETWORKS)
@pytest.mark.parametrize("size", [(333, 517), (64, 32), (40, 33)])
def test_alpha_has_the_photos_size_and_range(name, size):
    network = small(name).eval()
    with torch.inference_mode():
        alpha = network(torch.rand(2, 3, *size))
    assert alpha.shape == (2, 1, *size)
    assert alpha.min() >= 0 and alpha.max() <= 1


@pytest.mark.parametrize(
    "switch",
    [
        "channel_attention",
        "spatial_attention",
        "low_level",
        "sentry",
        "detail_channels",
        "guided_strides",
    ],
)
@pytest.mark.parametrize("name", ["hattmatting++", "matte"])
def test_every_ablation_switch_builds_and_trains_every_parameter(name, switch):
    off = {"detail_channels": 0, "guided_strides": ()}
    network = small(name, **{switch: off.get(switch, False)}).train()
    guidance = [torch.rand(2, 2, 64, 96)] if network.config.guidance else []
    alpha, intermediate = network(torch.rand(2, 3, 64, 96), *guidance)
    (alpha.mean() + sum(a.mean() for a in intermediate)).backward()
    decoder = {k: p for k, p in network.named_parameters() if not k.startswith("encoder.")}
    idle = [name for name, parameter in decoder.items() if parameter.grad is None]
    assert not idle


def test_switches_take_their_module_out():
    full = small("hattmatting")
    names = {name.split(".")[0] for name, _ in full.named_parameters()}
    assert "distil" in names and any(".filter." in n for n, _ in full.named_parameters())
    plain = small("hattmatting", channel_attention=False, spatial_attention=False, low_level=False)
    parameters = dict(plain.named_parameters())
    assert not any("distil" in n or ".filter." in n or n.startswith("levels") for n in parameters)


def test_late_fusion_weighs_foreground_against_background():
    network = small("late-fusion").train()
    alpha, (inside, outside) = network(torch.rand(2, 3, 64, 96))
    low, high = (
        torch.nn.functional.interpolate(f(inside, outside), (64, 96), mode="bilinear")
        for f in (torch.minimum, torch.maximum)
    )
    # A weighted mean of the two lies between them (resizing first or last differs a little).
    assert (alpha > low - 0.05).all() and (alpha < high + 0.05).all()
    alpha.mean().backward()
    assert all(p.grad is not None for n, p in network.named_parameters() if "encoder" not in n)


def test_a_verdict_of_the_discriminator_rests_on_70_by_70_pixels():
    # Instance norm looks at the whole picture; without it a verdict sees its own patch alone.
    discriminator = PatchDiscriminator(4)
    for module in discriminator.layers:
        if isinstance(module, torch.nn.InstanceNorm2d):
            module.forward = lambda x: x
    image, alpha = torch.rand(1, 3, 128, 128), torch.rand(1, 1, 128, 128, requires_grad=True)
    verdicts = discriminator(image, alpha)
    assert verdicts.shape == (1, 1, 14, 14)
    verdicts[0, 0, 7, 7].backward()
    rows, columns = alpha.grad[0, 0].nonzero(as_tuple=True)
    assert rows.max() - rows.min() + 1 == 70 and columns.max() - columns.min() + 1 == 70


@pytest.mark.parametrize("name", NETWORKS)
def test_folding_batch_norm_changes_nothing_but_the_number_of_norms(name):
    network = small(name).eval()
    norms = [m for m in network.modules() if isinstance(m, torch.nn.BatchNorm2d)]
    for norm in norms:
        torch.nn.init.normal_(norm.running_mean)
        torch.nn.init.uniform_(norm.running_var, 0.5, 2)
    folded = fold_batch_norm(network)
    image = torch.rand(1, 3, 96, 64)
    with torch.inference_mode():
        assert torch.allclose(network(image), folded(image), atol=1e-5)
    left = [m for m in folded.modules() if isinstance(m, torch.nn.BatchNorm2d)]
    assert not left and norms


def test_sentries_give_one_alpha_a_level_from_coarse_to_fine():
    _, intermediate = small("matte").train()(torch.rand(2, 3, 64, 96))
    # The last is the alpha before the guided head.
    sizes = [(4, 6), (8, 12), (16, 24), (32, 48), (64, 96)]
    assert [tuple(a.shape[-2:]) for a in intermediate] == sizes


def test_the_papers_encoder_has_the_papers_strides():
    config = NETWORKS["hattmatting"]()
    encoder = Encoder(config.encoder, output_stride=config.output_stride).eval()
    with torch.inference_mode():
        features = encoder(torch.rand(1, 3, 64, 64))
    assert config.encoder == "resnext101_32x8d.tv_in1k", "its weights are named, too"
    assert features[16].shape == (1, 2048, 4, 4), "block 4 stays at stride 16 by dilation"
    assert features[4].shape == (1, 256, 16, 16), "block 1 gives the appearance cues"


def test_channel_attention_is_one_weight_a_channel_from_both_poolings():
    torch.manual_seed(0)
    module = PyramidalFeatureDistillation(8)
    features = torch.rand(2, 8, 5, 7)
    weights = module(features) / features
    assert torch.allclose(weights, weights[..., :1, :1].expand_as(weights), atol=1e-5)
    pooled = [features.flatten(2).mean(2), features.flatten(2).max(2).values]
    w1, b1, w2, b2 = (p.detach().flatten(1) if p.ndim > 1 else p for p in module.mlp.parameters())
    by_hand = torch.sigmoid(sum(torch.relu(v @ w1.T + b1) @ w2.T + b2 for v in pooled))
    assert torch.allclose(weights[..., 0, 0], by_hand, atol=1e-5)


def test_spatial_attention_is_one_map_for_all_cues():
    torch.manual_seed(0)
    module = AppearanceCueFiltration(6, 4).eval()
    cues = torch.rand(2, 5, 9, 11) + 0.1
    with torch.inference_mode():
        attention = module(torch.rand(2, 6, 9, 11), cues) / cues
    assert torch.allclose(attention, attention[:, :1].expand_as(attention), atol=1e-5)
    assert attention.min() > 0 and attention.max() < 1
    assert attention[:, 0].std() > 0, "the map varies over the picture"


def test_spatial_attention_sees_seven_pixels_along_both_axes():
    module = AppearanceCueFiltration(1, 2).double().eval()
    semantics = torch.rand(1, 1, 15, 15, dtype=torch.float64, requires_grad=True)
    for block in module.modules():
        if isinstance(block, torch.nn.Conv2d):
            torch.nn.init.constant_(block.weight, 0.1)
    out = module(semantics, torch.ones(1, 1, 15, 15, dtype=torch.float64))
    out[0, 0, 7, 7].backward()
    seen = semantics.grad[0, 0] != 0
    assert seen[4:11, 4:11].all() and seen.sum() == 49


@pytest.mark.parametrize("half", [False, True])
def test_reloaded_weights_give_identical_outputs(tmp_path, half):
    network = small("matte").eval()
    path = tmp_path / "w.safetensors"
    if half:  # What is stored in half precision must come back as exactly that.
        network.load_state_dict({k: v.half().to(v.dtype) for k, v in network.state_dict().items()})
    save_network(network, path, provenance={"steps": 7}, half=half)
    image = torch.rand(1, 3, 70, 90)
    with torch.inference_mode():
        assert torch.equal(load_network(path)(image), network(image))
    config, provenance = read_header(path)
    assert config == network.config and provenance == {"steps": 7}
    assert [p.name for p in tmp_path.iterdir()] == [path.name], "no temporary file stays"


def test_weights_that_are_a_pickle_are_refused(tmp_path):
    path = tmp_path / "evil.pth"
    torch.save({"a": torch.ones(1)}, path)
    with pytest.raises(MatteError, match=r"evil\.pth.*refused"):
        load_network(path)


def test_foreign_safetensors_are_refused(tmp_path):
    from safetensors.torch import save_file

    path = tmp_path / "other.safetensors"
    save_file({"a": torch.ones(1)}, path)
    with pytest.raises(MatteError, match="not weights written by"):
        load_network(path)


def test_encoder_weights_load_by_name_and_by_position(tmp_path):
    name = "tf_efficientnet_lite0"
    torch.manual_seed(3)
    state = timm.create_model(name).state_dict()
    by_name, by_position = tmp_path / "name.pth", tmp_path / "position.pth"
    torch.save(state, by_name)
    torch.save({f"ported.{i}": v for i, v in enumerate(state.values())}, by_position)
    for path in (by_name, by_position):
        encoder = Encoder(name)
        load_encoder_weights(encoder, name, path)
        assert torch.equal(encoder.body.conv_stem.weight, state["conv_stem.weight"])
        last = "blocks.6.0.bn3.running_var"
        assert torch.equal(encoder.body.state_dict()[last], state[last])
    with pytest.raises(MatteError, match="do not belong to encoder 'resnet18'"):
        load_encoder_weights(Encoder("resnet18"), "resnet18", by_position)


def test_encoder_normalizes_with_its_own_statistics():
    encoder = Encoder("tf_efficientnet_lite0")
    assert encoder.mean.flatten().tolist() == [0.5] * 3
    assert encoder.std.flatten().tolist() == [0.5] * 3


@pytest.mark.parametrize(
    ("build", "message"),
    [
        (lambda: network_config("unet"), "unknown network 'unet'.*hattmatting"),
        (lambda: Encoder("no_such_net"), "encoder 'no_such_net'"),
        (lambda: NetworkConfig(cue_strides=(4, 8), cue_channels=(8, 8)), "coarse to fine"),
        (lambda: NetworkConfig(cue_strides=(4,), cue_channels=(8, 8)), "one entry a level"),
        (lambda: NetworkConfig.from_dict({"depth": 3}), "unknown network setting depth"),
        (
            lambda: build_network(NetworkConfig(encoder="convnext_atto", cue_strides=(2,))),
            "no feature at stride 2",
        ),
    ],
)
def test_what_cannot_be_built_says_why(build, message):
    with pytest.raises(MatteError, match=message):
        build()


def test_the_weights_that_ship_tell_no_machines_folders():
    def texts(value):
        if isinstance(value, dict):
            value = list(value.values())
        if isinstance(value, list):
            return [text for part in value for text in texts(part)]
        return [value] if isinstance(value, str) else []

    said = texts(read_header(find_weights())[1])
    assert "photos/imagenet=0.42" in said, "what they were trained on is told"
    assert not [text for text in said if text.startswith(("/", "~")) or ":\\" in text]


@pytest.mark.parametrize("name", NETWORKS)
def test_the_call_of_a_named_network_shows_every_setting(name):
    (call,) = (
        node
        for node in ast.walk(ast.parse(inspect.getsource(NETWORKS[name])))
        if isinstance(node, ast.Call)
    )
    assert {keyword.arg for keyword in call.keywords} == {f.name for f in fields(NetworkConfig)}


@pytest.mark.parametrize("name", NETWORKS)
def test_a_configuration_survives_its_serialized_form(name):
    config = NETWORKS[name]()
    assert NetworkConfig.from_dict(json.loads(json.dumps(config.to_dict()))) == config
    assert {"context_blocks", "guidance", "first_pass_size"} <= set(config.to_dict())
