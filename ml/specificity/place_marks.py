"""How photographs are answered in each case of place and season, one by one, and with neighbours left out.

With neighbours left out, occurrences within so many kilometres of a photograph do not count for it; the parameters of
the prior, the temperatures and the thresholds stay as they were calibrated. A photograph that the prior then knows
nothing of is answered as in use: by its pixels alone.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from ml.places.composition import compose
from ml.places.prior import PlacePrior
from ml.places.sites import Case
from ml.specificity.answers import candidates, select
from ml.specificity.calibration import Labelled, Outcome
from ml.specificity.place_calibration import PlaceOutcome, Places
from ml.specificity.temperature import SMALLEST, temper
from ml.specificity.tree_sums import BLOCK_CELLS, checked
from ml.taxonomy import ROOT, Floats, Taxonomy

Rows = npt.NDArray[np.intp]
Mask = npt.NDArray[np.bool_]


@dataclass(frozen=True, eq=False, kw_only=True)
class Calibrated:
    """A calibration in all its cases, with what it was made from."""

    data: Labelled
    """The validation side of N photographs."""
    places: Places
    found: PlaceOutcome
    """The cases with a place."""
    alone: Outcome
    """The case `neither`."""
    taxonomy: Taxonomy

    @property
    def judges(self) -> Rows:
        """Photographs of the evaluation half that are in every case; none without cases."""
        if not self.found.cases:
            return np.zeros(0, np.intp)
        shared = np.zeros(len(self.data.labels), np.bool_)
        shared[self.found.cases[-1].rows] = True  # the last case knows the most, and has the fewest photographs
        return np.flatnonzero(shared & self.data.judges)


@dataclass(frozen=True, eq=False, kw_only=True)
class Marks:
    """How each of M photographs was answered. All of shape M."""

    top1: Mask
    """Whether the most probable species is right."""
    loss: Floats
    """Negative natural logarithm of what is stated of the right species."""
    right: Mask
    """Whether the answer at the target is right."""
    depth: Floats
    """Of the answer at the target."""
    abstains: Mask
    """Whether it is the root."""

    def rows(self, rows: Rows | Mask) -> "Marks":
        """Some of the photographs."""
        return Marks(**{name: column[rows] for name, column in vars(self).items()})

    def unless(self, known: Mask, other: "Marks") -> "Marks":
        """These where `known`, and those of `other` elsewhere."""
        return Marks(**{name: np.where(known, own, vars(other)[name]) for name, own in vars(self).items()})


def case_marks(of: Calibrated, rows: Rows, *, beyond_km: float = 0.0, pixels: Marks | None = None) -> dict[Case, Marks]:
    """How the photographs `rows`, at least one, are answered in each case.

    Args:
        of: A calibration.
        rows: M photographs that are in every case.
        beyond_km: Occurrences within this distance do not count.
        pixels: The marks of the case `neither`, where they are known already.
    """
    neither = pixels or _alone(of, rows)
    marks: dict[Case, Marks] = {"neither": neither}
    if of.found.prior is None:
        return marks
    for one in of.found.cases:
        told = of.places._replace(sites=of.places.sites.told(one.case))
        composed = Calibrated(**vars(of) | {"places": told})
        marks[one.case] = _placed(
            composed, rows, prior=of.found.prior, outcome=one.outcome, beyond_km=beyond_km, neither=neither
        )
    return marks


def _alone(of: Calibrated, rows: Rows) -> Marks:
    """Answers by the photographs alone."""
    return _joined([_mark(_read(of, some), of, some, outcome=of.alone) for some in _blocks(rows, of.taxonomy)])


def _placed(
    of: Calibrated, rows: Rows, *, prior: PlacePrior, outcome: Outcome, beyond_km: float, neither: Marks
) -> Marks:
    """Answers with a place; where the prior knows nothing, those of `neither`."""
    known, parts = [], []
    for some in _blocks(rows, of.taxonomy):
        look = prior.look(of.places.sites.rows(some), beyond_km=beyond_km)
        composed = compose(_read(of, some), look, exponent=prior.settings.exponent)
        known.append(look.known)
        parts.append(_mark(composed, of, some, outcome=outcome))
    return _joined(parts).unless(np.concatenate(known), neither)


def _blocks(rows: Rows, taxonomy: Taxonomy) -> Iterator[Rows]:
    """Parts of `rows` whose distributions are read at a time."""
    step = max(1, BLOCK_CELLS // taxonomy.class_count)
    return (rows[start : start + step] for start in range(0, len(rows), step))


def _read(of: Calibrated, rows: Rows) -> Floats:
    return checked(np.asarray(of.data.probabilities[rows]), of.taxonomy)


def _joined(parts: Sequence[Marks]) -> Marks:
    return Marks(**{name: np.concatenate([vars(part)[name] for part in parts]) for name in vars(parts[0])})


def _mark(probabilities: Floats, of: Calibrated, rows: Rows, *, outcome: Outcome) -> Marks:
    """Answer distributions that were not tempered yet with the temperature and thresholds of a calibration."""
    taxonomy, table, labels = of.taxonomy, outcome.table, of.data.labels[rows]
    stated = temper(probabilities, outcome.temperature)
    found = candidates(stated, taxonomy, rule=table.rule, reward=table.reward)
    thresholds = table.thresholds[table.position(outcome.options.target)]
    nodes = select(found, thresholds[table.group_of(found)]).node_ids
    return Marks(
        top1=taxonomy.contains(found.node_ids[:, -1], labels),
        loss=-np.log(np.maximum(stated[np.arange(len(labels)), labels], SMALLEST)),
        right=taxonomy.contains(nodes, labels),
        depth=taxonomy.depth[nodes].astype(np.float64),
        abstains=nodes == ROOT,
    )
