"""Temperature scaling (Guo et al. 2017): one number that makes a network's probabilities honest, before the sums.

A network that is too sure of itself gets T > 1. The softmax of logits / T is p^(1/T), made to sum to one again, so
probabilities suffice. They are kept as float16, which cannot hold less than 2^-25: smaller ones count as zero
everywhere, so that what is served is what was calibrated.
"""

import numpy as np
import numpy.typing as npt

from ml.specificity.tree_sums import Distributions, Probabilities, SpecificityError, blocks, checked
from ml.taxonomy import Floats, Integers, Taxonomy

SMALLEST = 2.0**-25
"""Half of the smallest positive float16."""
BOUNDS = (0.05, 20.0)
"""Temperatures that the fit may choose."""
PHOTOS = 4_000
"""A fit reads at most so many photographs, drawn by the seed: one number needs no more."""


def temper(probabilities: Floats, temperature: float) -> Floats:
    """The distributions at a temperature; 1 leaves everything as it is.

    Args:
        probabilities: Shape N x C, rows sum to one.
        temperature: Above 0.

    Raises:
        SpecificityError: the temperature is not above 0.
    """
    if not temperature > 0:
        raise SpecificityError(f"a temperature must be above 0, not {temperature}")
    if temperature == 1:
        return probabilities
    # The greatest probability becomes 1 first: no power of it can vanish.
    relative = probabilities / probabilities.max(axis=1, keepdims=True)
    powers: Floats = np.where(probabilities < SMALLEST, 0.0, relative ** (1 / temperature))
    powers /= powers.sum(axis=1, keepdims=True)
    return powers


def negative_log_likelihood(
    probabilities: Probabilities, labels: Integers, taxonomy: Taxonomy, temperature: float
) -> float:
    """Mean of -log of the true species' probability at a temperature, in nats; zeros count as `SMALLEST`."""
    total = 0.0
    for rows in blocks(probabilities):
        values = np.maximum(checked(probabilities[rows], taxonomy, first_row=rows.start), SMALLEST)
        logits = np.log(values) / temperature
        highest = logits.max(axis=1)
        normaliser = np.log(np.exp(logits - highest[:, None]).sum(axis=1)) + highest
        total += float((normaliser - logits[np.arange(len(values)), labels[rows]]).sum())
    return total / len(probabilities)


def fit_temperature(
    probabilities: Distributions,
    labels: Integers,
    taxonomy: Taxonomy,
    *,
    rows: npt.NDArray[np.intp] | None = None,
    seed: int = 0,
) -> float:
    """The temperature at which the true species are most likely.

    Args:
        probabilities: Shape N x C.
        labels: True class ids. Shape N.
        taxonomy: A tree with C leaves.
        rows: Photographs that may be used; None: all. Of more than `PHOTOS`, so many are drawn.
        seed: Of the draw.

    Returns:
        A temperature within `BOUNDS`; the problem is convex in 1 / T, so it is the only best one.

    Raises:
        SpecificityError: as `ml.specificity.tree_sums.checked`.
    """
    from scipy.optimize import minimize_scalar  # noqa: PLC0415 (serving imports this module, and needs no SciPy)

    used = np.arange(len(probabilities)) if rows is None else rows
    if len(used) > PHOTOS:
        used = np.sort(np.random.default_rng(seed).choice(used, PHOTOS, replace=False))
    drawn, truth = probabilities[used], labels[used]

    def loss(log_temperature: float) -> float:
        return negative_log_likelihood(drawn, truth, taxonomy, float(np.exp(log_temperature)))

    found = minimize_scalar(loss, bounds=tuple(np.log(BOUNDS)), method="bounded", options={"xatol": 1e-4})
    return float(np.exp(found.x))
