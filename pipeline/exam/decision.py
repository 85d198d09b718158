"""`decision.json`: whether a challenger passed the gate, metric by metric, with intervals and sentences.

How the numbers come about is in `pipeline.exam.judgement`; moving the alias is the registry's.
"""

import math
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from ml.spec import Case, problem_of
from pipeline.config.settings import Settings
from pipeline.errors import RegistryError
from pipeline.files import write_json
from pipeline.paths import Paths

Kind = Literal["top1", "macro_top1", "depth", "promise", "earlier_names", "group"]
"""The metrics of the gate, as the section `gate` of the configuration names them. `earlier_names` is top-1 by what the
photographs were called when the other version was put to the exam; what is wanted of it is what is wanted of top-1."""


class _Record(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Verdict(_Record):
    """One metric of the challenger against one other version, on the photographs whose species both know."""

    metric: Kind
    title: str
    """For people; a group's is its name."""
    case: Case = "neither"
    """What the versions were told beside the photographs: where they were taken, where and when, or neither."""
    challenger: float | None
    """None where it could not be measured."""
    other: float | None
    """Of the other version; None where there is none, or where it could not be measured."""
    change: float | None
    low: float | None
    """Ends of the 95 % interval of the change: paired bootstrap over observations."""
    high: float | None
    photos: int
    observations: int
    threshold: float | None
    """The least value, whatever the other version reaches (`gate.<metric>.threshold`)."""
    min_absolute_change: float | None
    """The least change (`gate.<metric>.min_absolute_change`)."""
    passed: bool
    sentence: str


class OnlyOne(_Record):
    """What a version answers on photographs of species that it alone knows. Reported, not judged."""

    version: str
    species: int
    photos: int
    top1: float | None
    """Share with the right species; None without photographs."""
    promise: float | None
    """Share of answers at the target that are right."""


class Comparison(_Record):
    """The challenger against one other version."""

    other: str
    """The version's number."""
    role: Literal["champion", "best"]
    """The present champion, or the best champion of the last year."""
    photos: int
    """Photographs of species that both know, and that both answered."""
    species: int
    verdicts: tuple[Verdict, ...]
    only: tuple[OnlyOne, ...]

    @property
    def passed(self) -> bool:
        """Whether there was something to judge, and every metric passed."""
        return bool(self.verdicts) and all(verdict.passed for verdict in self.verdicts)


class Decision(_Record):
    """Whether a challenger may become the champion."""

    challenger: str
    """Number of the version."""
    champion: str | None
    """Number of the present champion; None where there is none."""
    exam: int
    """Version of the exam."""
    passed: bool
    reasons: tuple[str, ...]
    """A sentence for each metric and each special case; those of what failed come first."""
    target: float
    """The accuracy that was asked for."""
    own: tuple[Verdict, ...] = ()
    """The challenger's own numbers, where there is no champion to compare them with."""
    comparisons: tuple[Comparison, ...] = ()
    notes: tuple[str, ...] = ()
    """What is worth knowing and decides nothing: versions that could not be judged."""
    versions: dict[str, str] = Field(default={})
    """What each number stands for: `MLflow run <id>`; numbers may be given anew in another registry."""

    @property
    def failed(self) -> tuple[str, ...]:
        """The sentences of what the challenger failed."""
        failed = [
            verdict.sentence
            for verdicts in (self.own, *(each.verdicts for each in self.comparisons))
            for verdict in verdicts
            if not verdict.passed
        ]
        return tuple(failed) if failed or self.passed else self.reasons[:1]

    def write(self, paths: Paths) -> None:
        """Write `decision.json` atomically."""
        write_json(paths.exam_decision, self.model_dump(mode="json"))


def read_decision(settings: Settings) -> Decision:
    """The last decision of the gate.

    Raises:
        RegistryError: there is none yet, it is damaged, or another version wrote it.
    """
    path = settings.paths.exam_decision
    try:
        return Decision.model_validate_json(path.read_bytes())
    except FileNotFoundError as error:
        raise RegistryError(f"{path} is missing; materialise the asset exam_answers") from error
    except (OSError, ValueError) as error:
        raise RegistryError(
            f"cannot read {path}: {problem_of(error)}; materialise the asset exam_answers again"
        ) from error


def measured(value: float) -> float | None:
    """A number as JSON holds it: None for what could not be measured."""
    return value if math.isfinite(value) else None
