"""What is kept of a dataset version, in the data root or with a model version: manifest, tables, licences."""

from dataclasses import dataclass
from pathlib import Path

from ml.spec import problem_of
from pipeline.dataset.attribution import licence_counts
from pipeline.dataset.manifest import DatasetManifest
from pipeline.errors import TableError
from pipeline.paths import Paths


@dataclass(frozen=True, kw_only=True)
class Kept:
    """A dataset version and the folder with what is kept of it."""

    version: str
    folder: Path

    @classmethod
    def of(cls, paths: Paths, version: str) -> "Kept":
        """What the data root keeps of a version, be it nothing."""
        return cls(version=version, folder=paths.dataset_version(version))

    def manifest(self) -> DatasetManifest:
        """`dataset.json` of the version.

        Raises:
            TableError: it is not kept here, or is damaged.
        """
        path = self.folder / "dataset.json"
        try:
            return DatasetManifest.model_validate_json(path.read_bytes())
        except FileNotFoundError as error:
            raise TableError(
                f"dataset {self.version} is not kept here: there is no {path}; name the --config of its data root"
            ) from error
        except (OSError, ValueError) as error:
            raise TableError(f"cannot read {path}: {problem_of(error)}; restore it from a copy") from error

    def licences(self) -> dict[str, int] | None:
        """Photographs under each licence, the most frequent first; None where the table is not kept."""
        table = self.folder / "attribution.parquet"
        return licence_counts(table) if table.exists() else None

    def table(self, name: str) -> Path | None:
        """A kept table; None where it is not kept."""
        path = self.folder / f"{name}.parquet"
        return path if path.exists() else None
