"""When a run writes its checkpoint and weights, and what a stop does without."""

from __future__ import annotations

import time

from mattecli.core.training.meter import Meter
from mattecli.core.training.preparing import Run
from mattecli.core.training.run_files import save_run, save_weights
from mattecli.core.training.state import TrainingState
from mattecli.core.training.stopping import WRITING, Stop, Stopped

# Where a step takes so many seconds each is saved, unless that takes a tenth of the time itself.
_SLOW, _SAVING = 15.0, 10.0


class Saves:
    """Writes checkpoint and weights, in the one process that writes files."""

    def __init__(self, run: Run, state: TrainingState, meter: Meter, stop: Stop) -> None:
        self.run, self.state, self.meter, self.stop = run, state, meter, stop
        # A new run has nothing written.
        self._written = (state.step or -1), state.validated
        self._at = time.monotonic()
        # Seconds that the checkpoint took, and the weights.
        self._took = [0.0, 0.0]
        self._given_up = False

    def write(self, wanted: bool = True) -> None:
        """Write what there is now, if that is wanted, not written yet, and can be in time.

        A stop that comes meanwhile lets it be finished if that is in time. Else the checkpoint
        before it stays, and nothing more is written.
        """
        now = self.state.step, self.state.validated
        if not wanted or now == self._written or self._given_up or self._can_do_without():
            return
        if self.run.processes.first:
            with self.meter.paused():
                try:
                    self._write()
                except Stopped:
                    self._given_up = True
                    return
        self._at, self._written = time.monotonic(), now

    def pay(self) -> bool:
        """Tell whether the next stop had better find this step saved.

        Because steps are slow, or because a checkpoint takes longer to write than a stop may.
        """
        since, took = time.monotonic() - self._at, self._took
        steps = self.state.step - self._written[0]
        return since > max(_SLOW * steps if took[0] < WRITING else 0, _SAVING * sum(took))

    def _write(self) -> None:
        run, state, stop = self.run, self.state, self.stop
        # A write that a stop begins after its time was found worth that, see `_can_do_without`.
        in_time = stop.seconds_left() > 0

        def give_up_when_late() -> None:
            if in_time and stop.seconds_left() <= 0:
                raise Stopped

        began = time.monotonic()
        save_run(state, run.config, run.out, run.files, give_up_when_late)
        self._took[0] = time.monotonic() - began
        # The first weights take no longer than a checkpoint, which holds them and more.
        if stop.seconds_left() > (self._took[1] or self._took[0]):
            began = time.monotonic()
            save_weights(state, run.config, run.out / "last.safetensors")
            self._took[1] = time.monotonic() - began

    def _can_do_without(self) -> bool:
        """Tell whether a stop had better leave the last checkpoint there is.

        Where writing another takes longer than a stop may, and less is lost than `pay` allows.
        """
        if self._written[0] < 0 or self.stop.seconds_left() > self._took[0]:
            return False
        return time.monotonic() - self._at < _SAVING * sum(self._took)
