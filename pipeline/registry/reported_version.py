"""The version of the registry that the report is about, and where the registry keeps its report."""

import datetime as dt
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from pipeline.config.settings import Settings
from pipeline.errors import RegistryError
from pipeline.production.record import Production
from pipeline.registry.contenders import identity_of
from pipeline.registry.promotion import CHALLENGER, CHAMPION, under_alias
from pipeline.tracking.runs import client, log_files
from pipeline.tracking.tags import EXAM, GATE, GATE_REASONS, REPORT, TRAINING

REPORT_PLACE: Final = "report/report.html"
"""Place of the report among the artifacts of the run that registered the version."""


@dataclass(frozen=True, kw_only=True)
class ReportedVersion:
    """A registered version as the report names it."""

    number: str
    run_id: str | None
    """The MLflow run that registered it."""
    identity: str
    """What the number stands for, as in the answers of the exam."""
    registered: dt.date
    """The day, in UTC."""
    champion: str | None
    """Number of the version that users get at this moment; None before there is one."""
    gate: str | None
    """`passed` or `refused`; None before the exam."""
    reasons: tuple[str, ...] = ()
    """Why, one sentence for each metric."""
    exam: str | None = None
    """The version of the exam that it was judged on."""
    commit: str = "unknown"
    """The code's."""

    @property
    def served(self) -> bool:
        """Whether users get it."""
        return self.champion == self.number


def reported_version(settings: Settings, production: Production) -> ReportedVersion:
    """The version that was registered last, which `production` describes.

    Raises:
        RegistryError: there is no version, or it was made of another training.
    """
    connected, name = client(settings), settings.registry.model_name
    found, champion = (under_alias(connected, name, alias) for alias in (CHALLENGER, CHAMPION))
    if found is None:
        raise RegistryError(f"{name!r} has no version under the alias {CHALLENGER}; materialise the asset candidate")
    # Versions of earlier code do not say which training they were made of.
    if found.tags.get(TRAINING, production.spec_hash) != production.spec_hash:
        raise RegistryError(
            f"version {found.version} of {name!r} was made of another training than {settings.paths.production} "
            "describes; materialise the asset candidate"
        )
    tags = connected.get_run(found.run_id).data.tags if found.run_id else {}
    registered = dt.datetime.fromtimestamp(found.creation_timestamp / 1000, tz=dt.UTC)
    return ReportedVersion(
        number=str(found.version),
        run_id=found.run_id or None,
        identity=identity_of(found),
        registered=registered.date(),
        champion=None if champion is None else str(champion.version),
        gate=found.tags.get(GATE),
        reasons=tuple(found.tags.get(GATE_REASONS, "").splitlines()),
        exam=found.tags.get(EXAM),
        commit=tags.get("git.commit", "unknown"),
    )


def record_report(settings: Settings, version: ReportedVersion, html: Path) -> None:
    """Keep the report with the run that registered the version, and say on the version where it is.

    Args:
        settings: The configuration.
        version: What the report is about; a version without a run gets no report.
        html: The report.
    """
    if version.run_id is None:
        return
    log_files(settings, version.run_id, {REPORT_PLACE: html})
    place = f"runs:/{version.run_id}/{REPORT_PLACE}"
    client(settings).set_model_version_tag(settings.registry.model_name, version.number, REPORT, place)
