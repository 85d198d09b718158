"""What photographs gain by composing, measured on the same photographs: accuracy and log-loss, with their intervals."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from ml.specificity.temperature import SMALLEST
from ml.taxonomy import Floats

DRAWS = 2_000
"""Of the bootstrap."""


class Gain(NamedTuple):
    """A difference of two means over the same photographs."""

    value: float
    low: float | None
    """Lower end of the 95 % interval; None where a single photograph leaves none."""
    high: float | None


@dataclass(frozen=True, eq=False, kw_only=True)
class Measured:
    """The classifier alone and composed, on photographs whose species is known."""

    photos: int
    alone_accuracy: float
    composed_accuracy: float
    accuracy: Gain
    """Composed minus alone: above 0 is better."""
    alone_log_loss: float
    """In nats, at the temperature of the classifier alone."""
    composed_log_loss: float
    """In nats, at the temperatures of what each photograph has: composed, or the classifier alone."""
    log_loss: Gain
    """Composed minus alone: below 0 is better."""


@dataclass(eq=False, kw_only=True)
class Measuring:
    """Collects, block by block, what is measured."""

    alone: float
    """Temperature of the classifier's probabilities."""
    composed: float
    """Temperature of composed probabilities."""
    _columns: list[Floats] = field(default_factory=list)
    _ids: list[str] = field(default_factory=list)

    def add(
        self,
        values: Floats,
        composed: Floats,
        *,
        known: npt.NDArray[np.bool_],
        labels: npt.NDArray[np.int32],
        ids: Sequence[str],
    ) -> None:
        """Take a block of B photographs; those without a class are not measured.

        Args:
            values: Of the classifier. Shape B x C.
            composed: Shape B x C.
            known: Whether a photograph was composed with what is known of its place. Shape B.
            labels: True class ids, -1 where there is none. Shape B.
            ids: Photographs of one id are alike; an empty one stands for itself.
        """
        rows = np.flatnonzero(labels >= 0)
        truth = labels[rows]
        temperatures = np.where(known[rows], self.composed, self.alone)
        self._columns.append(
            np.stack(
                [
                    values[rows].argmax(axis=1) == truth,
                    composed[rows].argmax(axis=1) == truth,
                    losses(values[rows], truth, np.full(len(rows), self.alone)),
                    losses(composed[rows], truth, temperatures),
                ]
            )
        )
        self._ids += [ids[row] or f" {len(self._ids) + number}" for number, row in enumerate(rows.tolist())]

    def result(self, *, seed: int) -> Measured | None:
        """What was measured; None where no photograph has a class.

        Args:
            seed: Of the bootstrap.
        """
        if not self._ids:
            return None
        alone, composed, alone_loss, composed_loss = np.concatenate(self._columns, axis=1)
        _, unit = np.unique(np.array(self._ids, dtype=object).astype(str), return_inverse=True)
        return Measured(
            photos=len(alone),
            alone_accuracy=float(alone.mean()),
            composed_accuracy=float(composed.mean()),
            accuracy=gain(composed - alone, unit, seed=seed),
            alone_log_loss=float(alone_loss.mean()),
            composed_log_loss=float(composed_loss.mean()),
            log_loss=gain(composed_loss - alone_loss, unit, seed=seed),
        )


def losses(probabilities: Floats, labels: npt.NDArray[np.integer], temperatures: Floats) -> Floats:
    """-log of each true species' probability at a temperature, in nats; smaller ones than `SMALLEST` count as it.

    Args:
        probabilities: Rows sum to one. Shape N x C.
        labels: True class ids. Shape N.
        temperatures: Shape N.
    """
    logits = np.log(np.maximum(probabilities, SMALLEST)) / temperatures[:, None]
    logits -= logits.max(axis=1, keepdims=True)
    told: Floats = np.log(np.exp(logits).sum(axis=1)) - logits[np.arange(len(labels)), labels]
    return told


def gain(differences: Floats, unit: npt.NDArray[np.integer], *, seed: int) -> Gain:
    """Mean difference with its 95 % interval, by a paired bootstrap of whole units (Efron, percentiles).

    Args:
        differences: Of each photograph. Shape N.
        unit: What is drawn: photographs of one unit are alike. Shape N, from 0 on.
        seed: Of the draws.
    """
    from scipy.stats import bootstrap  # noqa: PLC0415 (a second, which a wrong option must not wait for)

    sums, counts = np.bincount(unit, differences), np.bincount(unit).astype(np.float64)
    mean = float(differences.mean())
    if len(sums) < 2:
        return Gain(mean, None, None)
    found = bootstrap(
        (sums, counts),
        lambda totals, numbers, axis: totals.sum(axis=axis) / numbers.sum(axis=axis),
        paired=True,
        vectorized=True,
        n_resamples=DRAWS,
        batch=max(1, 2_000_000 // len(sums)),
        method="percentile",
        rng=seed,
    ).confidence_interval
    return Gain(mean, float(found.low), float(found.high))
