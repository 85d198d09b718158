"""Sets of photographs that stand for several photographs of one organism, out of labelled ones.

They are of one observation where the labelled photographs have enough such observations. Else they are photographs of
one species, each of another observation: these are of different individuals, less alike than those of one organism,
and what is learnt from them is on the hopeful side.
"""

from typing import Literal, NamedTuple

import numpy as np
import numpy.typing as npt

from ml.specificity.guarantee import one_per_group
from ml.taxonomy import Integers

LARGEST = 5
"""Photographs of the largest sets; what holds of these is used for more, too."""

Basis = Literal["observation", "species"]
"""What the photographs of a set have in common."""
Rows = npt.NDArray[np.intp]


class Bundles(NamedTuple):
    """Photographs that belong together, at most `LARGEST` in each of B bundles, in the order of a draw."""

    rows: Rows
    """Shape B x LARGEST; only the first `sizes` of each are meant."""
    sizes: Rows
    """Shape B."""
    basis: Basis

    def part(self, chosen: npt.NDArray[np.bool_] | Rows) -> "Bundles":
        """Some of the bundles."""
        return Bundles(self.rows[chosen], self.sizes[chosen], self.basis)

    def sets(self, photos: int) -> Rows:
        """Sets of `photos` photographs, none in two of them. Shape S x photos.

        A bundle of one species is cut into as many as it gives; one observation gives one set, as others of the same
        organism would say the same again.
        """
        several = LARGEST // photos if self.basis == "species" else 1
        cuts = [
            self.rows[self.sizes >= (cut + 1) * photos, cut * photos : (cut + 1) * photos] for cut in range(several)
        ]
        return np.concatenate(cuts)

    def within(self, photos: int) -> "Bundles":
        """So many of the first bundles as have at most `photos` photographs."""
        return self.part(np.cumsum(self.sizes) <= photos)


def draw(
    labels: Integers,
    observations: npt.NDArray[np.object_] | None,
    chosen: npt.NDArray[np.bool_],
    *,
    basis: Basis,
    seed: int,
) -> Bundles:
    """Bundle photographs of one observation, or of one species.

    Args:
        labels: True class ids. Shape N.
        observations: The observation of each photograph; None: each is one. Shape N.
        chosen: Which photographs may take part: one half of the validation side. Shape N.
        basis: What a bundle has in common. An observation gives one bundle; to a bundle of one species it gives
            one photograph.
        seed: Of the draw.

    Returns:
        Bundles of at least two photographs.
    """
    rows = np.flatnonzero(chosen)
    if basis == "species":
        if observations is not None:
            rows = rows[one_per_group(observations[rows], seed=seed)]
        group = labels[rows].astype(np.intp)
    elif observations is None:
        rows, group = rows[:0], np.empty(0, dtype=np.intp)
    else:
        _, group = np.unique(observations[rows], return_inverse=True)
        # What an observation shows is one organism, and has one name.
        group = group * (int(labels.max(initial=0)) + 1) + labels[rows]
    generator = np.random.default_rng(seed)
    # In the order of the groups, and within a group in that of the draw.
    order = generator.permutation(len(rows))
    order = order[np.argsort(group[order], kind="stable")]
    rows, group = rows[order], group[order]
    starts = np.flatnonzero(np.diff(group, prepend=-1))
    counts = np.diff(np.append(starts, len(rows)))
    place = np.arange(len(rows)) - np.repeat(starts, counts)
    if basis == "observation":
        rows, group, place = (each[place < LARGEST] for each in (rows, group, place))
    starts = np.flatnonzero(place % LARGEST == 0)
    sizes = np.diff(np.append(starts, len(rows)))
    table = np.zeros((len(starts), LARGEST), dtype=np.intp)
    table[np.repeat(np.arange(len(starts)), sizes), place % LARGEST] = rows
    bundles = Bundles(table, sizes, basis).part(sizes > 1)
    return bundles.part(generator.permutation(len(bundles.sizes)))
