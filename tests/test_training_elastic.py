"""Two processes under torchrun: one is killed, the run goes on from the checkpoint by itself."""

from __future__ import annotations

from child_processes import Launched
from training_material import PLAIN, SMALL_ENCODER, log_of

from mattecli.core.training.checkpoint import load_checkpoint

RECIPE = f"""
log_every = 1
checkpoint_every = 1
[network]
name = "hattmatting"
encoder = "{SMALL_ENCODER}"
pyramid_channels = 16
cue_channels = [16]
[loss]
l1 = 1.0
adversarial = 0.05
"""

#: The second process kills itself in its third step, unless it was started again. The first two are
#: rehearsed, which makes two passes of each.
DIES = """
import os, signal
from mattecli.cli import app
from mattecli.core.network.aspp import ASPP
forward, calls = ASPP.forward, []
def dies(self, features):
    calls.append(None)
    first = os.environ["TORCHELASTIC_RESTART_COUNT"] == "0"
    if first and os.environ["RANK"] == "1" and len(calls) == 5:
        os.kill(os.getpid(), signal.SIGKILL)
    return forward(self, features)
ASPP.forward = dies
app.main()
"""


def test_a_process_that_dies_is_started_again_and_the_run_goes_on(data, tmp_path):
    recipe, run = tmp_path / "r.toml", tmp_path / "run"
    recipe.write_text(RECIPE)
    arguments = ["train", data / "pairs", "--recipe", recipe, "--out", run, "--steps", 4]
    arguments += ["--batch-size=4", "--crop-size=32", *PLAIN]
    code, said = Launched(DIES, *arguments, said=tmp_path / "said", restarts=1).wait()
    assert code == 0, said
    assert said.count("goes on from step 2 of 4") == 1
    assert [line["step"] for line in log_of(run)] == [1, 2, 3, 4]
    assert load_checkpoint(run / "last/checkpoint.pt")["step"] == 4
