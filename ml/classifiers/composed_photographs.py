"""A classifier trained elsewhere, composed with a prior of place and season: learnt, applied block by block, measured.

Occurrences teach the prior, calibration photographs choose its parameters and the temperatures, and photographs are
composed and written in the order in which they came.
"""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from ml.classifiers.classes import Classes, Row
from ml.classifiers.classifier_files import write_blocks
from ml.classifiers.gains import Measured, Measuring
from ml.classifiers.place_tables import PlaceTable, told
from ml.errors import DataError
from ml.files import replacing
from ml.places.choice import LEAST_ROWS, MOST_ROWS, choose
from ml.places.composition import compose
from ml.places.prior import PlacePrior, PriorSettings, Records
from ml.specificity.temperature import fit_temperature
from ml.specificity.tree_sums import Distributions, blocks, checked
from ml.taxonomy import Taxonomy

LEFT_OUT = ("no class", "no place", "repeated", "asked about")
"""Why an occurrence teaches nothing: its species is none of the classes, it has no usable place, another row has its
id, or a photograph that chooses or is asked about is of it."""


@dataclass(frozen=True, eq=False, kw_only=True)
class Lessons:
    """What a prior learns from."""

    records: Records
    left_out: Counter[str]
    """How many occurrences teach nothing, by the first reason of `LEFT_OUT`."""
    undated: int
    """Occurrences that teach and have no day."""
    classes: int
    """Classes that have occurrences."""


@dataclass(frozen=True, eq=False, kw_only=True)
class Composer:
    """A prior with the parameters that calibration photographs chose."""

    taxonomy: Taxonomy
    prior: PlacePrior
    choosers: int
    """Calibration photographs with a known place: those that chose."""
    alone: float
    """Temperature of the network's probabilities."""
    composed: float
    """Temperature of composed probabilities."""

    @property
    def settings(self) -> PriorSettings:
        """The prior's."""
        return self.prior.settings

    @property
    def chosen(self) -> bool:
        """Whether calibration photographs were enough to choose; else the settings are the usual ones."""
        return self.choosers >= LEAST_ROWS


@dataclass(frozen=True, eq=False, kw_only=True)
class Outcome:
    """What became of the photographs."""

    cases: Counter[str]
    """`place and date`, `place`, `no place`, `far`: how many photographs; the last two are left as they were."""
    measured: Measured | None
    """None where no photograph has a species."""


def flat(species: list[str]) -> Classes:
    """Classes without ranks above the species, in the order of columns."""
    root: Row = {"node_id": 0, "parent_id": None, "depth": 0, "rank": "root", "name": "Life", "class_id": None}
    leaves: list[Row] = [
        {"node_id": number + 1, "parent_id": 0, "depth": 1, "rank": "species", "name": name, "class_id": number}
        for number, name in enumerate(species)
    ]
    spans = [(0, len(species)), *((number, number + 1) for number in range(len(species)))]
    rows = [
        {**node, "taxon_key": None, "placeholder": False, "leaf_begin": begin, "leaf_end": end}
        for node, (begin, end) in zip([root, *leaves], spans, strict=True)
    ]
    return Classes(taxonomy=Taxonomy.of_rows(rows))


def lessons(occurrences: PlaceTable, *, apart_from: set[str]) -> Lessons:
    """The occurrences that teach.

    Args:
        occurrences: All of them.
        apart_from: Ids of photographs that choose or are asked about, which must not inform themselves.

    Raises:
        DataError: none is left, or an id stands for two species.
    """
    left_out, kept, species_of = Counter[str](), [], dict[str, int]()
    placed = occurrences.sites.placed
    for row, (identifier, class_id) in enumerate(zip(occurrences.ids, occurrences.class_ids.tolist(), strict=True)):
        if class_id < 0:
            left_out["no class"] += 1
        elif not placed[row]:
            left_out["no place"] += 1
        elif identifier and species_of.setdefault(identifier, class_id) != class_id:
            raise DataError(f"{occurrences.path}: the gbif_id {identifier!r} is of two species; correct or remove it")
        elif identifier in apart_from:
            left_out["asked about"] += 1
        else:
            kept.append(row)
    chosen = np.array(kept, dtype=np.intp)
    first = _first_of_each([occurrences.ids[row] for row in kept])
    left_out["repeated"] += len(kept) - len(first)
    chosen = chosen[first]
    if not len(chosen):
        reasons = ", ".join(f"{reason} {left_out[reason]}" for reason in LEFT_OUT if left_out[reason])
        strange = f"; species that are no class: {told(occurrences.strange)}" if occurrences.strange else ""
        raise DataError(f"{occurrences.path}: no occurrence can be learnt from ({reasons}{strange})")
    sites = occurrences.sites.rows(chosen)
    records = Records(
        latitude=sites.latitude.astype(np.float32),
        longitude=sites.longitude.astype(np.float32),
        uncertainty_m=sites.uncertainty_m.astype(np.float32),
        day=np.nan_to_num(sites.day).astype(np.uint16),
        class_id=occurrences.class_ids[chosen],
    )
    return Lessons(
        records=records,
        left_out=left_out,
        undated=int(np.isnan(sites.day).sum()),
        classes=len(np.unique(records.class_id)),
    )


def calibrated(
    records: Records, calibration: PlaceTable, probabilities: Distributions, *, taxonomy: Taxonomy, seed: int
) -> Composer:
    """Choose the prior's parameters and both temperatures on calibration photographs, all of which have a class.

    Args:
        records: Occurrences of other photographs.
        calibration: N photographs with their species.
        probabilities: Of the classifier for them. Shape N x C.
        taxonomy: Its classes.
        seed: Of draws from many photographs.

    Raises:
        MlError: a row is no distribution.
    """
    for rows in blocks(probabilities):
        checked(probabilities[rows], taxonomy, first_row=rows.start)
    labels, sites = calibration.class_ids, calibration.sites
    usual = PlacePrior(records=records, class_count=taxonomy.class_count, settings=PriorSettings())
    known = np.flatnonzero(sites.placed)
    known = known[usual.neighbours(sites.rows(known), 1)[0][:, 0] <= usual.settings.far_km]
    drawn = known
    if len(known) > MOST_ROWS:
        drawn = np.sort(np.random.default_rng(seed).choice(known, MOST_ROWS, replace=False))
    values, asked = checked(probabilities[drawn], taxonomy), sites.rows(drawn)
    prior = usual.with_settings(choose(usual, asked, values, labels[drawn], seed=seed))
    alone = composed = fit_temperature(probabilities, labels, taxonomy, seed=seed)
    if len(drawn) and prior.settings.exponent:
        mixed = compose(values, prior.look(asked), exponent=prior.settings.exponent)
        composed = fit_temperature(mixed, labels[drawn], taxonomy, seed=seed)
    return Composer(taxonomy=taxonomy, prior=prior, choosers=len(known), alone=alone, composed=composed)


def write_composed(
    output: Path, photographs: PlaceTable, probabilities: Distributions, composer: Composer, *, seed: int
) -> Outcome:
    """Compose photographs, block by block, and write them as .npy: complete, or not at all.

    The file has the numbers' type of the input, but at least float32. A photograph without a place, or far from every
    occurrence, has there what the classifier gave it.

    Args:
        output: The file.
        photographs: N of them.
        probabilities: Of the classifier for them. Shape N x C.
        composer: What to compose with.
        seed: Of the bootstrap.

    Raises:
        MlError: a row is no distribution.
        OSError: the file cannot be written.
    """
    cases = Counter[str]()
    measuring = Measuring(alone=composer.alone, composed=composer.composed)
    kind = np.result_type(probabilities.dtype, np.float32)

    def composed_blocks() -> Iterator[npt.NDArray[Any]]:
        for rows in blocks(probabilities):
            values = checked(probabilities[rows], composer.taxonomy, first_row=rows.start)
            sites = photographs.sites.rows(rows)
            look = composer.prior.look(sites)
            composed = compose(values, look, exponent=composer.settings.exponent)
            known, dated = look.known, sites.dated
            cases["place and date"] += int((known & dated).sum())
            cases["place"] += int((known & ~dated).sum())
            cases["no place"] += int((~sites.placed).sum())
            cases["far"] += int((sites.placed & ~known).sum())
            measuring.add(values, composed, known=known, labels=photographs.class_ids[rows], ids=photographs.ids[rows])
            yield composed.astype(kind)

    with replacing(output) as partial:
        write_blocks(partial, composed_blocks(), rows=len(probabilities))
    return Outcome(cases=cases, measured=measuring.result(seed=seed))


def _first_of_each(ids: list[str]) -> npt.NDArray[np.intp]:
    """The first row of each id, and all rows without one."""
    seen = set[str]()
    first = []
    for row, identifier in enumerate(ids):
        if identifier not in seen:
            first.append(row)
        if identifier:
            seen.add(identifier)
    return np.array(first, dtype=np.intp)
