"""What a model version keeps of its making, as files beside its weights: configuration, source, snapshot, environment.

`configuration.yaml` has every key that decided, `provenance.json` the rest. Neither holds a secret, an address of this
machine's servers, or a person's e-mail address. `naturewatch provenance` reads them.
"""

import platform
import sys
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any, Final, Self

import yaml
from pydantic import BaseModel, ConfigDict

from ml.spec import TrainResult, problem_of
from pipeline.config.secrets import secret_keys
from pipeline.config.settings import Settings
from pipeline.dataset.manifest import DatasetManifest
from pipeline.errors import TableError
from pipeline.files import write_bytes, write_json
from pipeline.gbif.source import SourceRecord
from pipeline.history.snapshots import Snapshot, read_snapshots
from pipeline.paths import Paths

CONFIGURATION: Final = "configuration.yaml"
RECORD: Final = "provenance.json"
DATASET: Final = "dataset.json"
CROISSANT: Final = "croissant.json"
DISTRIBUTIONS: Final = (
    "naturewatch", "dagster", "duckdb", "mlflow", "numpy", "pillow", "pyarrow", "safetensors", "simplejpeg", "timm",
    "torch", "torchvision",
)  # fmt: skip
"""Packages whose versions can change a result."""
ELSEWHERE: Final = {
    "data_root": None, "registry": ("tracking_uri", "dagster_url", "mlflow_url"), "photos": ("contact",),
}  # fmt: skip
"""What decides nothing, and tells about a machine or a person: whole keys, and keys of sections."""
IF_GIVEN: Final = {"source": ("dataset_key",)}
"""Keys with a meaning of their own when they are given, be it with their default (`pipeline.gbif.scope`)."""


class VersionRecord(BaseModel):
    """`provenance.json`."""

    # Later versions of the record may know more.
    model_config = ConfigDict(frozen=True, extra="ignore")

    source: dict[str, Any]
    """Where the records came from: `download.json` (`pipeline.gbif.source.SourceRecord`)."""
    snapshot: dict[str, Any] | None
    """The last snapshot that was indexed (`pipeline.history.snapshots.Snapshot`)."""
    environment: dict[str, str]
    """Versions of Python, the system and packages."""
    reason: str
    """Why this training was released, in one sentence (`pipeline.production`)."""
    seed: int
    hardware: str | None
    """What the network was trained on."""
    seconds: float | None
    """How long its training took."""
    withheld: list[str]
    """Keys that the configuration leaves out, since their addresses may hold a secret."""

    @classmethod
    def read(cls, path: Path) -> Self:
        """Read a record.

        Raises:
            TableError: it is missing or damaged.
        """
        try:
            return cls.model_validate_json(path.read_bytes())
        except (OSError, ValueError) as error:
            raise TableError(f"cannot read {path}: {problem_of(error)}; the version is damaged") from error


def documents(settings: Settings, manifest: DatasetManifest, *, training: TrainResult, reason: str) -> dict[str, Path]:
    """Write what a new version keeps, and return all of it.

    Args:
        settings: The configuration that it was made with.
        manifest: The dataset version that it was trained on.
        training: What it was made of.
        reason: Why it was made of that.

    Returns:
        Files by the name of their artifact; a description in Croissant only where the dataset has one.

    Raises:
        GbifError: `download.json` is missing.
        OSError: a file cannot be written.
    """
    folder, kept = settings.paths.release, settings.paths.dataset_version(manifest.dataset_version)
    text, withheld = configuration(settings)
    snapshot = _snapshot(settings.paths, manifest)
    record = VersionRecord(
        source=SourceRecord.read(settings.paths).model_dump(mode="json"),
        snapshot=None if snapshot is None else snapshot.model_dump(mode="json"),
        environment=environment(),
        reason=reason,
        seed=settings.training.seed,
        hardware=training.hardware,
        seconds=training.seconds,
        withheld=withheld,
    )
    croissant = kept / CROISSANT
    return {
        "configuration": write_bytes(folder / CONFIGURATION, text.encode()),
        "provenance": write_json(folder / RECORD, record.model_dump(mode="json")),
        "dataset": write_json(folder / DATASET, manifest.model_dump(mode="json")),
        **({"croissant": croissant} if croissant.exists() else {}),
    }


def configuration(settings: Settings) -> tuple[str, list[str]]:
    """The whole configuration as a file for `--config`, but for `data_root`, and the keys that are left out as secrets.

    Every key is in it, so that other defaults of later code change nothing.
    """
    given = settings.model_dump(mode="json", exclude_unset=True)
    values = settings.model_dump(mode="json")
    values["photos"]["hosts"] = given.get("photos", {}).get("hosts", {})
    for section, keys in ELSEWHERE.items():
        for key in keys or ():
            values[section].pop(key, None)
        if keys is None:
            del values[section]
    for section, keys in IF_GIVEN.items():
        for key in set(keys) - given.get(section, {}).keys():
            del values[section][key]
    withheld = list(secret_keys(values))
    for section, key in withheld:
        del values[section][key]
    lines = ["# The configuration that this version was made with: every key, defaults included. data_root is yours."]
    names = [f"{section}.{key}" for section, key in withheld]
    if names:
        lines.append(f"# Left out, since they may hold a secret: {', '.join(names)}")
    return "\n".join([*lines, yaml.safe_dump(values, sort_keys=False, allow_unicode=True)]), names


def environment() -> dict[str, str]:
    """Versions of Python, of the system and of `DISTRIBUTIONS` in this environment, which children share."""
    found = {"python": platform.python_version(), "system": f"{platform.system()} {platform.machine()}"}
    for name in DISTRIBUTIONS:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            # A checkout that is not installed, or a part that is not needed.
            continue
    return found | ({} if sys.implementation.name == "cpython" else {"implementation": sys.implementation.name})


def _snapshot(paths: Paths, manifest: DatasetManifest) -> Snapshot | None:
    """The snapshot of the dataset: the last one that was indexed of its download."""
    found = [each for each in read_snapshots(paths) if manifest.download_key in {each.key, None}]
    return found[-1] if found else None
