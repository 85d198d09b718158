"""Several photographs of one organism joined into one distribution: a logarithmic opinion pool of dependent opinions.

Photographs x_1 ... x_M that are independent once the species is known multiply: log P(y | x_1 ... x_M) is the sum of
the log P(y | x_i) and a constant, where no species is likelier than another beforehand. Photographs of one organism are
not independent. A network that is misled by one is misled by the next, and a photograph twice says nothing new. If the
errors of any two have the correlation rho, the sum of M of them is worth no more than

    M_eff = M / (1 + (M - 1) rho)

independent ones (Kish's design effect, 1965), so the pool is the product to the power M_eff / M:

    P(y | x_1 ... x_M)  is proportional to  product over i of P(y | x_i)^(1 / (1 + (M - 1) rho))

The dependence rho is one number in [0, 1], the most likely one on the photographs that calibrate. At 0 the photographs
are multiplied, at 1 the pool is their geometric mean. One photograph is left as it is, the order does not matter, and
knowing a taxon beforehand gives the same before joining as after it (the pool is externally Bayesian; Genest 1984).

No photograph can rule a species out: probabilities below `ml.specificity.temperature.SMALLEST` count as that.
"""

import numpy as np

from ml.specificity.temperature import SMALLEST
from ml.specificity.tree_sums import SpecificityError
from ml.taxonomy import Floats, Integers


def effective_photographs(photos: int, dependence: float) -> float:
    """How many independent photographs are worth as much as `photos` of one organism.

    Args:
        photos: At least 1.
        dependence: In [0, 1].

    Returns:
        Between 1 (fully dependent) and `photos` (independent).

    Raises:
        SpecificityError: an argument is out of range.
    """
    if photos < 1 or not 0 <= dependence <= 1:
        raise SpecificityError(f"{photos} photographs of the dependence {dependence} cannot be joined")
    return photos / (1 + (photos - 1) * dependence)


def pool(probabilities: Floats, *, dependence: float, most: int | None = None) -> Floats:
    """Join the distributions of M photographs of each of N organisms.

    Args:
        probabilities: Calibrated ones of species; rows sum to one. Shape N x M x C.
        dependence: In [0, 1].
        most: So many photographs were calibrated: more of them count as much as these, evenly; None: no limit.

    Returns:
        Shape N x C; rows sum to one. Of one photograph each, the distributions as they are.

    Raises:
        SpecificityError: the dependence is outside [0, 1], or there is no photograph.
    """
    photos = probabilities.shape[1]
    effective = effective_photographs(min(photos, most or photos), dependence)
    return probabilities[:, 0] if photos == 1 else normalised(evidence(probabilities) * (effective / photos))


def evidence(probabilities: Floats) -> Floats:
    """The sum of the logarithms over the photographs: from shape N x M x C to N x C."""
    total: Floats = np.log(np.maximum(probabilities, SMALLEST)).sum(axis=1)
    return total


def normalised(logarithms: Floats) -> Floats:
    """Distributions from their logarithms, each up to a constant. Shape N x C."""
    powers: Floats = np.exp(logarithms - logarithms.max(axis=1, keepdims=True))
    powers /= powers.sum(axis=1, keepdims=True)
    return powers


def fit_dependence(evidences: list[tuple[int, Floats, Integers]]) -> float:
    """The dependence at which the true species are most likely.

    Args:
        evidences: For each number of photographs M: M, what `evidence` found of S such sets, shape S x C, and their
            true class ids, shape S.

    Returns:
        A number in [0, 1].
    """
    from scipy.optimize import minimize_scalar  # noqa: PLC0415 (serving imports this module, and needs no SciPy)

    def loss(dependence: float) -> float:
        total = 0.0
        for photos, sums, labels in evidences:
            logits = sums * (effective_photographs(photos, dependence) / photos)
            highest = logits.max(axis=1)
            normaliser = np.log(np.exp(logits - highest[:, None]).sum(axis=1)) + highest
            total += float((normaliser - logits[np.arange(len(labels)), labels]).sum())
        return total

    found = float(minimize_scalar(loss, bounds=(0, 1), method="bounded", options={"xatol": 1e-4}).x)
    # A bounded search never looks at the ends.
    return min((0.0, found, 1.0), key=loss)
