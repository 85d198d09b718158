"""`python -m ml exam`: registered versions answer the photographs of the exam, each those that it has not seen yet.

Answers are kept from one exam to the next. How a version answers is in `ml.serving.contestant`, what is right about it
in `ml.serving.exam_marks`.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final, NamedTuple

import pyarrow as pa
import pyarrow.parquet as pq

from ml.child.pipes import Reporter
from ml.errors import DataError
from ml.files import replacing
from ml.serving.contestant import SCHEMA, Contestant, Row
from ml.serving.exam_marks import MARKED, Marker
from ml.serving.versions import ModelError
from ml.spec import RESULT_FILE, ExaminedVersion, ExamResult, ExamSpec, VersionAnswers

KEPT_AFTER: Final = 4_096
"""Photographs after which answers are written: so much is lost at most when the process is killed."""
RAW: Final = "raw.parquet"
TAXONOMY: Final = "taxonomy.parquet"
ANSWERS: Final = "answers.parquet"
_IDENTITY, _ASKED_FOR, _TARGET = b"naturewatch.identity", b"naturewatch.asked_for", b"naturewatch.target"


class Kept(NamedTuple):
    """What a version answered so far."""

    rows: list[Row]
    """As `SCHEMA` has them."""
    target: float | None
    """The accuracy that its thresholds stand for; None before it was asked."""


@dataclass(frozen=True, eq=False, kw_only=True)
class Exam:
    """The photographs that are shown, and how answers are marked."""

    spec: ExamSpec
    photographs: list[Row]
    """Rows of `exam.parquet` that are not withdrawn."""
    reporter: Reporter

    def folder(self, version: ExaminedVersion) -> Path:
        """Where the answers of a version are kept."""
        return self.spec.answers / version.number

    def kept(self, version: ExaminedVersion) -> Kept:
        """What a version answered before, asked for the same accuracy; nothing where the number is another's."""
        facts, rows = _read(self.folder(version) / RAW) if (self.folder(version) / TAXONOMY).exists() else ({}, [])
        wanted = {_IDENTITY: version.identity.encode(), _ASKED_FOR: repr(self.spec.target).encode()}
        if {key: facts.get(key) for key in wanted} != wanted:
            return Kept([], None)
        return Kept(rows, float(facts[_TARGET]))

    def waiting(self, rows: Sequence[Row]) -> list[Row]:
        """The photographs that have no answer among `rows`, or were another file then."""
        answered = {(row["photo_id"], row["path"]) for row in rows}
        return [row for row in self.photographs if (row["photo_id"], row["path"]) not in answered]

    def marked(self, version: ExaminedVersion, rows: Sequence[Row]) -> list[Row]:
        """Answers with what is right about them, for the photographs that are shown."""
        marker = Marker.read(
            self.folder(version) / TAXONOMY, present=self.spec.taxonomy, renames=self.spec.renames, exam=self.spec.exam
        )
        answers = {(row["photo_id"], row["path"]): row for row in rows}
        pairs = ((photo, answers.get((photo["photo_id"], photo["path"]))) for photo in self.photographs)
        return [marker.mark(photo, answer) for photo, answer in pairs if answer is not None]

    def write(self, version: ExaminedVersion, rows: Sequence[Row], *, target: float) -> None:
        """Keep answers."""
        facts = {_IDENTITY: version.identity, _ASKED_FOR: repr(self.spec.target), _TARGET: repr(target)}
        path = self.folder(version) / RAW
        with replacing(path) as partial:
            table = pa.Table.from_pylist(list(rows), schema=SCHEMA).sort_by("photo_id")
            pq.write_table(table.replace_schema_metadata(facts), partial, compression="zstd")


def run(spec: ExamSpec, *, reporter: Reporter) -> ExamResult:
    """Put versions to the exam and write `result.json` last.

    A version that cannot be asked is reported, and has the answers that are kept of it.

    Raises:
        MlError: the exam, the taxonomy or the renames are missing or damaged.
    """
    spec.output.mkdir(parents=True, exist_ok=True)
    exam = Exam(spec=spec, photographs=_photographs(spec.exam), reporter=reporter)
    challenger = _examined(exam, spec.challenger)
    champion, best, notes = None, None, list[str]()
    if spec.champion is not None:
        champion = _examined(exam, spec.champion)
        rival, notes = best_rival(exam, spec.champion)
        best = None if rival is None else _examined(exam, rival)
    result = ExamResult(challenger=challenger, champion=champion, best=best, notes=tuple(notes))
    result.write(spec.output / RESULT_FILE)
    return result


def best_rival(exam: Exam, champion: ExaminedVersion) -> tuple[ExaminedVersion | None, list[str]]:
    """The version that was more often right than the champion, by most, by the answers that are kept.

    Two are compared on the photographs that both answered, of species that both know.

    Returns:
        The rival, None where none is better; and a sentence for each that could not be compared.
    """
    best, most, notes = None, 0.0, []
    ours = _marks(exam, champion)
    for rival in exam.spec.rivals:
        theirs = _marks(exam, rival)
        common = ours.keys() & theirs.keys()
        if not common:
            notes.append(f"version {rival.number}, a champion of the last year, has no answers to compare with")
            continue
        ahead = sum(theirs[photo] - ours[photo] for photo in common) / len(common)
        if ahead > most:
            best, most = rival, ahead
    return best, notes


def _marks(exam: Exam, version: ExaminedVersion) -> dict[str, int]:
    """Photograph -> whether the most probable species was right, where the version knows the species."""
    rows = exam.kept(version).rows
    return (
        {row["photo_id"]: int(row["top1_right"]) for row in exam.marked(version, rows) if row["known"]} if rows else {}
    )


def _examined(exam: Exam, version: ExaminedVersion) -> VersionAnswers:
    """Ask a version what it has not answered yet, and mark all that it answered."""
    kept = exam.kept(version)
    waiting = exam.waiting(kept.rows)
    unreadable, lost, problem = 0, False, None
    try:
        contestant = Contestant.load(version, spec=exam.spec)
    except ModelError as error:
        problem, lost = str(error), isinstance(error.__cause__, FileNotFoundError)
    else:
        if waiting or kept.target is None:
            kept, unreadable = _asked(exam, version, contestant, kept=kept, waiting=waiting)
    asked = 0 if problem is not None else len(waiting) - unreadable
    said = f"version {version.number}: {asked:,} of {len(exam.photographs):,} photographs asked"
    exam.reporter.info(said if problem is None else f"{said}: {problem}")
    return VersionAnswers(
        number=version.number, answers=_write_marked(exam, version, kept), asked=asked, unreadable=unreadable,
        target=kept.target, lost=lost, problem=problem,
    )  # fmt: skip


def _asked(
    exam: Exam, version: ExaminedVersion, contestant: Contestant, *, kept: Kept, waiting: Sequence[Row]
) -> tuple[Kept, int]:
    """All answers of a version, those to `waiting` among them, and how many photographs could not be decoded."""
    folder = exam.folder(version)
    with replacing(folder / TAXONOMY) as partial:
        partial.write_bytes(contestant.taxonomy)
    # A photograph that waits although it has an answer was another file then.
    asked = {row["photo_id"] for row in waiting}
    rows, written, unreadable = [row for row in kept.rows if row["photo_id"] not in asked], 0, 0
    for batch in contestant.answers(waiting, folder=exam.spec.photographs):
        rows += [row for row in batch if row is not None]
        unreadable += sum(row is None for row in batch)
        if len(rows) - written >= KEPT_AFTER:
            exam.write(version, rows, target=contestant.target)
            written = len(rows)
    exam.write(version, rows, target=contestant.target)
    return Kept(rows, contestant.target), unreadable


def _write_marked(exam: Exam, version: ExaminedVersion, kept: Kept) -> Path | None:
    """Write `answers.parquet`; where there is no answer, there is no file."""
    rows = exam.marked(version, kept.rows) if kept.rows else []
    if not rows:
        return None
    path = exam.folder(version) / ANSWERS
    with replacing(path) as partial:
        facts = {"version": version.number, "target": repr(kept.target)}
        pq.write_table(pa.Table.from_pylist(rows, schema=MARKED).replace_schema_metadata(facts), partial)
    return path


def _photographs(exam: Path) -> list[Row]:
    """The rows of the exam that are shown.

    Raises:
        DataError: the table is missing or damaged.
    """
    columns = ["photo_id", "path", "observation_id", "checklist_key", "species_key", "withdrawn"]
    try:
        rows = pq.read_table(exam, columns=columns).to_pylist()
    except (OSError, KeyError, pa.ArrowException) as error:
        raise DataError(f"cannot read the exam {exam}: {error}; materialise the asset exam again") from error
    return [row for row in rows if row["withdrawn"] is None]


def _read(path: Path) -> tuple[dict[bytes, bytes], list[Row]]:
    """Facts and rows of kept answers; none where there is no file, or a damaged one: they are computed again."""
    try:
        table = pq.read_table(path)
        return dict(table.schema.metadata or {}), table.select(SCHEMA.names).to_pylist()
    except (OSError, KeyError, pa.ArrowException):
        return {}, []
