"""Builds the dataset of a model version again, in a folder of its own, and compares the two.

What the data root still holds is used: the archive of the download, the photographs under their hashes, and what was
noted when they were fetched. What it does not hold is fetched again, from the same download and the same addresses.
"""

import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final

import yaml

from pipeline.config.problems import CONFIG_VARIABLE, LAST_SCOPE_VARIABLE, PREFIX
from pipeline.config.settings import Settings
from pipeline.config.yaml_file import read_mapping
from pipeline.dataset.manifest import DatasetManifest
from pipeline.errors import ConfigurationError, RegistryError, RunError, TableError
from pipeline.files import write_bytes, write_json
from pipeline.gbif.source import RECORD, SourceRecord
from pipeline.paths import PROJECT_ROOT, Paths
from pipeline.provenance.account import Account
from pipeline.provenance.rebuilt import Outcome, compare
from pipeline.registry.commit import code_commit
from pipeline.registry.version_record import CONFIGURATION, configuration

SELECTION: Final = "group:ingest or group:dataset"
"""What is run: everything up to the manifest of the dataset, and its page."""
SCOPE: Final = ("taxon_keys", "country", "years", "licences")
"""What GBIF selected when it made the download: applied to a given download, these keys mean something else."""
DATA: Final = "data"
"""The data root of the rebuilt dataset, below its folder."""
DOWNLOADS: Final = ("download", "replica")
"""Modes whose downloads GBIF keeps under a key."""

Say = Callable[[str], object]


def rebuild(settings: Settings, account: Account, *, folder: Path, say: Say) -> Outcome:
    """Build the dataset of a version below `folder` and compare it.

    Args:
        settings: The configuration, with the data root whose files are used again.
        account: The version.
        folder: Empty, or that of an earlier attempt, which is gone on with.
        say: Receives lines for people.

    Raises:
        RegistryError: the version does not say on which dataset it was trained.
        ConfigurationError: the folder holds other things.
        RunError: the run failed; it has said why.
        TableError: what is kept of the version is damaged.
    """
    if account.dataset is None:
        raise RegistryError(f"version {account.version.version} does not say on which dataset it was trained")
    file = prepare(settings, account, folder=folder, say=say)
    commit = account.version.tags.get("git.commit", "unknown")
    if commit != code_commit():
        say(f"The version was made with the code {commit}, and this is {code_commit()}: if the two datasets differ, "
            "check that commit out and repeat this.")  # fmt: skip
    _run(settings, account, file)
    built = Paths(data_root=folder / DATA)
    before = _attribution(settings.paths, account)
    return compare(
        expected=account.dataset,
        known=account.manifest,
        before=before,
        before_split=_kept(settings.paths, account, "split"),
        built=built,
        manifest=DatasetManifest.read(built),
    )


def prepare(settings: Settings, account: Account, *, folder: Path, say: Say) -> Path:
    """Write the configuration of the rebuild, and bring what the data root still holds.

    Returns:
        `configuration.yaml`, for `naturewatch run --config`.

    Raises:
        ConfigurationError: the folder holds other things.
    """
    file, root = folder / CONFIGURATION, folder / DATA
    if folder.exists() and any(folder.iterdir()) and not file.exists():
        raise ConfigurationError(f"{folder} is not empty; name a new folder for the rebuilt dataset")
    values = _values(settings, account, root=root, scratch=folder, say=say)
    commit = account.version.tags.get("git.commit", "unknown")
    heading = (
        f"# The dataset {account.dataset} of {account.version.name} version {account.version.version}, built again.\n"
        f"# Made with the code {commit}: git checkout {commit}\n"
    )
    write_bytes(file, (heading + yaml.safe_dump(values, sort_keys=False, allow_unicode=True)).encode())
    _bring(settings.paths, Paths(data_root=root), key=values["source"].get("download_key"), say=say)
    return file


def _values(settings: Settings, account: Account, *, root: Path, scratch: Path, say: Say) -> dict[str, Any]:
    """The version's own configuration with another data root, and with its download by key."""
    configured = account.configuration
    if configured is None:
        say("The version was registered before its configuration was kept: the present one is used.")
        configured = read_mapping(write_bytes(scratch / CONFIGURATION, configuration(settings)[0].encode()))
    values: dict[str, Any] = {"name": configured["name"], "data_root": str(root)}
    values |= {name: dict(section) for name, section in configured.items() if isinstance(section, dict)}
    if "contact" in settings.photos.model_fields_set:
        values["photos"]["contact"] = settings.photos.contact
    source, key = values["source"], account.version.tags.get("gbif.download_key")
    if source["mode"] in DOWNLOADS and source.get("download_key") is None and key:
        values["source"] = {name: value for name, value in source.items() if name not in SCOPE} | {"download_key": key}
    if source["mode"] == "search":
        say("A search of GBIF cannot be repeated: the records are today's, and the comparison says what differs.")
    return values


def _bring(old: Paths, new: Paths, *, key: str | None, say: Say) -> None:
    """Hard-link photographs, copy notes of fetches, and take the archive of the download, as far as they are there."""
    if old.photos.is_dir():
        shutil.copytree(old.photos, new.photos, copy_function=_link, dirs_exist_ok=True)
    if old.attempts.is_dir():
        shutil.copytree(old.attempts, new.attempts, dirs_exist_ok=True)
    if key is None:
        return
    # The replica remembers downloads in files; it serves them to the rebuild under their key.
    request = old.replica_state / f"{key}.json"
    if request.exists():
        new.replica_state.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(request, new.replica_state / request.name)
    record = _record(old, key)
    if record is None:
        say(f"The archive of download {key} is not here any more: GBIF is asked for it.")
        return
    archive = new.downloads / key / f"{key}.zip"
    archive.parent.mkdir(parents=True, exist_ok=True)
    if not archive.exists():
        _link(str(old.data_root / record.archive), str(archive))
    moved = record.model_copy(update={"archive": str(archive.relative_to(new.data_root))})
    write_json(archive.parent / RECORD, moved.model_dump(mode="json"))


def _record(paths: Paths, key: str) -> SourceRecord | None:
    """The record of a download whose archive is still in the data root."""
    for path in (paths.current_download, *sorted(paths.downloads.glob(f"*/{RECORD}"))):
        record = SourceRecord.read_file(path)
        if record is not None and record.key == key and (paths.data_root / record.archive).is_file():
            return record
    return None


def _link(source: str, target: str) -> None:
    """A hard link, or a copy on another disk. Nothing writes into these files: they are replaced."""
    try:
        os.link(source, target)
    except FileExistsError:
        return
    except OSError:
        shutil.copy2(source, target)


def _run(settings: Settings, account: Account, file: Path) -> None:
    command = [sys.executable, "-m", "pipeline.commands.cli", "run", "--config", str(file), "--select", SELECTION]
    # What a person reads goes to standard error: the outcome alone is the answer of this command.
    done = subprocess.run(command, env=_environment(settings, account, os.environ), stdout=sys.stderr, check=False)
    if done.returncode != 0:
        raise RunError(
            f"the dataset was not rebuilt: its run ended with status {done.returncode}; what is done is kept, and the "
            "same command goes on from there"
        )


def _environment(settings: Settings, account: Account, given: Mapping[str, str]) -> dict[str, str]:
    """Nothing of this scope, its overrides and its history; but the secrets that the file leaves out."""
    own = {
        name: value
        for name, value in given.items()
        if not name.upper().startswith(PREFIX) and name not in {CONFIG_VARIABLE, "DAGSTER_HOME"}
    }
    present = settings.model_dump(mode="json")
    for name in () if account.record is None else account.record.withheld:
        section, _, key = name.partition(".")
        if section != "registry" and present[section].get(key) is not None:
            own[f"{PREFIX}{section}__{key}".upper()] = str(present[section][key])
    path = [str(PROJECT_ROOT), given.get("PYTHONPATH", "")]
    # The last run is not the one that makes an old dataset again.
    return own | {"PYTHONPATH": os.pathsep.join(filter(None, path)), LAST_SCOPE_VARIABLE: ""}


def _attribution(paths: Paths, account: Account) -> Path:
    kept = _kept(paths, account, "attribution") or account.attribution
    if kept is None:
        raise TableError(
            f"the photographs of dataset {account.dataset} are not known any more: neither the data root nor version "
            f"{account.version.version} has their table"
        )
    return kept


def _kept(paths: Paths, account: Account, name: str) -> Path | None:
    path = paths.dataset_version(str(account.dataset)) / f"{name}.parquet"
    return path if path.exists() else None
