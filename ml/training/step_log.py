"""What MLflow shows of a training: numbers of an epoch, and of every so many steps, sent beside the computation.

MLflow groups charts by what stands before the slash of a name.
"""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Final

from ml.training.background import Background

if TYPE_CHECKING:
    from ml.child.tracking import ChildRun


EPOCH_METRICS: Final[Mapping[str, str]] = {
    "train_loss": "epoch/loss",
    "train_accuracy": "epoch/top1",
    "validation_loss": "epoch/validation_loss",
    "validation_accuracy": "epoch/validation_top1",
    "learning_rate": "epoch/learning_rate",
    "photos_per_second": "speed/photographs_per_second",
    "data_wait": "speed/share_of_time_waiting_for_data",
    "peak_share": "speed/share_of_peak",
    "memory_mib": "speed/memory_mib",
}
"""Columns of `history.parquet` by their names in MLflow."""


def epoch_metrics(numbers: Mapping[str, float]) -> dict[str, float]:
    """The numbers of a row of the history as MLflow shows them."""
    return {EPOCH_METRICS[name]: number for name, number in numbers.items()}


class StepLog:
    """Averages the numbers of steps and sends the means to MLflow in a thread."""

    def __init__(self, tracked: "ChildRun | None", *, every: int) -> None:
        """Log to `tracked` every `every` steps; None logs nothing."""
        self._tracked, self._every = tracked, every
        self._background = Background("mlflow")
        self._steps, self._loss, self._norm = 0, 0.0, 0.0

    def add(self, *, step: int, loss: float, norm: float, rate: float) -> None:
        """Count one more step; while MLflow takes the numbers before, the mean is over more steps.

        Args:
            step: Steps done, this one included.
            loss: Mean over its photographs.
            norm: Of all gradients together.
            rate: The schedule's learning rate in it.
        """
        tracked = self._tracked
        if tracked is None:
            return
        self._background.check()
        self._steps, self._loss, self._norm = self._steps + 1, self._loss + loss, self._norm + norm
        if self._steps < self._every or self._background.busy:
            return
        numbers = {
            "step/loss": self._loss / self._steps,
            "step/gradient_norm": self._norm / self._steps,
            "step/learning_rate": rate,
        }
        self._background.start(lambda: tracked.log_metrics(numbers, step=step))
        self._steps, self._loss, self._norm = 0, 0.0, 0.0

    def wait(self) -> None:
        """Wait until MLflow has taken what was sent; raises why it did not."""
        self._background.wait()

    def close(self) -> None:
        """End the thread."""
        self._background.close()
