"""What the pipeline asks of a child process and what it gets back, as JSON files. Imports nothing heavy.

The pipeline imports this module and no other of `ml`; each child (`python -m ml.train --spec FILE`, likewise
`ml.calibrate` and `ml.register`) reads one specification and writes `result.json` into its output folder last.
"""

from pathlib import Path
from typing import Literal, Self

from pydantic import BaseModel, ConfigDict, Field

RESULT_FILE = "result.json"
"""Written last by every child: where it stands, the work is done."""

RANKS = ("kingdom", "phylum", "class", "order", "family", "genus", "species")
"""The seven ranks of the taxonomy; a node's depth is its position here plus one, the root's is 0."""

NetworkName = Literal["baseline"]


class _Document(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)

    def write(self, path: Path) -> Path:
        """Write this document atomically as JSON and return `path`."""
        path.parent.mkdir(parents=True, exist_ok=True)
        partial = path.with_name(f".{path.name}.partial")
        partial.write_text(self.model_dump_json(indent=2) + "\n", encoding="utf-8")
        partial.replace(path)
        return path

    @classmethod
    def read(cls, path: Path) -> Self:
        """Read and validate a document written by `write`."""
        return cls.model_validate_json(path.read_text(encoding="utf-8"))


class TrackingSpec(_Document):
    """Where a child logs in MLflow."""

    uri: str
    experiment: str
    parent_run_id: str
    """The run of the dataset version; the child's run is nested in it."""
    stage: str
    """Tag `naturewatch.stage`: with `spec_hash` it finds the run to continue after a retry."""
    tags: dict[str, str] = {}
    """Tags for the run: the Dagster run's id and address, git commit, dataset version."""


class TrainSpec(_Document):
    """One training stage, its evaluation included."""

    network: NetworkName
    split: Path
    """`split.parquet`."""
    taxonomy: Path
    """`taxonomy.parquet`."""
    photos: Path
    """`index.parquet` of the training photographs' pack: photo_id, pack, offset, length, width, height."""
    output: Path
    """The folder of this stage: checkpoints, weights, probabilities, figures, `result.json`."""
    spec_hash: str
    """Content version of everything that decides the outcome; names the MLflow run to continue."""
    backbone: str
    weights: str
    recipe: Literal["paper", "sample"]
    image_size: int
    seed: int
    workers: int
    tracking: TrackingSpec


class TrainResult(_Document):
    """What one training stage produced. Paths are inside its output folder."""

    mlflow_run_id: str
    weights: Path
    """`weights.safetensors`."""
    network: Path
    """`network.json`: all that `ml.networks` needs to build the network again."""
    probabilities: Path
    """`validation_probabilities.npy`: float16, validation photographs x classes."""
    predictions: Path
    """`validation.parquet`: photo_id, class_id, half, predicted_class_id; rows as in `probabilities`."""
    history: Path
    """`history.parquet`: phase, epoch, step, train_loss, train_accuracy, learning_rate, photos_per_second."""
    figures: dict[str, Path]
    """PNG pictures by title, the training curves among them."""
    metrics: dict[str, float]
    """At least top1, top5, macro_top1, and accuracy_<rank> for each rank, on the validation side."""


class CalibrateSpec(_Document):
    """Specificity calibration of one trained network (paper section 3.3)."""

    network: NetworkName
    probabilities: Path
    predictions: Path
    taxonomy: Path
    output: Path
    spec_hash: str
    target: float = Field(gt=0, lt=1)
    method: Literal["exact", "hill_climb", "binary_search"]
    seed: int
    tracking: TrackingSpec


class CalibrateResult(_Document):
    """The chosen threshold and what it does on photographs that did not choose it."""

    mlflow_run_id: str
    target: float
    threshold: float
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
    """`operating_curve.parquet`: threshold, accuracy, depth, abstention over the calibration half."""
    figures: dict[str, Path]


class RegisterSpec(_Document):
    """One model version for the MLflow registry."""

    weights: Path
    network: Path
    taxonomy: Path
    specificity: Path
    """`result.json` of the calibration."""
    model_card: Path
    attribution: Path
    figures: dict[str, Path]
    example: Path
    """A photograph of the validation side, for the input example."""
    output: Path
    spec_hash: str
    model_name: str
    version_tags: dict[str, str]
    """Tags of the model version: download key, DOI, taxonomy release, split hash, data version, ..."""
    metrics: dict[str, float]
    tracking: TrackingSpec


class RegisterResult(_Document):
    """The registered version."""

    mlflow_run_id: str
    model_name: str
    version: str
    model_uri: str
