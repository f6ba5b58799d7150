"""Manifests, recipes and conventions that are not as they should be: one line, with the file."""

from __future__ import annotations

import json

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper
from typer.testing import CliRunner

from mattecli.cli.app import app
from mattecli.core.dataset import manifest
from mattecli.core.dataset.recipe import load_recipe, save_recipe
from mattecli.core.errors import MatteError
from mattecli.core.imaging.writing import write_image
from mattecli.core.training.config import load_config

RECORD = {
    "name": "a",
    "split": "train",
    "key": "k",
    "layers": [{"color": "fg/a.png"}],
    "files": {"image": {"sha256": "0" * 64, "bytes": 3}},
}

LINES = [
    "null",
    "3",
    '"a"',
    "[]",
    "{}",
    '{"name": 3}',
    json.dumps(RECORD | {"name": ["a"]}),
    json.dumps(RECORD | {"split": None}),
    json.dumps(RECORD | {"layers": {}}),
    json.dumps(RECORD | {"layers": [3]}),
    json.dumps(RECORD | {"layers": [{}]}),
    json.dumps(RECORD | {"layers": [{"color": 3}]}),
    json.dumps(RECORD | {"files": 3}),
    json.dumps(RECORD | {"files": {"image": 3}}),
    json.dumps(RECORD | {"files": {"image": {"sha256": 3}}}),
    json.dumps({key: value for key, value in RECORD.items() if key != "split"}),
    "not JSON",
    "[" * 50_000,
    '{"name": ' + "9" * 5000 + "}",
]


@pytest.fixture
def made(tmp_path):
    """A set of one sample, as it might have been built."""
    for kind in ("image", "alpha"):
        write_image(tmp_path / "set" / kind / "a.png", np.full((20, 20), 128, np.uint8))
    save_recipe(load_recipe("custom"), tmp_path / "set" / manifest.RECIPE_NAME)
    return tmp_path / "set"


@pytest.mark.parametrize("line", LINES)
def test_a_line_of_a_manifest_that_is_no_record(line, made):
    # Not in the last place, where a line may be cut off.
    (made / manifest.NAME).write_text(f"{json.dumps(RECORD)}\n{line}\n{json.dumps(RECORD)}\n")
    result = CliRunner().invoke(app, ["build-dataset", "--check", str(made), "--workers", "1"])
    assert result.exit_code == 1
    assert isinstance(result.exception, MatteError), result.exception
    assert f"{manifest.NAME}, line 2: " in str(result.exception)


def test_a_build_that_goes_on_looks_at_what_is_there(tmp_path):
    (tmp_path / manifest.NAME).write_text('{"name": "a", "key": "k", "files": {"image": {}}}\n')
    with pytest.raises(MatteError, match=r"line 1: files.image.sha256 is missing"):
        manifest.read_finished(tmp_path)


def test_names_may_hold_what_other_programs_take_for_line_ends(tmp_path):
    records = [RECORD | {"name": f"a{char}b"} for char in "\u2028\x0b\x1c\x85\r\n\udcff"]
    manifest.write(tmp_path, records)
    assert manifest.read_lines(tmp_path / manifest.NAME) == records
    with manifest.Notes(tmp_path / "notes") as notes:
        for record in records:
            notes.add(record)
    assert manifest.read_lines(tmp_path / "notes") == records


def test_splits_are_no_markup(made):
    (made / manifest.NAME).write_text(json.dumps(RECORD | {"split": "[/red]\x1b[2J"}) + "\n")
    result = CliRunner().invoke(app, ["build-dataset", "--check", str(made), "--workers", "1"])
    assert result.exit_code == 1 and isinstance(result.exception, SystemExit)
    assert r"1 samples (1 [/red]\x1b[2J)" in result.output


@pytest.mark.parametrize(
    "value", ["nan", "inf", "-inf", "true", '"1"', "[]", "9" * 400, "1979-05-27"]
)
def test_recipes_hold_finite_numbers(value, tmp_path):
    path = tmp_path / "r.toml"
    path.write_text(f'name = "x"\n[splits.all]\n[scene]\nenlarge = {value}\n')
    with pytest.raises(MatteError, match=r"r\.toml: 'scene\.enlarge' "):
        load_recipe(str(path))
    path.write_text(f"lr = {value}\n")
    with pytest.raises(MatteError, match=r"r\.toml: 'lr' "):
        load_config(str(path))


@pytest.mark.parametrize(
    "text",
    [
        "network = 3",
        "loss = []",
        "first_epoch_loss = 'x'",
        "[network]\nname = []",
        "[network]\nname = 3",
        "mixture = 1",
        "seed = -1",
        f"seed = {2**63}",
        f"steps = {10**30}",
    ],
)
def test_recipes_of_trainings(text, tmp_path):
    path = tmp_path / "r.toml"
    path.write_text(text)
    with pytest.raises(MatteError, match=r"r\.toml: "):
        load_config(str(path))


def model(path, nodes, outputs, initializers=(), **metadata):
    kind = TensorProto.FLOAT
    graph = helper.make_graph(
        nodes,
        "g",
        [helper.make_tensor_value_info("input", kind, ["n", 3, "h", "w"])],
        outputs,
        list(initializers),
    )
    made = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    helper.set_model_props(made, metadata)
    path.write_bytes(made.SerializeToString())
    path.with_suffix(".toml").write_text("size = 64\n")
    return path


def value(name, kind=TensorProto.FLOAT, shape=("n", 1, "h", "w")):
    return helper.make_tensor_value_info(name, kind, list(shape))


def constant(name, array):
    return onnx.numpy_helper.from_array(np.asarray(array), name)


def first_channel():
    """Nodes that give the first channel, and what they need."""
    bounds = [constant("from", np.int64([0])), constant("to", np.int64([1]))]
    bounds.append(constant("axis", np.int64([1])))
    return helper.make_node("Slice", ["input", "from", "to", "axis"], ["first"]), bounds


def nan_where_dark(path):
    """A network that gives NaN for pictures with black in them, else the first channel."""
    node, bounds = first_channel()
    log = [helper.make_node("Log", ["first"], ["log"]), helper.make_node("Exp", ["log"], ["exp"])]
    less = constant("less", np.float32(0.1))
    shifted = helper.make_node("Sub", ["first", "less"], ["shifted"])
    log[0] = helper.make_node("Log", ["shifted"], ["log"])
    return model(path, [node, shifted, *log], [value("exp")], [*bounds, less])


def constant_matte(path, rows, columns):
    matte = constant("matte", np.full((1, 1, rows, columns), 0.7, np.float32))
    node = helper.make_node("Identity", ["matte"], ["out"])
    return model(path, [node], [value("out", shape=(1, 1, rows, columns))], [matte])


def predict(*arguments):
    return CliRunner().invoke(app, ["predict", *map(str, arguments), "--refine", "none"])


def test_a_photo_for_which_a_network_gives_nan_failed_and_the_others_are_done(tmp_path):
    weights = nan_where_dark(tmp_path / "m.onnx")
    for name, level in (("dark", 0), ("light", 200), ("lighter", 250)):
        write_image(tmp_path / "in" / f"{name}.png", np.full((64, 64, 3), level, np.uint8))
    arguments = [tmp_path / "in", tmp_path / "out", "--weights", weights, "--batch-size", 3]
    result = predict(*arguments, "--workers", 1)
    assert result.exit_code == 1
    assert (
        "gave values that are no numbers" in result.stderr and "2 done, 1 failed" in result.stderr
    )
    assert sorted(p.name for p in (tmp_path / "out").iterdir()) == ["light.png", "lighter.png"]


@pytest.mark.parametrize("size", [(1, 1), (8, 8), (64, 8), (12, 16), (1, 64), (640, 64)])
def test_a_matte_of_a_size_that_does_not_depend_on_the_photo(size, tmp_path):
    write_image(tmp_path / "p.png", np.full((64, 64, 3), 200, np.uint8))
    weights = constant_matte(tmp_path / "m.onnx", *size)
    result = predict(tmp_path / "p.png", tmp_path / "o.png", "--weights", weights)
    assert result.exit_code == 1 and "1 failed" in result.stderr
    assert f"gave {size[1]}x{size[0]} pixels for a picture of 64x64" in result.stderr
    assert not (tmp_path / "o.png").exists()


def test_a_matte_of_half_the_size_is_one(tmp_path):
    write_image(tmp_path / "p.png", np.full((64, 64, 3), 200, np.uint8))
    weights = constant_matte(tmp_path / "m.onnx", 32, 32)
    result = predict(tmp_path / "p.png", tmp_path / "o.png", "--weights", weights)
    assert result.exit_code == 0, result.stderr


def test_logits_beyond_all_measure_print_nothing(tmp_path):
    node, bounds = first_channel()
    scaled = helper.make_node("Mul", ["first", "by"], ["out"])
    by = constant("by", np.float32(-1e6))
    weights = model(tmp_path / "m.onnx", [node, scaled], [value("out")], [*bounds, by])
    weights.with_suffix(".toml").write_text('size = 64\nactivation = "sigmoid"\n')
    write_image(tmp_path / "p.png", np.full((64, 64, 3), 200, np.uint8))
    arguments = [tmp_path / "p.png", tmp_path / "o.png", "--weights", weights, "--json-log"]
    result = predict(*arguments)
    assert result.exit_code == 0
    assert json.loads(result.stderr)["status"] == "empty"


def test_an_output_that_holds_no_floats(tmp_path):
    node, bounds = first_channel()
    cast = helper.make_node("Cast", ["first"], ["out"], to=TensorProto.UINT8)
    kind = value("out", TensorProto.UINT8)
    weights = model(tmp_path / "m.onnx", [node, cast], [kind], bounds)
    write_image(tmp_path / "p.png", np.full((64, 64, 3), 200, np.uint8))
    result = predict(tmp_path / "p.png", tmp_path / "o.png", "--weights", weights)
    assert "gives tensor(uint8), not floats" in str(result.exception)


@pytest.mark.parametrize(
    "text",
    [
        "size = 0",
        "size = -1",
        "size = 100000",
        "multiple = 0",
        "std = [0, 1, 1]",
        "std = [nan, 1, 1]",
        "mean = [inf, 1, 1]",
        "mean = [1, 1]",
        "output = -1",
        "least = -1",
        "preset = []",
        "preset = 3",
        "size = 1e2",
    ],
)
def test_a_convention_that_no_picture_can_be_made_by(text, tmp_path):
    weights = constant_matte(tmp_path / "m.onnx", 64, 64)
    weights.with_suffix(".toml").write_text(text + "\n")
    write_image(tmp_path / "p.png", np.full((64, 64, 3), 200, np.uint8))
    result = predict(tmp_path / "p.png", tmp_path / "o.png", "--weights", weights)
    assert isinstance(result.exception, MatteError)
    assert "m.toml" in str(result.exception)


@pytest.mark.parametrize("text", ["", "[]", "{", '{"size": 0}', '{"size": NaN}', '{"x": 1}'])
def test_metadata_that_are_damaged(text, tmp_path):
    node, bounds = first_channel()
    weights = model(tmp_path / "m.onnx", [node], [value("first")], bounds, mattecli=text)
    weights.with_suffix(".toml").unlink()
    write_image(tmp_path / "p.png", np.full((64, 64, 3), 200, np.uint8))
    result = predict(tmp_path / "p.png", tmp_path / "o.png", "--weights", weights)
    assert isinstance(result.exception, MatteError)
    assert "m.onnx: its metadata is damaged" in str(result.exception)
