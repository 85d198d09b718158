"""What a child that puts model versions to the exam is asked, and what it made."""

from pathlib import Path

from ml.documents import Document, Result
from ml.stages.stage_documents import StageSpec


class ExaminedVersion(Document):
    """A registered version that is to answer."""

    name: str
    """The registered model."""
    number: str
    folder: str
    """Where MLflow says that its files are: a path, or an address of a store."""
    identity: str
    """What the number stands for; answers of another identity are not used again."""


class ExamSpec(StageSpec):
    """Model versions that answer the photographs of the exam."""

    exam: Path
    """`exam.parquet`."""
    taxonomy: Path
    """The present `taxonomy.parquet`: lineages of the present names."""
    renames: Path
    """`renames.parquet`: old_checklist_key, old_taxon_key, checklist_key, taxon_key of species with another key now."""
    splits: Path
    """`splits.parquet`: checklist_key, taxon_key, part_checklist_key, part_taxon_key of species that were divided."""
    places: Path | None = None
    """`places.parquet`: where and when the photographs were taken; without it nobody is told."""
    photographs: Path
    """The folder that the paths of `exam` are relative to."""
    answers: Path
    """The folder with one for each version, where answers are kept from one exam to the next."""
    registry: str
    """The address of the registry that holds the versions."""
    target: float
    """The accuracy that is asked for."""
    challenger: ExaminedVersion
    champion: ExaminedVersion | None = None
    rivals: tuple[ExaminedVersion, ...] = ()
    """Versions that were the champion before. By the answers that are kept, one of them may be better than the
    champion; only the best is asked what it has not answered yet."""


class VersionAnswers(Document):
    """What one version answered."""

    number: str
    answers: Path | None = None
    """Parquet, a row per photograph that is shown and that the version answered: photo_id, observation_id, species_key
    (present), named_key (present key of what it was called when the version was asked), known (whether the version has
    the species as it is understood now), top1_right, top_key, top_name, top_probability, rank, depth,
    answer_name, answer_key, answer_probability, answer_right. None where it answered none."""
    placed: Path | None = None
    """Parquet, as `answers` with a column `case` (`place`, `place_and_date`): what it answered when it was told where
    the photograph was taken, or where and when; a row per case. None where it answered none, or knows no places."""
    asked: int = 0
    """Photographs that went through the network now; the others were answered before."""
    unreadable: int = 0
    """Photographs that could not be decoded; they have no row."""
    target: float | None = None
    """The accuracy that its thresholds stand for: what is asked for, or its own where it cannot reach that."""
    lost: bool = False
    """Whether its files are gone: it cannot be served any more."""
    problem: str | None = None
    """Why it could not be asked."""


class ExamResult(Result):
    """What the versions answered."""

    challenger: VersionAnswers
    champion: VersionAnswers | None = None
    best: VersionAnswers | None = None
    """Of the rivals, where one is better than the champion."""
    notes: tuple[str, ...] = ()
    """Rivals that could not be compared with the champion, and why."""
