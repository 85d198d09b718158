"""`models/production.json`: which training is released next, how it came about, and why."""

from pathlib import Path
from typing import Literal, Self

from pydantic import BaseModel, ConfigDict

from ml.spec import RESULT_FILE, NetworkName, TrainResult, problem_of
from pipeline.errors import TableError
from pipeline.files import write_json
from pipeline.launching.specs import result_of
from pipeline.paths import Paths

How = Literal["adopted", "continued", "full"]
"""`adopted`: the best of the comparison; `continued`: from the champion's weights; `full`: from nothing."""


class Production(BaseModel):
    """One training, and where it comes from."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    how: How
    network: NetworkName
    spec_hash: str
    """Of the training's specification."""
    folder: Path
    """The training's, below the data root, which may be moved."""
    dataset_version: str
    """What it was trained on."""
    ancestor: str | None = None
    """Number of the model version that it went on from; None where it began from nothing."""
    full_photos: int
    """Training photographs of the last training from nothing among it and its ancestors."""
    first_weights: str | None = None
    """`training.weights` of that training; None where it is not known."""
    reason: str
    """Why this training, in one sentence for people."""

    @classmethod
    def read(cls, paths: Paths) -> Self:
        """Read `production.json`.

        Raises:
            TableError: it was not written yet, is damaged, or was written by another version.
        """
        try:
            return cls.model_validate_json(paths.production.read_bytes())
        except FileNotFoundError as error:
            raise TableError(f"{paths.production} is missing; materialise the asset production") from error
        except (OSError, ValueError) as error:
            problem = f"cannot read {paths.production}: {problem_of(error)}"
            raise TableError(f"{problem}; materialise the asset production again") from error

    def write(self, paths: Paths) -> Path:
        """Write `production.json` and return its path."""
        return write_json(paths.production, self.model_dump(mode="json"))

    def training(self, paths: Paths) -> TrainResult:
        """The result of the training.

        Raises:
            ChildError: it is missing, damaged, or was written by another version.
        """
        return result_of(TrainResult, paths.data_root / self.folder / RESULT_FILE)
