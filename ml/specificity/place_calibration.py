"""Calibration with places: the prior that is learnt from them, and thresholds for each case of what is known.

From arrays to numbers; reads no file. The distributions of the validation side are composed with the prior first, so
that each case - the place is known, or place and date - has a temperature and thresholds of its own, and every promise
holds in its own case. What the prior knows nothing of (a place far from all occurrences) belongs to the case `neither`.

The prior depends on the photographs that its parameters were chosen on. With a guarantee these are the same fourth of
the observations of the calibration half that fits the temperature, and the others choose thresholds.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from ml.choices import Case, PlacedCase
from ml.places.choice import MOST_ROWS, choose
from ml.places.composition import compose
from ml.places.prior import PlacePrior, PriorSettings, Records
from ml.places.sites import Sites
from ml.spec import ComparedCase, OperatingPoint, SpecificityOptions
from ml.specificity.calibration import Labelled, Outcome, calibrate_network, divide
from ml.specificity.composed import ComposedProbabilities
from ml.specificity.joint_calibration import calibrate_joint
from ml.specificity.joint_thresholds import JointThresholds
from ml.specificity.thresholds import Half, judge_table
from ml.taxonomy import Floats, Taxonomy

LEAST = 20
"""Observations with a place that must be there to choose, and to judge: one miss more or less then changes 5 %."""

Mask = npt.NDArray[np.bool_]
NAMES: dict[PlacedCase, str] = {"place": "a place", "place_and_date": "a place and a date"}
"""What photographs of a case have, for people."""


class Places(NamedTuple):
    """Where and when photographs were taken."""

    records: Records
    """Occurrences of the training side."""
    sites: Sites
    """Of the N photographs of the validation side."""


@dataclass(frozen=True, eq=False, kw_only=True)
class CaseOutcome:
    """What the calibration of one case found."""

    case: PlacedCase
    rows: npt.NDArray[np.intp]
    """Its photographs among the N of the validation side, rising. Shape M."""
    outcome: Outcome
    alone: OperatingPoint
    """What the same photographs are worth without the prior, with the thresholds of the case `neither`."""
    top1: float
    """Share of the photographs that judge whose best species is right."""
    top1_alone: float
    """The same without the prior."""
    joint: JointThresholds | None
    """For several photographs of one organism; None where too few observations have several."""


@dataclass(frozen=True, eq=False, kw_only=True)
class PlaceOutcome:
    """What a calibration with places found."""

    prior: PlacePrior | None
    """None where no case has enough photographs."""
    cases: tuple[CaseOutcome, ...]
    compared: tuple[ComparedCase, ...]
    """`neither` and all of `cases` on the same photographs."""
    left_out: tuple[str, ...]
    """Why cases are not among them, a sentence each."""


def calibrate_places(
    data: Labelled, places: Places, alone: Outcome, taxonomy: Taxonomy, options: SpecificityOptions
) -> PlaceOutcome:
    """Learn the prior from the training side, and calibrate each case that has enough photographs.

    The watch-list has no part in it: alarms read what the photograph alone says.

    Args:
        data: The validation side, as for the case `neither`.
        places: Where and when.
        alone: The calibration of the case `neither`, on the same photographs.
        taxonomy: A tree with C leaves.
        options: As for the case `neither`.

    Raises:
        SpecificityError: options are not what they must be.
    """
    options = options.model_copy(update={"watch_list": ()})
    if not len(places.records.class_id):
        return _nothing("No occurrence of the training side has a usable place: no prior is learnt.")
    few = _too_few(data, places.sites.placed, chooses=data.chooses, case="place")
    if few is not None:
        return _nothing(few)
    # Where nothing is promised, the whole calibration half chooses all there is to choose.
    fits, _ = divide(data, options.model_copy(update={"temperature": True}))
    prior = learn_prior(data, places, taxonomy, fits=fits & places.sites.placed, seed=options.seed)
    known = prior.knows(places.sites)
    cases: list[CaseOutcome] = []
    left_out = []
    members: tuple[tuple[PlacedCase, Mask], ...] = (("place", known), ("place_and_date", known & places.sites.dated))
    for case, inside in members:
        few = _too_few(data, inside, chooses=data.chooses if options.delta is None else data.chooses & ~fits, case=case)
        if few is None and not (fits & inside).any():
            few = f"No photograph with {NAMES[case]} is left to fit the temperature: nothing is calibrated for them."
        if few is not None:
            left_out.append(few)
            break
        sites = places.sites.told(case)
        found = _calibrate_case(data, sites, alone, taxonomy, options, prior=prior, case=case, inside=inside, fits=fits)
        cases.append(found)
    return PlaceOutcome(
        prior=prior if cases else None,
        cases=tuple(cases),
        compared=compare(data, alone, cases, taxonomy, target=options.target),
        left_out=tuple(left_out),
    )


def learn_prior(data: Labelled, places: Places, taxonomy: Taxonomy, *, fits: Mask, seed: int) -> PlacePrior:
    """The prior of the training side, its parameters chosen by log-loss on the photographs `fits`."""
    prior = PlacePrior(records=places.records, class_count=taxonomy.class_count, settings=PriorSettings())
    rows = np.flatnonzero(fits)
    if len(rows) > MOST_ROWS:
        rows = np.sort(np.random.default_rng(seed).choice(rows, MOST_ROWS, replace=False))
    chosen = choose(prior, places.sites.rows(rows), np.asarray(data.probabilities[rows]), data.labels[rows], seed=seed)
    return prior.with_settings(chosen)


def compare(
    data: Labelled, alone: Outcome, cases: Sequence[CaseOutcome], taxonomy: Taxonomy, *, target: float
) -> tuple[ComparedCase, ...]:
    """Every case on the same photographs: those of the evaluation half that are in all of them; empty without cases."""
    if not cases:
        return ()
    shared = np.zeros(len(data.labels), dtype=bool)
    shared[cases[-1].rows] = True  # the last case knows the most, and has the fewest photographs
    compared = [_compared("neither", alone, shared[data.judges], taxonomy, target=target)]
    for one in cases:
        own = shared[one.rows][data.judges[one.rows]]
        compared.append(_compared(one.case, one.outcome, own, taxonomy, target=target))
    return tuple(compared)


def top1(half: Half, taxonomy: Taxonomy) -> float:
    """Share of photographs whose candidate of the greatest depth, a species, is right."""
    return float(taxonomy.contains(half.found.node_ids[:, -1], half.labels).mean())


def _calibrate_case(
    data: Labelled,
    sites: Sites,
    alone: Outcome,
    taxonomy: Taxonomy,
    options: SpecificityOptions,
    *,
    prior: PlacePrior,
    case: PlacedCase,
    inside: Mask,
    fits: Mask,
) -> CaseOutcome:
    """Calibrate the photographs `inside`, which have sites, on what the prior makes of them."""
    rows = np.flatnonzero(inside & (data.chooses | data.judges))
    composed = Labelled(
        probabilities=ComposedProbabilities(data.probabilities, rows, prior=prior, sites=sites.rows(rows)),
        labels=data.labels[rows],
        chooses=data.chooses[rows],
        judges=data.judges[rows],
        observations=None if data.observations is None else data.observations[rows],
        fits=None if options.delta is None else fits[rows],
    )
    outcome = calibrate_network(composed, taxonomy, options)
    joint = _calibrate_joint(
        data, sites, taxonomy, options, prior=prior, inside=inside, fits=fits, temperature=outcome.temperature
    )
    same = alone.evaluation.rows(inside[data.judges])
    return CaseOutcome(
        case=case,
        rows=rows,
        outcome=outcome,
        alone=judge_table(alone.table, same, taxonomy, target=options.target),
        top1=top1(outcome.evaluation, taxonomy),
        top1_alone=top1(same, taxonomy),
        joint=joint,
    )


def _calibrate_joint(
    data: Labelled,
    sites: Sites,
    taxonomy: Taxonomy,
    options: SpecificityOptions,
    *,
    prior: PlacePrior,
    inside: Mask,
    fits: Mask,
    temperature: float,
) -> JointThresholds | None:
    """Thresholds for several photographs of one organism at one place: the prior applies once, to what was joined.

    The photographs are joined at the temperature T of the case. What tempers a composed distribution tempers the prior
    too, so its exponent is divided by T; of one photograph this gives what the case gives.
    """
    own = Labelled(
        probabilities=data.probabilities,
        labels=data.labels,
        chooses=data.chooses & inside,
        judges=data.judges & inside,
        observations=data.observations,
        fits=None if options.delta is None else fits & inside,
    )

    def composed(joined: Floats, photographs: npt.NDArray[np.intp]) -> Floats:
        look = prior.look(sites.rows(photographs))
        return compose(joined, look, exponent=prior.settings.exponent / temperature)

    return calibrate_joint(own, taxonomy, options, temperature=temperature, compose=composed)


def _compared(case: Case, outcome: Outcome, rows: Mask, taxonomy: Taxonomy, *, target: float) -> ComparedCase:
    half = outcome.evaluation.rows(rows)
    point = judge_table(outcome.table, half, taxonomy, target=target)
    return ComparedCase(
        case=case,
        photos=point.photos,
        accuracy=point.accuracy,
        accuracy_low=point.accuracy_low,
        accuracy_high=point.accuracy_high,
        depth=point.depth,
        abstention=point.abstention,
        top1=top1(half, taxonomy),
    )


def _too_few(data: Labelled, inside: Mask, *, chooses: Mask, case: PlacedCase) -> str | None:
    """Why a case cannot be calibrated; None where it can."""
    chose, judged = (_observations(data, half & inside) for half in (chooses, data.judges))
    if min(chose, judged) >= LEAST:
        return None
    return (
        f"Too few observations have {NAMES[case]}: {chose:,} that could choose thresholds and {judged:,} that could "
        f"judge them, where {LEAST} of each are the least. Nothing is calibrated for them."
    )


def _observations(data: Labelled, rows: Mask) -> int:
    return int(rows.sum()) if data.observations is None else len(np.unique(data.observations[rows]))


def _nothing(reason: str) -> PlaceOutcome:
    return PlaceOutcome(prior=None, cases=(), compared=(), left_out=(reason,))
