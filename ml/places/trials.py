"""How well composed probabilities tell photographs under many settings of a prior, each at the cost of neighbours only.

A trial has p^sharpness x s^power, made to sum to one, where s is what species weigh at the site: that is the composed
distribution at a temperature of 1 / sharpness with an exponent of power / sharpness.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Final, NamedTuple

import numpy as np
import numpy.typing as npt

from ml.places.prior import PlacePrior, PriorSettings
from ml.places.sites import Sites
from ml.taxonomy import Floats

_SHARPNESS: Final = tuple(float(value) for value in np.geomspace(0.1, 6, 26))
"""Inverse temperatures that are tried."""
_MOST_POWER: Final = 5.0
_SMALLEST: Final = 2.0**-25
"""Smaller probabilities count as this one, as they do when a temperature is fitted."""
_BLOCK: Final = 2_000_000
"""Probabilities that are summed at a time."""


class Fit(NamedTuple):
    """How well photographs are told by p^sharpness x prior^power, made to sum to one."""

    loss: float
    """Mean of -log of the true species' probability, in nats."""
    sharpness: float
    power: float


class Trial(NamedTuple):
    """Settings with their best fit."""

    settings: PriorSettings
    fit: Fit
    losses: Floats
    """Shape N."""


@dataclass(frozen=True, eq=False, kw_only=True)
class Trials:
    """N photographs with their neighbours, grouped by species, so that a trial costs no more than its neighbours."""

    prior: PlacePrior
    sites: Sites
    distance: Floats
    neighbours: npt.NDArray[np.intp]
    group: npt.NDArray[np.intp]
    """The pair of photograph and species that each neighbour belongs to. Shape N x k."""
    group_row: npt.NDArray[np.intp]
    group_log: Floats
    """log p of each pair."""
    label_group: npt.NDArray[np.intp]
    """The pair of each photograph and its species, -1 where none of its neighbours is of it. Shape N."""
    label_log: Floats
    label_unplaced: npt.NDArray[np.bool_]
    logs: npt.NDArray[np.float32]
    """log p. Shape N x C."""
    unplaced: npt.NDArray[np.bool_]
    """Whether a species has no place at all. Shape C."""
    sums: dict[float, tuple[Floats, Floats]] = field(default_factory=dict)
    """By sharpness: sums of p^sharpness over all species, and over those without a place. Shape N each."""

    @classmethod
    def of(
        cls,
        prior: PlacePrior,
        sites: Sites,
        probabilities: npt.NDArray[Any],
        labels: npt.NDArray[Any],
        *,
        most: float,
    ) -> "Trials":
        """Ask the tree once, for the most neighbours that a trial may have."""
        count = min(int(most), len(prior.records.class_id))
        distance, neighbours = prior.neighbours(sites, count)
        classes = probabilities.shape[1]
        keys = np.arange(len(labels))[:, None] * classes + prior.records.class_id[neighbours]
        pairs, group = np.unique(keys, return_inverse=True)
        logs = probabilities.astype(np.float32)
        np.log(np.maximum(logs, np.float32(_SMALLEST), out=logs), out=logs)
        own = np.arange(len(labels)) * classes + labels
        position = np.minimum(np.searchsorted(pairs, own), len(pairs) - 1)
        unplaced = np.zeros(classes, np.bool_)
        unplaced[prior.unplaced] = True
        return cls(
            prior=prior,
            sites=sites,
            distance=distance,
            neighbours=neighbours,
            group=group.reshape(keys.shape),
            group_row=pairs // classes,
            group_log=logs.ravel()[pairs].astype(np.float64),
            label_group=np.where(pairs[position] == own, position, -1),
            label_log=logs[np.arange(len(labels)), labels].astype(np.float64),
            label_unplaced=unplaced[labels],
            logs=logs,
            unplaced=unplaced,
        )

    def alone(self) -> Trial:
        """The network without the prior, at its best temperature."""

        def fit(sharpness: float) -> Fit:
            return Fit(float(alone(sharpness).mean()), sharpness, 0.0)

        def alone(sharpness: float) -> Floats:
            return np.asarray(np.log(self._sums(sharpness)[0]) - sharpness * self.label_log)

        best = _descent(fit, start=1.0)
        settings = self.prior.settings.model_copy(update={"exponent": 0.0})
        return Trial(settings, best, alone(best.sharpness))

    def of_settings(self, settings: PriorSettings, start: Fit) -> Trial:
        """The composed distributions under these settings, fitted from where another trial ended."""
        shares = self._weights(settings)
        fit = self._fit(shares, start)
        total, _, _ = self._moments(shares, fit.sharpness, fit.power)
        losses = np.log(total) - fit.sharpness * self.label_log - fit.power * shares.label
        return Trial(settings, fit, losses)

    def _fit(self, shares: "Shares", start: Fit) -> Fit:
        """The best sharpness and power for what species weigh, from where another trial ended."""
        power = start.power

        def fit(sharpness: float) -> Fit:
            nonlocal power
            found = self._power(shares, sharpness, power)
            power = found.power
            return found

        return _descent(fit, start=start.sharpness)

    def _weights(self, settings: PriorSettings) -> "Shares":
        count = settings.neighbours
        distance, neighbours = self.distance[:, :count], self.neighbours[:, :count]
        weights = self.prior.with_settings(settings).weigh(distance, neighbours, self.sites)
        sums = np.bincount(self.group[:, :count].ravel(), weights.ravel(), len(self.group_row)) + settings.floor
        groups = np.log(sums)
        floor = float(np.log(settings.floor))
        placed = max(len(self.unplaced) - int(self.unplaced.sum()), 1)
        unplaced = np.log(weights.sum(axis=1) / placed + settings.floor)
        label = np.where(self.label_group < 0, floor, groups[self.label_group])
        return Shares(groups, floor, unplaced, np.where(self.label_unplaced, unplaced, label))

    def _power(self, shares: "Shares", sharpness: float, power: float) -> Fit:
        """The best power at a sharpness, by Newton's method: the loss is convex in it."""
        for _ in range(20):
            loss, slope, curve = self._derivatives(shares, sharpness, power)
            step = float(np.clip(-slope / max(curve, 1e-9), -1, 1))
            moved = min(max(power + step, 0.0), _MOST_POWER)
            if abs(moved - power) < 1e-3:
                break
            power = moved
        return Fit(loss, sharpness, power)

    def _derivatives(self, shares: "Shares", sharpness: float, power: float) -> tuple[float, float, float]:
        """The mean loss, and its first two derivatives in the power."""
        total, first, second = self._moments(shares, sharpness, power)
        losses = np.log(total) - sharpness * self.label_log - power * shares.label
        expected = first / total
        return (
            float(losses.mean()),
            float((expected - shares.label).mean()),
            float((second / total - expected**2).mean()),
        )

    def _moments(self, shares: "Shares", sharpness: float, power: float) -> tuple[Floats, Floats, Floats]:
        """Sums over all species of p^sharpness x s^power, times 1, log s and its square. Shape N each."""
        everything, unplaced = self._sums(sharpness)
        near = np.exp(sharpness * self.group_log)
        # What remains for species without neighbours is a difference, which rounding may take below zero.
        rest = np.maximum(everything - unplaced - self._by_row(near), 0) * np.exp(power * shares.floor)
        mixed = near * np.exp(power * shares.groups)
        blank = unplaced * np.exp(power * shares.unplaced)
        return tuple(
            self._by_row(mixed * shares.groups**order) + rest * shares.floor**order + blank * shares.unplaced**order
            for order in range(3)
        )

    def _by_row(self, values: Floats) -> Floats:
        return np.asarray(np.bincount(self.group_row, values, len(self.label_log)), np.float64)

    def _sums(self, sharpness: float) -> tuple[Floats, Floats]:
        if sharpness not in self.sums:
            everything, unplaced = np.empty(len(self.logs)), np.empty(len(self.logs))
            step = max(_BLOCK // self.logs.shape[1], 1)
            for start in range(0, len(self.logs), step):
                powers = np.exp(sharpness * self.logs[start : start + step])
                everything[start : start + step] = powers.sum(axis=1, dtype=np.float64)
                unplaced[start : start + step] = powers[:, self.unplaced].sum(axis=1, dtype=np.float64)
            self.sums[sharpness] = everything, unplaced
        return self.sums[sharpness]


class Shares(NamedTuple):
    """Logarithms of what species weigh at each site under some settings, not made to sum to one."""

    groups: Floats
    """Of each pair of photograph and species."""
    floor: float
    """Of species without neighbours."""
    unplaced: Floats
    """Of species without any place. Shape N."""
    label: Floats
    """Of the true species. Shape N."""


def _descent(fit: Callable[[float], Fit], *, start: float) -> Fit:
    """The best of the sharpnesses, from one near `start` down to where no neighbour is better: the loss is convex."""
    place = int(np.argmin(np.abs(np.log(_SHARPNESS) - np.log(start))))
    best = fit(_SHARPNESS[place])
    for step in (1, -1):
        while 0 <= place + step < len(_SHARPNESS):
            found = fit(_SHARPNESS[place + step])
            if found.loss >= best.loss:
                break
            best, place = found, place + step
    return best
