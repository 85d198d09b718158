"""Loss, learning rate and norm of the gradients in MLflow, every so many steps, beside the computation."""

from typing import TYPE_CHECKING

from ml.training.background import Background

if TYPE_CHECKING:
    from ml.child.tracking import ChildRun


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
            "step_loss": self._loss / self._steps,
            "step_gradient_norm": self._norm / self._steps,
            "step_learning_rate": rate,
        }
        self._background.start(lambda: tracked.log_metrics(numbers, step=step))
        self._steps, self._loss, self._norm = 0, 0.0, 0.0

    def wait(self) -> None:
        """Wait until MLflow has taken what was sent; raises why it did not."""
        self._background.wait()

    def close(self) -> None:
        """End the thread."""
        self._background.close()
