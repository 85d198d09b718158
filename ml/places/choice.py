"""Parameters of a prior, chosen on calibration photographs by the log-loss of what is composed.

A coordinate search over few values of each: the tree is asked once, for the most neighbours. The temperature is fitted
along, since composing changes how sure a network is. A parameter leaves its default only for a gain above its standard
error, so that few photographs do not choose what fits them alone.
"""

from collections.abc import Sequence
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from ml.errors import DataError
from ml.places.prior import MOST_EXPONENT, PlacePrior, PriorSettings
from ml.places.sites import Sites
from ml.places.trials import Fit, Trial, Trials
from ml.taxonomy import Floats

LEAST_ROWS: Final = 100
"""Fewer photographs with a known place choose nothing: the defaults stay."""
MOST_ROWS: Final = 2_000
"""Of more photographs so many are drawn; six numbers need no more."""
STEPS: Final[dict[str, tuple[float, ...]]] = {
    "neighbours": (25, 50, 100, 200, 400, 800),
    "width": (0.25, 0.35, 0.5, 0.7, 1.0, 1.4),
    "season_days": (15, 22, 30, 45, 65, 90, 400),
    "floor": (0.003, 0.01, 0.03, 0.1, 0.3, 1.0, 3.0, 10.0),
    "base_rate": (0.0, 0.5, 1.0),
}
"""What is tried. A season of 400 days is none."""
_ROUNDS: Final = 4


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

    Raises:
        DataError: the arguments are of different numbers of photographs or species.
    """
    if not len(sites.latitude) == len(probabilities) == len(labels):
        raise DataError(f"{len(sites.latitude)} places for {len(probabilities)} photographs with {len(labels)} labels")
    if probabilities.shape[1] != prior.class_count:
        raise DataError(f"probabilities of {probabilities.shape[1]} species for a prior of {prior.class_count}")
    rows = np.flatnonzero(prior.knows(sites))
    if len(rows) < LEAST_ROWS:
        return prior.settings
    if len(rows) > MOST_ROWS:
        rows = np.sort(np.random.default_rng(seed).choice(rows, MOST_ROWS, replace=False))
    trials = Trials.of(prior, sites.rows(rows), probabilities[rows], labels[rows], most=max(STEPS["neighbours"]))
    alone = trials.alone()
    best = trials.of_settings(prior.settings, Fit(np.inf, alone.fit.sharpness, 1.0))
    for _ in range(_ROUNDS):
        before = best.settings
        for name, steps in STEPS.items():
            best = _step(trials, best, name, steps)
        if best.settings == before:
            break
    exponent = best.fit.power / best.fit.sharpness if _helps(alone.losses - best.losses, 2) else 0.0
    return best.settings.model_copy(update={"exponent": min(round(exponent, 3), MOST_EXPONENT)})


def _step(trials: Trials, start: Trial, name: str, steps: Sequence[float]) -> Trial:
    """The best value of one parameter, or the present one where none is better by its standard error."""
    best = start
    for value in steps:
        if value != getattr(start.settings, name):
            changed = PriorSettings.model_validate(start.settings.model_dump() | {name: value})
            trial = trials.of_settings(changed, start.fit)
            if trial.fit.loss < best.fit.loss and _helps(start.losses - trial.losses, 1):
                best = trial
    return best


def _helps(gains: Floats, errors: float) -> bool:
    """Whether the mean of paired gains lies above zero by more than so many of its standard errors."""
    return bool(gains.mean() > errors * gains.std() / np.sqrt(len(gains)))
