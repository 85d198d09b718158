"""The record of a derived dataset that was registered with GBIF, beside the dataset version that it stands for."""

from pathlib import Path
from typing import Final, Self

from pydantic import BaseModel, ConfigDict

from ml.spec import problem_of
from pipeline.errors import TableError
from pipeline.files import write_json
from pipeline.paths import Paths

FILE: Final = "derived_dataset.json"


class Registration(BaseModel):
    """`derived_dataset.json`: what GBIF answered."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    doi: str
    citation: str
    title: str
    source_url: str
    """Where the data can be got, as it was told to GBIF."""
    original_doi: str | None
    """Of the download that the dataset was derived from; None for a search."""
    registered: str
    """When (ISO 8601, UTC)."""
    api: str
    """The address that gave the DOI."""

    @classmethod
    def find(cls, paths: Paths, dataset_version: str) -> Self | None:
        """The registration of a dataset version; None where it was not registered from here.

        Raises:
            TableError: the record is damaged.
        """
        path = registration_path(paths, dataset_version)
        try:
            return cls.model_validate_json(path.read_bytes())
        except FileNotFoundError:
            return None
        except (OSError, ValueError) as error:
            raise TableError(f"cannot read {path}: {problem_of(error)}; restore it from a copy") from error

    def write(self, paths: Paths, dataset_version: str) -> Path:
        """Keep it with the dataset version."""
        return write_json(registration_path(paths, dataset_version), self.model_dump(mode="json"))


def registration_path(paths: Paths, dataset_version: str) -> Path:
    """The file of a dataset version's registration."""
    return paths.dataset_version(dataset_version) / FILE
