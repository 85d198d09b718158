"""The champion as what a training may go on from: where its files are, and how it was trained."""

import json
import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Final, cast, get_args
from urllib.parse import unquote, urlsplit

import yaml

from ml.spec import RESULT_FILE, NetworkName, TrainResult
from pipeline.config.settings import Settings
from pipeline.errors import ChildError, NatureWatchError
from pipeline.files import sha256_of
from pipeline.launching.specs import result_of
from pipeline.production.choice import Champion
from pipeline.production.production_specs import Ancestor, training_folder
from pipeline.production.record import How
from pipeline.registry.promotion import champion_of
from pipeline.tracking import tags
from pipeline.tracking.runs import client

if TYPE_CHECKING:
    from mlflow.entities.model_registry import ModelVersion

FILES: Final = ("network", "weights", "taxonomy")
"""What training goes on from."""


class LostError(NatureWatchError):
    """Files of a registered version are gone or damaged."""


def champion_facts(settings: Settings) -> Champion | None:
    """What decides of the champion whether training goes on from it; None where there is none.

    Raises:
        TrackingError: MLflow's store is damaged.
        RegistryError: its server does not answer.
    """
    version = champion_of(settings)
    if version is None:
        return None
    found = version.tags
    network = found.get(tags.NETWORK)
    named = cast("NetworkName", network) if network in get_args(NetworkName) else None
    files, lost = None, None
    differs: tuple[str, ...] = ()
    try:
        files = ancestor_of(settings, version)
        differs = _differences(settings, version, files)
    except LostError as error:
        lost = str(error)
    training = found.get(tags.TRAINING)
    return Champion(
        version=str(version.version),
        dataset_version=found.get(tags.DATA_VERSION),
        network=named,
        training=training,
        how=cast("How", found.get(tags.HOW, "full")),
        ancestor=found.get(tags.ANCESTOR),
        full_photos=_full_photos(settings, found),
        first_weights=found.get(tags.FIRST_WEIGHTS),
        top1=None if named is None or training is None else _top1(settings, found, network=named),
        files=files,
        lost=lost,
        differs=differs,
    )


def ancestor_of(settings: Settings, version: "ModelVersion") -> Ancestor:
    """The files of a registered version; those in another store are copied below the data root.

    Raises:
        LostError: files are gone or damaged.
    """
    folder = _folder(settings, version)
    description = folder / "MLmodel"
    try:
        flavour = yaml.safe_load(description.read_text(encoding="utf-8"))["flavors"]["python_function"]
        files = {name: folder / flavour["artifacts"][name]["path"] for name in FILES}
    except (OSError, UnicodeDecodeError, yaml.YAMLError, KeyError, TypeError) as error:
        raise LostError(f"{description} does not describe a model ({type(error).__name__})") from error
    missing = [str(file) for file in files.values() if not file.is_file()]
    if missing:
        raise LostError(f"missing: {', '.join(missing)}")
    return Ancestor(
        version=str(version.version),
        **files,
        identity=version.tags.get(tags.TRAINING) or version.tags.get(tags.SPEC_HASH) or sha256_of(files["weights"]),
    )


def _folder(settings: Settings, version: "ModelVersion") -> Path:
    """The folder of a version on this machine."""
    location = client(settings).get_model_version_download_uri(version.name, str(version.version))
    parts = urlsplit(location)
    if parts.scheme in {"", "file"}:
        return Path(unquote(parts.path))
    return _copied(settings, version, location=location)


def _copied(settings: Settings, version: "ModelVersion", *, location: str) -> Path:
    """Copy a version of another store, unless it was copied before; copies of other versions are removed."""
    import mlflow  # noqa: PLC0415 (see `pipeline.tracking.runs.client`)

    copies = settings.paths.work("ancestor")
    folder = copies / str(version.version)
    whole = folder / "location"
    if not whole.exists() or whole.read_text(encoding="utf-8") != location:
        shutil.rmtree(copies, ignore_errors=True)
        copies.mkdir(parents=True)
        # By its location: for the address of a version, MLflow would ask whichever registry this process used last.
        if not mlflow.artifacts.list_artifacts(artifact_uri=location, tracking_uri=settings.tracking_uri):
            raise LostError(f"{location} holds no file")
        copied = mlflow.artifacts.download_artifacts(
            artifact_uri=location, dst_path=str(copies), tracking_uri=settings.tracking_uri
        )
        Path(copied).rename(folder)
        whole.write_text(location, encoding="utf-8")
    return folder


def _differences(settings: Settings, version: "ModelVersion", ancestor: Ancestor) -> tuple[str, ...]:
    """What is configured otherwise than the version was trained; what nobody knows of it counts as equal."""
    training, found = settings.training, version.tags
    try:
        size = json.loads(ancestor.network.read_text(encoding="utf-8"))["image_size"]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise LostError(f"{ancestor.network} does not describe a network") from error
    recipe_file = training.recipe if isinstance(training.recipe, Path) else None
    pairs = {
        "network": (found.get(tags.NETWORK), settings.refresh.network),
        "backbone": (found.get(tags.BACKBONE), training.backbone),
        "first weights": (found.get(tags.FIRST_WEIGHTS), training.weights),
        "image size": (size, training.image_size),
        # A file of recipes counts by what it says, wherever it lies.
        "recipe": (
            (found.get(tags.RECIPE_HASH, found.get(tags.RECIPE)), sha256_of(recipe_file))
            if recipe_file is not None and tags.RECIPE_HASH in found
            else (found.get(tags.RECIPE), str(training.recipe))
        ),
    }
    return tuple(
        f"{what} {now} instead of {before}"
        for what, (before, now) in pairs.items()
        if before is not None and now is not None and before != now
    )


def _full_photos(settings: Settings, found: dict[str, str]) -> int | None:
    """As the version says; one of earlier code was trained from nothing on its dataset version, which is kept."""
    if tags.FULL_PHOTOS in found:
        return int(found[tags.FULL_PHOTOS])
    kept = settings.paths.dataset_version(found.get(tags.DATA_VERSION, "")) / "dataset.json"
    try:
        return int(json.loads(kept.read_text(encoding="utf-8"))["counts"]["train"])
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _top1(settings: Settings, found: dict[str, str], *, network: NetworkName) -> float | None:
    """Validation top-1 of the version's training, while its files are there."""
    how = cast("How", found.get(tags.HOW, "full"))
    folder = training_folder(settings.paths, network=network, training=found[tags.TRAINING], how=how)
    try:
        return result_of(TrainResult, folder / RESULT_FILE).metrics["top1"]
    except ChildError:
        return None
