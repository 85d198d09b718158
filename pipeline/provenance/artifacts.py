"""The files of a registered model version, wherever the registry keeps them."""

from pathlib import Path
from typing import TYPE_CHECKING, Final
from urllib.parse import unquote, urlsplit

from pipeline.config.settings import Settings

if TYPE_CHECKING:
    from mlflow.entities.model_registry import ModelVersion
    from mlflow.tracking import MlflowClient

FOLDER: Final = "artifacts"
"""Below the model: what NatureWatch put there."""
REQUIREMENTS: Final = "requirements.txt"
"""Beside it: what MLflow says the version was made with, also for those registered before the environment was kept."""


class Artifacts:
    """Reads single files of a version; of another store they are copied to `scratch`."""

    def __init__(
        self, settings: Settings, connected: "MlflowClient", version: "ModelVersion", *, scratch: Path
    ) -> None:
        """Find out where the files are."""
        self._address = f"models:/{version.name}/{version.version}"
        self._uri = settings.tracking_uri
        self._scratch = scratch
        self._location = str(connected.get_model_version_download_uri(version.name, str(version.version)))
        location = urlsplit(self._location)
        self._folder = Path(unquote(location.path)) if location.scheme in {"", "file"} else None

    @property
    def lost(self) -> bool:
        """Whether the files of the version are gone."""
        return self.file("MLmodel") is None

    def named(self, name: str) -> Path | None:
        """A file that NatureWatch put there; None where this version has none."""
        return self.file(f"{FOLDER}/{name}")

    def file(self, place: str) -> Path | None:
        """A file by its place below the model; None where there is none."""
        if self._folder is not None:
            path = self._folder / place
            return path if path.is_file() else None
        import mlflow  # noqa: PLC0415 (see `pipeline.tracking.runs.client`)

        copied = self._scratch / place
        if copied.is_file():
            return copied
        # By its location: for the address of a version, MLflow would ask whichever registry this process used last.
        folder = "/".join([self._location, *place.split("/")[:-1]])
        there = mlflow.artifacts.list_artifacts(artifact_uri=folder, tracking_uri=self._uri)
        if copied.name not in {each.path.rpartition("/")[2] for each in there}:
            return None
        mlflow.artifacts.download_artifacts(
            artifact_uri=f"{self._location}/{place}", dst_path=str(copied.parent), tracking_uri=self._uri
        )
        return copied

    def address(self, name: str) -> str:
        """Where a person finds a file: its path, or its address in the registry."""
        return f"{self._address}/{FOLDER}/{name}" if self._folder is None else str(self._folder / FOLDER / name)
