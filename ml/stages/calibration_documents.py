"""What a child that calibrates the specificity of a network is asked, and what it made."""

import math
from pathlib import Path
from typing import Final, Literal

from pydantic import Field

from ml.choices import Case, PlacedCase, Reward, Rule, ThresholdOptions
from ml.documents import Document, Result
from ml.stages.stage_documents import NetworkName, StageSpec

PLACE_LEFT_OUT: Final = "Gain with nearby records left out"
PLACE_GROUPS: Final = "Gain by class, region and observer"
"""Titles of the pictures of what place and season are worth."""


class SpecificityOptions(ThresholdOptions, Document):
    """How the thresholds of one network are chosen, with the seed of what is drawn."""

    seed: int = 0


class CalibrateSpec(SpecificityOptions, StageSpec):
    """Specificity calibration of one trained network (paper section 3.3)."""

    network: NetworkName
    probabilities: Path
    """Photographs x classes: a `.npy` file, or Parquet with a column `probabilities` of fixed-size lists."""
    predictions: Path
    taxonomy: Path
    split: Path | None = None
    """`split.parquet`: which observation a photograph belongs to; without it each photograph is one."""
    prototypes: Path | None = None
    """`prototypes.safetensors` of the training; without it no novelty is scored."""
    places: Path | None = None
    """`places.parquet`: where and when the observations of the split were made; without it no prior is learnt."""


class OperatingPoint(Document):
    """The threshold for one target accuracy, and what its answers are worth on photographs with labels."""

    target: float
    threshold: float
    """Of photographs that belong to no group; without groups, of all."""
    reachable: bool
    """Whether the photographs that chose meet the target (with a guarantee: can promise it)."""
    accuracy: float
    accuracy_low: float
    """Lower end of the 95 % Clopper-Pearson interval, for as many photographs as the observations are worth."""
    accuracy_high: float
    depth: float
    """Mean depth of the answers: root 0, kingdom 1, ... species 7."""
    abstention: float
    """Share of photographs answered with the root."""
    guaranteed: bool = False
    """Whether the accuracy is promised, not estimated: `delta` was given, and no group is too small for its promise."""
    information: float = Field(default=math.nan, exclude=True)
    """Mean information gain of the answers, in bits; not written."""
    photos: int = Field(default=0, exclude=True)
    """How many there were; not written."""


class GroupPoint(Document):
    """The threshold of the photographs that are taken for one taxon, at the target of the calibration."""

    taxon: str
    """Its name; `others` for photographs of no group."""
    taxon_key: str | None
    threshold: float
    reachable: bool
    calibration_photos: int
    evaluation_photos: int
    accuracy: float | None
    """On the evaluation half; None where it has no such photograph."""
    accuracy_low: float | None
    accuracy_high: float | None
    depth: float | None


class WatchedTaxon(Document):
    """A taxon of the watch-list and its alarm."""

    taxon: str
    """Its lineage, `Animalia > ... > Aves`: names alone may be homonyms."""
    node_id: int
    threshold: float
    """The alarm is raised where the taxon's probability is at least this."""
    basis: Literal["taxon", "rank"]
    """`taxon`: chosen on its own photographs; `rank`: too few, borrowed from all taxa of its rank."""
    calibration_photos: int
    """Its photographs that could choose, one of each observation."""
    evaluation_photos: int
    recall: float | None
    """Share of its evaluation photographs that raise the alarm; None where there are none."""
    false_alarms: float
    """Share of the other evaluation photographs that raise it."""


class AnswerExample(Document):
    """The answer for one photograph."""

    species: str
    """What it shows."""
    rank: str | None
    """Of the answer; None where no taxon was sure enough."""
    taxon: str | None
    probability: float
    right: bool


class PlaceCase(Document):
    """Thresholds for photographs of which the place is known, or place and date: chosen after composing the prior."""

    case: PlacedCase
    temperature: float
    """Applied to the composed distributions."""
    threshold: float
    """Of photographs that belong to no group, at the target."""
    thresholds: Path
    """As `CalibrateResult.thresholds`."""
    by_target: Path
    """As `CalibrateResult.by_target`."""
    points: tuple[OperatingPoint, ...]
    """At 80, 90, 95 and 99 %, and the target of the calibration; on the evaluation half."""
    groups: tuple[GroupPoint, ...] = ()
    calibration_photos: int
    """Photographs that chose."""
    evaluation_photos: int
    """Photographs that judged; all that follows is of these."""
    judged: OperatingPoint
    """At the target of the calibration."""
    alone: OperatingPoint
    """The same photographs, answered by their pixels alone: with the thresholds of the case `neither`."""
    top1: float
    """Share whose best species is right."""
    top1_alone: float
    """The same by the photographs alone."""
    joint: Path | None = None
    """As `CalibrateResult.joint`, for several photographs of one organism at one place. Photographs are joined at this
    case's temperature T; then the prior is composed once, with its exponent divided by T. None: nothing is promised."""


class ComparedCase(Document):
    """What the answers of one case are worth on photographs that are in every case."""

    case: Case
    photos: int
    """The same for all cases."""
    accuracy: float
    """At the target of the calibration."""
    accuracy_low: float
    """Lower end of its 95 % Clopper-Pearson interval."""
    accuracy_high: float
    depth: float
    """Mean depth of the answers: root 0, kingdom 1, ... species 7."""
    abstention: float
    """Share answered with the root."""
    top1: float
    """Share whose best species is right."""


class CalibrateResult(Result):
    """The chosen threshold and what it does on photographs that did not choose it."""

    mlflow_run_id: str
    """Empty where nothing was logged."""
    target: float
    threshold: float
    """Of photographs that belong to no group; without groups, of all."""
    calibration_accuracy: float
    calibration_depth: float
    calibration_photos: int
    evaluation_accuracy: float
    """On the half of the validation side that did not choose the threshold."""
    evaluation_accuracy_low: float
    """Lower end of the 95 % Clopper-Pearson interval of `evaluation_accuracy`."""
    evaluation_accuracy_high: float
    evaluation_depth: float
    """Mean depth of the answers: root 0, kingdom 1, ... species 7; the paper's text counts so."""
    evaluation_photos: int
    abstention_rate: float
    """Share of evaluation photographs answered with the root."""
    curve: Path
    """`operating_curve.parquet`: threshold, accuracy, depth, abstention, information over the calibration half."""
    thresholds: Path
    """`thresholds.parquet`: a threshold for every tabulated target and group; what is served."""
    by_target: Path
    """`by_target.parquet`: target, reachable, accuracy with its interval, depth, abstention on the evaluation half, for
    every tabulated target (the paper's Figure 3)."""
    report: Path
    """`operating_points.md`: operating points, groups and watch-list as tables."""
    figures: dict[str, Path]
    temperature: float = 1.0
    """Applied to the distributions before anything is summed; 1 leaves them."""
    delta: float | None = None
    calibration_error: float
    """Mean distance between the stated probability and the accuracy over the candidates of the evaluation half."""
    rule: Rule = "threshold"
    """What `threshold` is the parameter of; see `ml.specificity.rules`."""
    reward: Reward = "depth"
    """Of the rule `reward`."""
    points: tuple[OperatingPoint, ...]
    """At 80, 90, 95 and 99 %, and the target of the calibration."""
    groups: tuple[GroupPoint, ...] = ()
    watch: tuple[WatchedTaxon, ...] = ()
    watch_unknown: tuple[str, ...] = ()
    """Names of the watch-list that the dataset does not hold: the network cannot see them."""
    novelty: Path | None = None
    """`novelty.safetensors`: how unlike the known species a photograph looks; None without embeddings."""
    novelty_auroc: float | None = None
    """How well photographs of genera that are left out are told by it; None where there is but one genus."""
    joint: Path | None = None
    """`joint.parquet`: how several photographs of one organism are joined, with thresholds for sets of them; None where
    too few photographs are of one observation or of one species."""
    place_prior: Path | None = None
    """`place_prior.safetensors`: which species are recorded where and when; None without enough places."""
    place_cases: tuple[PlaceCase, ...] = ()
    """Where enough photographs have a place, and a date: none, `place`, or both."""
    compared_cases: tuple[ComparedCase, ...] = ()
    """`neither` and those of `place_cases`, side by side on the same photographs of the evaluation half."""
    place_accuracy: Path | None = None
    """`place_accuracy.parquet`: the same cases by taxonomic class, country and observer, and with neighbours left out;
    None without `place_cases`."""
    examples: tuple[AnswerExample, ...] = ()
    """A few answers at the target, for photographs of the evaluation half."""
