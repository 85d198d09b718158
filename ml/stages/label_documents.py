"""What a child that looks for photographs with a wrong name is asked, and what it made."""

from pathlib import Path

from pydantic import Field

from ml.documents import Result
from ml.stages.stage_documents import StageSpec


class LabelQualitySpec(StageSpec):
    """How well the name of each photograph fits what classifiers say that never saw the photograph."""

    split: Path
    """`split.parquet`; both sides are judged."""
    taxonomy: Path
    """`taxonomy.parquet`."""
    photos: Path
    """`index.parquet` of the training photographs' pack."""
    features: Path
    """The folder of embeddings that trainings share; what is missing is computed, its files may be removed."""
    backbone: str
    weights: str
    """Of the backbone, as for a training: photographs of the dataset have taught it nothing."""
    image_size: int
    folds: int = Field(ge=2)
    """Parts of the photographs; each is judged by a classifier that learnt from the others."""
    seed: int
    """Draws the parts."""
    workers: int | None = None
    """Workers that decode photographs; None: as for a training."""


class LabelQualityResult(Result):
    """The judged photographs. Paths are inside the output folder."""

    scores: Path
    """`scores.parquet`, a row per photograph, the most suspicious first; see `ml.label_quality.label_quality_stage`."""
    photos: int
    judged: int
    """Photographs that have features, and whose species other observations show, too."""
    issues: int
    """Photographs that confident learning takes for mislabelled."""
    accuracy: float
    """Share of the judged photographs whose likeliest species is the one that they are under."""
    seconds: float
