"""Parameters of a prior, chosen on calibration photographs by the log-loss of what is composed.

A coordinate search over few values of each: the tree is asked once, for the most neighbours. The temperature is fitted
along, since composing changes how sure a network is.
"""

from dataclasses import dataclass, field
from typing import Any, Final, NamedTuple

import numpy as np
import numpy.typing as npt

from ml.places.prior import PlacePrior, PriorSettings
from ml.places.sites import Sites
from ml.taxonomy import Floats

LEAST_ROWS: Final = 100
"""Fewer photographs with a known place choose nothing: the defaults stay."""
MOST_ROWS: Final = 2_000
"""Of more photographs so many are drawn; six numbers need no more."""
STEPS: Final[dict[str, tuple[float, ...]]] = {
    "neighbours": (25, 50, 100, 200, 400, 800),
    "width": (0.25, 0.35, 0.5, 0.7, 1.0, 1.4),
    "season_days": (15, 22, 30, 45, 65, 90, 400),
    "floor": (0.01, 0.03, 0.1, 0.3, 1.0, 3.0, 10.0),
    "base_rate": (0.0, 0.5, 1.0),
}
"""What is tried. A season of 400 days is none."""
_ROUNDS: Final = 4
_SHARPNESS: Final = tuple(float(value) for value in np.geomspace(0.1, 6, 26))
"""Inverse temperatures that are tried."""
_MOST_POWER: Final = 5.0
_SMALLEST: Final = 2.0**-25
"""Smaller probabilities count as this one, as they do when a temperature is fitted."""
_BLOCK: Final = 2_000_000


class Fit(NamedTuple):
    """How well photographs are told by p^sharpness x prior^power, made to sum to one."""

    loss: float
    """Mean of -log of the true species' probability, in nats."""
    sharpness: float
    power: float


def choose(
    prior: PlacePrior, sites: Sites, probabilities: npt.NDArray[Any], labels: npt.NDArray[Any], *, seed: int = 0
) -> PriorSettings:
    """The settings at which composed probabilities tell calibration photographs best.

    Their observations must not be among the occurrences of the prior: a photograph that is its own neighbour would
    choose a prior that looks at nothing else. Photographs whose place is not known, or far from all occurrences, choose
    nothing. The same input gives the same settings.

    Args:
        prior: The occurrences; where fewer than `LEAST_ROWS` photographs can choose, its settings are the answer.
        sites: Where and when the N photographs were taken; where days are missing they say nothing of the season.
        probabilities: Of the network for them, before any temperature. Shape N x C.
        labels: True class ids. Shape N.
        seed: Of the draw, where there are more than `MOST_ROWS`.

    Returns:
        Settings; an exponent of 0 where composing does not help by more than twice its standard error: then the prior
        says nothing.
    """
    distance, _ = (
        prior.neighbours(sites.rows(sites.placed), 1) if len(prior.records.class_id) else (np.zeros((0, 1)), 0)
    )
    rows = np.flatnonzero(sites.placed)[: len(distance)][distance[:, 0] <= prior.settings.far_km]
    if len(rows) < LEAST_ROWS:
        return prior.settings
    if len(rows) > MOST_ROWS:
        rows = np.sort(np.random.default_rng(seed).choice(rows, MOST_ROWS, replace=False))
    trials = _Trials.of(prior, sites.rows(rows), probabilities[rows], labels[rows])
    return trials.search(prior.settings)


@dataclass(frozen=True, eq=False, kw_only=True)
class _Trials:
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
        cls, prior: PlacePrior, sites: Sites, probabilities: npt.NDArray[Any], labels: npt.NDArray[Any]
    ) -> "_Trials":
        count = min(int(max(STEPS["neighbours"])), len(prior.records.class_id))
        distance, neighbours = prior.neighbours(sites, count)
        classes = probabilities.shape[1]
        keys = np.arange(len(labels))[:, None] * classes + prior.records.class_id[neighbours]
        pairs, group = np.unique(keys, return_inverse=True)
        logs = np.log(np.maximum(probabilities.astype(np.float32), np.float32(_SMALLEST)))
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

    def search(self, settings: PriorSettings) -> PriorSettings:
        """From these settings, one parameter after the other, until none gets better."""
        alone = self.alone()
        best = self.fit(settings, Fit(np.inf, alone.sharpness, 1.0))
        for _ in range(_ROUNDS):
            before = best.loss
            for name, steps in STEPS.items():
                for value in steps:
                    if value == getattr(settings, name):
                        continue
                    trial = PriorSettings.model_validate(settings.model_dump() | {name: value})
                    fit = self.fit(trial, best)
                    if fit.loss < best.loss - 1e-6:
                        settings, best = trial, fit
            if best.loss > before - 1e-4:
                break
        gains = self.losses(None, alone) - self.losses(self._weights(settings), best)
        error = gains.std() / np.sqrt(len(gains))
        exponent = round(best.power / best.sharpness, 3) if gains.mean() > 2 * error else 0.0
        return settings.model_copy(update={"exponent": min(exponent, 10.0)})

    def alone(self) -> Fit:
        """The network without the prior, at its best temperature."""
        fits = (Fit(float(self.losses(None, Fit(0, one, 0)).mean()), one, 0.0) for one in _SHARPNESS)
        return min(fits)

    def fit(self, settings: PriorSettings, start: Fit) -> Fit:
        """The best sharpness and power for these settings, from where another trial ended."""
        weights = self._weights(settings)
        place = int(np.argmin(np.abs(np.array(_SHARPNESS) - start.sharpness)))
        best = self._power(weights, _SHARPNESS[place], start.power)
        for step in (1, -1):
            while 0 <= place + step < len(_SHARPNESS):
                fit = self._power(weights, _SHARPNESS[place + step], best.power)
                if fit.loss >= best.loss:
                    break
                best, place = fit, place + step
        return best

    def _weights(self, settings: PriorSettings) -> "_Shares":
        count = settings.neighbours
        distance, neighbours = self.distance[:, :count], self.neighbours[:, :count]
        weights = self.prior.with_settings(settings).weigh(distance, neighbours, self.sites)
        sums = np.bincount(self.group[:, :count].ravel(), weights.ravel(), len(self.group_row)) + settings.floor
        groups = np.log(sums)
        floor = float(np.log(settings.floor))
        placed = max(len(self.unplaced) - int(self.unplaced.sum()), 1)
        unplaced = np.log(weights.sum(axis=1) / placed + settings.floor)
        label = np.where(self.label_group < 0, floor, groups[self.label_group])
        return _Shares(groups, floor, unplaced, np.where(self.label_unplaced, unplaced, label))

    def _power(self, shares: "_Shares", sharpness: float, power: float) -> Fit:
        """The best power at a sharpness, by Newton's method: the loss is convex in it."""
        for _ in range(20):
            loss, slope, curve = self._derivatives(shares, sharpness, power)
            step = float(np.clip(-slope / max(curve, 1e-9), -1, 1))
            moved = min(max(power + step, 0.0), _MOST_POWER)
            if abs(moved - power) < 1e-3:
                break
            power = moved
        return Fit(loss, sharpness, power)

    def _derivatives(self, shares: "_Shares", sharpness: float, power: float) -> tuple[float, float, float]:
        """The mean loss, and its first two derivatives in the power."""
        total, first, second = self._moments(shares, sharpness, power)
        losses = np.log(total) - sharpness * self.label_log - power * shares.label
        expected = first / total
        return (
            float(losses.mean()),
            float((expected - shares.label).mean()),
            float((second / total - expected**2).mean()),
        )

    def _moments(self, shares: "_Shares", sharpness: float, power: float) -> tuple[Floats, Floats, Floats]:
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

    def losses(self, shares: "_Shares | None", fit: Fit) -> Floats:
        """-log of the true species' probability. Shape N."""
        if shares is None:
            return np.log(self._sums(fit.sharpness)[0]) - fit.sharpness * self.label_log
        total, _, _ = self._moments(shares, fit.sharpness, fit.power)
        return np.log(total) - fit.sharpness * self.label_log - fit.power * shares.label

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


class _Shares(NamedTuple):
    """Logarithms of what species weigh at each site under some settings, not made to sum to one."""

    groups: Floats
    """Of each pair of photograph and species."""
    floor: float
    """Of species without neighbours."""
    unplaced: Floats
    """Of species without any place. Shape N."""
    label: Floats
    """Of the true species. Shape N."""
