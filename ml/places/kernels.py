"""What an occurrence weighs at a site: by its distance, by what is not known of places, and by the time of the year."""

from typing import Any, Final

import numpy as np
import numpy.typing as npt

from ml.places.sites import YEAR
from ml.taxonomy import Floats

LEAST_WIDTH_KM: Final = 1.0
"""Standard deviation of the kernel at least: places are rounded, and many occurrences may share one."""


def distance_weights(
    distance: Floats, uncertainty_m: npt.NDArray[Any], site_uncertainty_m: Floats, *, width: float
) -> Floats:
    """Gaussian in distance, as wide as occurrences are sparse around the site.

    The standard deviation is a share of the distance to the last neighbour, and wider where the site is uncertain:
    variances add. An uncertain occurrence has the weight that can be expected of it, given that it may lie anywhere
    around its place: wider by its own variance and lower in the same measure, so that it never outvotes an exact one.

    Args:
        distance: Kilometres to the neighbours, rising; infinite where there is none. Shape N x k.
        uncertainty_m: Radius that holds the true place of each: two standard deviations; NaN: none. Shape N x k.
        site_uncertainty_m: The same of the sites. Shape N.
        width: The share.

    Returns:
        From 0 to 1. Shape N x k.
    """
    there = np.isfinite(distance)
    last = np.where(there, distance, 0).max(axis=1, keepdims=True, initial=0)
    kernel = np.maximum(width * last, LEAST_WIDTH_KM) ** 2 + _variance(site_uncertainty_m)[:, None]
    wider = kernel + _variance(uncertainty_m)
    weights: Floats = np.exp(-(np.where(there, distance, 0) ** 2) / 2 / wider) * (kernel / wider)
    weights[~there] = 0
    return weights


def season_weights(days: npt.NDArray[Any], site_days: Floats, *, days_wide: float) -> Floats:
    """Gaussian on the circle of days, with mean 1 over the year: what has no day weighs as much as it would on average.

    Args:
        days: Of the neighbours, from 1 to `YEAR`; 0: not known. Shape N x k.
        site_days: Of the sites; NaN: not known, all neighbours weigh 1. Shape N.
        days_wide: Standard deviation.

    Returns:
        Shape N x k.
    """
    circle = np.arange(YEAR)
    kernel = np.exp(-((np.minimum(circle, YEAR - circle) / days_wide) ** 2) / 2)
    asked = ~np.isnan(site_days[:, None]) & (days > 0)
    apart = np.where(asked, days - np.nan_to_num(site_days[:, None]), 0).astype(np.int64) % YEAR
    return np.where(asked, (kernel / kernel.mean())[apart], 1.0)


def _variance(uncertainty_m: npt.NDArray[Any]) -> Floats:
    variance: Floats = (np.nan_to_num(uncertainty_m.astype(np.float64)) / 2000) ** 2
    return variance
