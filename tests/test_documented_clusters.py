"""The files for Ray and Kubernetes in docs/scale.md are what those two take."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

SCALE = (Path(__file__).parents[1] / "docs" / "scale.md").read_text()


@pytest.fixture(scope="module")
def files() -> list[dict]:
    yaml = pytest.importorskip("yaml")
    found = re.findall(r"^```yaml\n(.*?)^```", SCALE, re.DOTALL | re.MULTILINE)
    return [yaml.safe_load(text) for text in found]


def test_ray_takes_its_cluster_file(files):
    pytest.importorskip("ray", reason="pip install 'mattecli[test-scale]'")
    util = pytest.importorskip("ray.autoscaler._private.util")
    config = util.prepare_config(files[0])
    util.validate_config(config)
    with pytest.raises(Exception, match="misspelt"):
        util.validate_config({**config, "misspelt": 1})


def test_kubernetes_takes_the_pods_of_the_job(files):
    validate = pytest.importorskip("kubernetes_validate")
    cluster = files[1]["spec"]["rayClusterSpec"]
    templates = [cluster["headGroupSpec"], *cluster["workerGroupSpecs"]]
    for group in templates:
        pod = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "x"}}
        pod["spec"] = group["template"]["spec"]
        validate.validate(pod, validate.latest_version(), strict=True)
    assert len(templates) == 2
