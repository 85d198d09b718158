"""Which registered versions are judged on the exam, and where what was concluded of the challenger is written.

How it is concluded is in `pipeline.exam`; promotion is in `pipeline.registry.promotion`.
"""

import datetime as dt
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from ml.spec import ExaminedVersion
from pipeline.config.settings import Settings
from pipeline.errors import RegistryError
from pipeline.exam.decision import Decision
from pipeline.registry.promotion import CHALLENGER, CHAMPION, PASSED, under_alias
from pipeline.tracking.runs import client, log_files
from pipeline.tracking.tags import EXAM, GATE, GATE_REASONS, PROMOTED_AT, REPLACED

if TYPE_CHECKING:
    from mlflow.entities.model_registry import ModelVersion
    from mlflow.tracking import MlflowClient

REFUSED: Final = "refused"
"""Value of the tag `GATE` of a version that is not good enough."""
REMEMBERED: Final = dt.timedelta(days=365)
"""For how long a former champion is compared with."""
_NEVER: Final = dt.datetime.min.replace(tzinfo=dt.UTC)
LONGEST: Final = 5_000
"""Characters of the reasons on a version; all of them are in `exam/decision.json` of its run."""


@dataclass(frozen=True, kw_only=True)
class Contenders:
    """The versions of one exam."""

    challenger: ExaminedVersion
    challenger_run: str | None
    """The MLflow run that registered the challenger."""
    champion: ExaminedVersion | None
    rivals: tuple[ExaminedVersion, ...]
    """Other champions of the last year, the latest first."""

    @property
    def identities(self) -> dict[str, str]:
        """What each number stands for."""
        shown = (self.challenger, *((self.champion,) if self.champion is not None else ()), *self.rivals)
        return {version.number: version.identity for version in shown}


def contenders(settings: Settings, *, now: dt.datetime) -> Contenders:
    """The challenger, the champion, and who was the champion in the last year.

    Raises:
        RegistryError: there is no challenger.
    """
    connected, name = client(settings), settings.registry.model_name
    challenger, champion = (under_alias(connected, name, alias) for alias in (CHALLENGER, CHAMPION))
    if challenger is None:
        raise RegistryError(f"{name!r} has no version under the alias {CHALLENGER}; materialise the asset candidate")
    present = {str(version.version) for version in (challenger, champion) if version is not None}
    versions = _versions(connected, name)
    recent = [version for version in versions if (_promoted(version) or _NEVER) >= now - REMEMBERED]
    # What a recent champion replaced was the champion until then, since whenever.
    numbers = {str(version.version) for version in recent} | {version.tags.get(REPLACED, "") for version in recent}
    rivals = [version for version in versions if str(version.version) in numbers - present]
    return Contenders(
        challenger=_examined(connected, challenger),
        challenger_run=challenger.run_id or None,
        champion=None if champion is None else _examined(connected, champion),
        rivals=tuple(
            _examined(connected, version)
            for version in sorted(rivals, key=lambda version: int(version.version), reverse=True)
        ),
    )


def record_decision(settings: Settings, decision: Decision, *, run_id: str | None, files: Mapping[str, Path]) -> None:
    """Write what was concluded on the challenger's version, and the numbers and files into its run.

    Args:
        settings: The configuration.
        decision: What was concluded.
        run_id: The run that registered the version; without one, only the version is tagged.
        files: Files by their place among the run's artifacts.
    """
    connected, name = client(settings), settings.registry.model_name
    tags = {
        GATE_REASONS: "\n".join(decision.reasons)[:LONGEST],
        EXAM: str(decision.exam),
        # Last: a version that has it has the others.
        GATE: PASSED if decision.passed else REFUSED,
    }
    if run_id is not None:
        _log_numbers(connected, run_id, _numbers(decision))
        log_files(settings, run_id, files)
    for key, value in tags.items():
        connected.set_model_version_tag(name, decision.challenger, key, value)


def _numbers(decision: Decision) -> dict[str, float]:
    """`exam/top1`, `exam/change/top1`, ... against the champion, or alone; groups are in the page."""
    verdicts = decision.comparisons[0].verdicts if decision.comparisons else decision.own
    own = {f"exam/{each.metric}": each.challenger for each in verdicts if each.metric != "group"}
    gained = {f"exam/change/{each.metric}": each.change for each in verdicts if each.metric != "group"}
    return {name: value for name, value in {**own, **gained}.items() if value is not None}


def _log_numbers(connected: "MlflowClient", run_id: str, numbers: Mapping[str, float]) -> None:
    from mlflow.entities import Metric  # noqa: PLC0415 (see `pipeline.tracking.runs.client`)

    now = int(time.time() * 1000)
    connected.log_batch(run_id, metrics=[Metric(name, value, now, 0) for name, value in numbers.items()])


def _versions(connected: "MlflowClient", name: str) -> "list[ModelVersion]":
    found: list[ModelVersion] = []
    condition = "name = '" + name.replace("'", "''") + "'"
    page = connected.search_model_versions(condition)
    found += page
    while page.token:
        page = connected.search_model_versions(condition, page_token=page.token)
        found += page
    return found


def _promoted(version: "ModelVersion") -> dt.datetime | None:
    """When a version became the champion last; None where it never was, or its tag is not a time."""
    try:
        when = dt.datetime.fromisoformat(version.tags[PROMOTED_AT])
    except (KeyError, ValueError):
        return None
    return when if when.tzinfo is not None else when.replace(tzinfo=dt.UTC)


def _examined(connected: "MlflowClient", version: "ModelVersion") -> ExaminedVersion:
    """A version for the exam. In a registry that was begun anew its number stands for another one."""
    return ExaminedVersion(
        name=version.name,
        number=str(version.version),
        folder=connected.get_model_version_download_uri(version.name, str(version.version)),
        identity=identity_of(version),
    )


def identity_of(version: "ModelVersion") -> str:
    """What the number of a version stands for, which another registry may give to another version."""
    return f"MLflow run {version.run_id}" if version.run_id else f"registered at {version.creation_timestamp}"
