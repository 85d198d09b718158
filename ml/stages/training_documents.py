"""What a child that trains a network is asked, and what it made."""

from pathlib import Path
from typing import Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from ml.choices import Share, TrainingOptions
from ml.documents import Document, Result, problem_of
from ml.stages.stage_documents import NetworkName, Rank, StageSpec


class WarmStart(Document):
    """The trained network that a refresh goes on from, and where its classes went."""

    network: Path
    """Its `network.json`."""
    weights: Path
    """Its `weights.safetensors`."""
    taxonomy: Path
    """The `taxonomy.parquet` that it was trained with."""
    class_map: Path
    """`class_map.parquet`: old_class_id, new_class_id, change, occurrences; from `taxonomy` to that of the training."""
    mixing: float = Field(default=0.5, ge=0, le=1)
    """The paper's a for rows of new species: 1 starts them as their relatives' mean, 0 by chance."""
    share: Share = 1 / 3
    """Steps, at most, as a share of those of a training from nothing."""


class _Described(BaseModel):
    """The part of `network.json` that can be compared before a training is asked for."""

    model_config = ConfigDict(extra="ignore", frozen=True)

    backbone: str
    image_size: int
    rank: str = "species"


def warm_start_problem(network: Path, *, backbone: str, image_size: int) -> str:
    """Why a training with these settings cannot go on from a trained network; empty where nothing speaks against it.

    The recipe decides the rest (views, head): a network of the same name and recipe is alike, and `python -m ml train`
    refuses one that is not.

    Args:
        network: The trained network's `network.json`.
        backbone: As configured.
        image_size: In pixels.
    """
    try:
        trained = _Described.model_validate_json(network.read_bytes())
    except (OSError, ValueError) as error:
        return f"{network} does not describe a network: {problem_of(error)}"
    wanted = _Described(backbone=backbone, image_size=image_size)
    different = [
        f"{name.replace('_', ' ')} {getattr(trained, name)} instead of {getattr(wanted, name)}"
        for name in _Described.model_fields
        if getattr(trained, name) != getattr(wanted, name)
    ]
    return f"the trained network has {', '.join(different)}" if different else ""


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
    warm_start: WarmStart | None = Field(default=None, exclude_if=lambda value: value is None)
    """The network to go on from, for fewer steps; None: a training from nothing."""
    seed: int

    @model_validator(mode="after")
    def _one_beginning(self) -> Self:
        if self.warm_start is not None and self.parent is not None:
            raise ValueError("warm_start and parent exclude each other: a training goes on from one network")
        return self


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
