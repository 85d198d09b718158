"""Which model version users get: moves the alias `champion`, and writes on the version who moved it and why.

Whether a challenger is good enough is decided in `pipeline.exam`; a person may promote, roll back and pin any version.
The tags are written before the alias is moved, which is one write of the registry: killed in between, the champion is
the one from before, and no champion is ever without them.
"""

import datetime as dt
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final
from urllib.parse import unquote, urlsplit

from ml.spec import sqlite_file
from pipeline.config.settings import Settings
from pipeline.errors import RegistryError
from pipeline.exam.decision import Decision
from pipeline.files import exclusive
from pipeline.tracking.runs import client
from pipeline.tracking.tags import GATE, PINNED, PROMOTED_AT, PROMOTED_BY, PROMOTED_WHY, REPLACED, TAKEN_BACK

if TYPE_CHECKING:
    from mlflow.entities.model_registry import ModelVersion
    from mlflow.tracking import MlflowClient

CHALLENGER: Final = "challenger"
CHAMPION: Final = "champion"
PREVIOUS: Final = "previous"
"""Stands for the version that the champion replaced."""
LONGEST: Final = 1_000
"""Characters of a reason that a person gives."""
PASSED: Final = "passed"
"""Value of the tag `GATE` of a version that is good enough."""


@dataclass(frozen=True, kw_only=True)
class Promotion:
    """What became of the alias `champion`, with version numbers and the reason in one sentence."""

    champion: str | None
    """The version that users get from now on."""
    replaced: str | None
    """The champion before, where there was another."""
    promoted: bool
    """Whether the alias was moved."""
    reason: str


def promote_challenger(settings: Settings, decision: Decision, *, by: str) -> Promotion:
    """Make the challenger the champion if the gate let it pass and no person has pinned the present one.

    Args:
        settings: The configuration.
        decision: What the gate decided.
        by: Who asks, for people.

    Raises:
        RegistryError: there is no challenger, the decision is about other versions than the present ones, or the
            challenger's files are gone.
    """
    connected, name = client(settings), settings.registry.model_name
    with _locked(settings):
        challenger = under_alias(connected, name, CHALLENGER)
        if challenger is None:
            raise RegistryError(
                f"{name!r} has no version under the alias {CHALLENGER}; materialise the asset candidate"
            )
        current = under_alias(connected, name, CHAMPION)
        number, before = str(challenger.version), None if current is None else str(current.version)
        if before == number:
            return _stays(before, f"version {number} is the champion already")
        if (decision.challenger, decision.champion) != (number, before):
            raise RegistryError(
                f"the exam compared version {decision.challenger} with {_called(decision.champion)}, but now version "
                f"{number} challenges {_called(before)}: materialise exam_answers, then champion"
            )
        if not decision.passed:
            return _stays(before, f"version {number} does not replace {_called(before)}: {'; '.join(decision.failed)}")
        if (why := challenger.tags.get(TAKEN_BACK)) is not None:
            return _stays(before, f"version {number} was taken back by a person ({why}): promote it by hand, if at all")
        if (why := pinned(settings)) is not None:
            return _stays(before, f"version {before} is pinned ({why}), so version {number}, which passed, waits")
        _require_files(connected, challenger)
        _move(connected, challenger, by=by, why="; ".join(decision.reasons)[:LONGEST], replaced=before)
    return Promotion(champion=number, replaced=before, promoted=True, reason="; ".join(decision.in_short))


def promote(
    settings: Settings,
    wanted: str,
    *,
    by: str,
    why: str | None = None,
    force: str | None = None,
    pin: str | None = None,
) -> Promotion:
    """Make a version the champion because a person says so, and pin it or free it.

    The version that it replaces is taken back: no refresh promotes it again, although it passed the exam once.

    Args:
        settings: The configuration.
        wanted: Number of a version; `previous`, for the one that the champion replaced; or an alias.
        by: Who asks, for people.
        why: The reason, for people.
        force: Why the version is promoted although it never passed the exam.
        pin: Why no refresh may replace it. Without it, the champion may be replaced from now on.

    Raises:
        RegistryError: there is no such version, its files are gone, or it never passed the exam and is not forced.
    """
    database = sqlite_file(settings.tracking_uri)
    if database is not None and not database.exists():
        raise RegistryError(
            f"there is no registry at {database}: run `naturewatch run` first, or name another --config"
        )
    connected, name = client(settings), settings.registry.model_name
    why, force, pin = (_one_line(text) for text in (why, force, pin))
    with _locked(settings):
        current = under_alias(connected, name, CHAMPION)
        version = version_wanted(connected, name, wanted, champion=current)
        number, before = str(version.version), None if current is None else str(current.version)
        _require_files(connected, version)
        if force is None and number != before and not (version.tags.get(GATE) == PASSED or PROMOTED_AT in version.tags):
            raise RegistryError(f"version {number} {_judged(version)}; `--force REASON` promotes it all the same")
        if pin is not None:
            # It counts for this version alone: killed before the alias moves, nothing is pinned.
            connected.set_registered_model_tag(name, PINNED, f"{number}: {pin}")
        reason = "; ".join(filter(None, [why, force and f"forced: {force}", pin and f"pinned: {pin}"])) or "asked for"
        if number != before:
            if before is not None:
                connected.set_model_version_tag(name, before, TAKEN_BACK, f"{by}: {reason}")
            _move(connected, version, by=by, why=reason, replaced=before)
        if TAKEN_BACK in version.tags:
            connected.delete_model_version_tag(name, number, TAKEN_BACK)
        if pin is None and PINNED in connected.get_registered_model(name).tags:
            connected.delete_registered_model_tag(name, PINNED)
    if number == before:
        return _stays(before, f"version {number} is the champion already ({reason})")
    return Promotion(champion=number, replaced=before, promoted=True, reason=reason)


def champion_of(settings: Settings) -> "ModelVersion | None":
    """The version that users are served; None where there is none yet."""
    return under_alias(client(settings), settings.registry.model_name, CHAMPION)


def pinned(settings: Settings) -> str | None:
    """Why the champion may not be replaced by a refresh; None where it may."""
    connected, name = client(settings), settings.registry.model_name
    champion = under_alias(connected, name, CHAMPION)
    if champion is None:
        return None
    number, _, why = connected.get_registered_model(name).tags.get(PINNED, "").partition(": ")
    return why if number == str(champion.version) else None


def under_alias(connected: "MlflowClient", name: str, alias: str) -> "ModelVersion | None":
    """The version under an alias; None where there is no such model or alias."""
    from mlflow.exceptions import MlflowException  # noqa: PLC0415 (see `pipeline.tracking.runs.client`)

    try:
        return connected.get_model_version_by_alias(name, alias)
    except MlflowException as error:
        if error.error_code in {"RESOURCE_DOES_NOT_EXIST", "INVALID_PARAMETER_VALUE"}:
            return None
        raise


def is_lost(connected: "MlflowClient", version: "ModelVersion") -> bool:
    """Whether a version cannot be served any more, because the folder that it was registered with is gone."""
    location = urlsplit(connected.get_model_version_download_uri(version.name, version.version))
    return location.scheme == "file" and not (Path(unquote(location.path)) / "MLmodel").is_file()


def _locked(settings: Settings) -> AbstractContextManager[None]:
    """Two promotions of one data root happen one after the other."""
    return exclusive(settings.paths.promotion_lock)


def version_wanted(
    connected: "MlflowClient", name: str, wanted: str, *, champion: "ModelVersion | None"
) -> "ModelVersion":
    """The version that a person means: by number, alias, or `previous` for the one that the champion replaced.

    Raises:
        RegistryError: there is no such version.
    """
    from mlflow.exceptions import MlflowException  # noqa: PLC0415 (see `pipeline.tracking.runs.client`)

    if wanted == PREVIOUS:
        if champion is None:
            raise RegistryError(f"{name!r} has no champion yet, and so none before it")
        number = champion.tags.get(REPLACED)
        if number is None:
            raise RegistryError(f"version {champion.version} does not say which one it replaced; name a version")
    elif wanted.isdecimal():
        number = wanted
    else:
        found = under_alias(connected, name, wanted)
        if found is None:
            raise RegistryError(f"{name!r} has no version {wanted!r}: {_versions(connected, name)}")
        return found
    try:
        return connected.get_model_version(name, number)
    except MlflowException as error:
        if error.error_code == "RESOURCE_DOES_NOT_EXIST":
            raise RegistryError(f"{name!r} has no version {number}: {_versions(connected, name)}") from error
        raise


def _versions(connected: "MlflowClient", name: str) -> str:
    """Which versions there are, for a person who named another."""
    numbers = sorted(int(version.version) for version in connected.search_model_versions(f"name = '{name}'"))
    if not numbers:
        return "it has none; `naturewatch run` registers one"
    return f"it has {', '.join(map(str, numbers[-10:]))}{' and earlier ones' if len(numbers) > 10 else ''}"


def _require_files(connected: "MlflowClient", version: "ModelVersion") -> None:
    if is_lost(connected, version):
        raise RegistryError(
            f"version {version.version} cannot be served, for its files are gone: restore "
            f"{connected.get_model_version_download_uri(version.name, version.version)}, or name another version"
        )


def _move(connected: "MlflowClient", version: "ModelVersion", *, by: str, why: str, replaced: str | None) -> None:
    """Write the tags, then move the alias."""
    name, number = version.name, str(version.version)
    tags = {
        PROMOTED_AT: dt.datetime.now(tz=dt.UTC).isoformat(timespec="seconds"),
        PROMOTED_BY: by,
        PROMOTED_WHY: why,
    }
    for key, value in tags.items():
        connected.set_model_version_tag(name, number, key, value)
    if replaced is not None:
        connected.set_model_version_tag(name, number, REPLACED, replaced)
    connected.set_registered_model_alias(name, CHAMPION, number)


def _one_line(reason: str | None) -> str | None:
    """A reason that people gave, as the registry keeps it."""
    if reason is None:
        return None
    line = " ".join(reason.split())
    if not 1 <= len(line) <= LONGEST:
        raise RegistryError(f"a reason must have between 1 and {LONGEST:,} characters")
    return line


def _stays(champion: str | None, reason: str) -> Promotion:
    return Promotion(champion=champion, replaced=None, promoted=False, reason=reason)


def _called(champion: str | None) -> str:
    return "no champion" if champion is None else f"version {champion}"


def _judged(version: "ModelVersion") -> str:
    if GATE not in version.tags:
        return "was never judged on the exam"
    return "did not pass the exam"
