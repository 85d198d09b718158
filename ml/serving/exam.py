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
from ml.serving.contestant import PLACED, SCHEMA, Contestant, Row, told_of
from ml.serving.exam_marks import MARKED, MARKED_PLACED, Marker
from ml.serving.exam_places import where_of
from ml.serving.versions import ModelError
from ml.spec import RESULT_FILE, ExaminedVersion, ExamResult, ExamSpec, VersionAnswers

KEPT_AFTER: Final = 4_096
"""Photographs after which answers are written: so much is lost at most when the process is killed."""
RAW: Final = "raw.parquet"
RAW_PLACED: Final = "raw_placed.parquet"
TAXONOMY: Final = "taxonomy.parquet"
ANSWERS: Final = "answers.parquet"
ANSWERS_PLACED: Final = "placed.parquet"
TOLD: Final = ("case", "latitude", "longitude", "uncertainty_m", "day")
"""Columns of `PLACED`: where and when a photograph was said to be taken."""
_IDENTITY, _ASKED_FOR, _TARGET = b"naturewatch.identity", b"naturewatch.asked_for", b"naturewatch.target"


class Kept(NamedTuple):
    """What a version answered so far."""

    rows: list[Row]
    """As `SCHEMA` has them."""
    placed: list[Row]
    """As `PLACED` has them."""
    target: float | None
    """The accuracy that its thresholds stand for; None before it was asked."""


@dataclass(frozen=True, eq=False, kw_only=True)
class Exam:
    """The photographs that are shown, and how answers are marked."""

    spec: ExamSpec
    photographs: list[Row]
    """Rows of `exam.parquet` that are not withdrawn, each with its `where`: an `ml.places.sites.Where`, or None."""
    reporter: Reporter

    def folder(self, version: ExaminedVersion) -> Path:
        """Where the answers of a version are kept."""
        return self.spec.answers / version.number

    def kept(self, version: ExaminedVersion) -> Kept:
        """What a version answered before, asked for the same accuracy; nothing where the number is another's."""
        folder = self.folder(version)
        if not (folder / TAXONOMY).exists():
            return Kept([], [], None)
        facts, rows = _read(folder / RAW, schema=SCHEMA)
        wanted = {_IDENTITY: version.identity.encode(), _ASKED_FOR: repr(self.spec.target).encode()}
        if {key: facts.get(key) for key in wanted} != wanted:
            return Kept([], [], None)
        others, placed = _read(folder / RAW_PLACED, schema=PLACED)
        same = {key: others.get(key) for key in wanted} == wanted
        return Kept(rows, placed if same else [], float(facts[_TARGET]))

    def waiting(self, kept: Kept, contestant: Contestant) -> list[Row]:
        """The photographs that have no answer, or were another file or were taken elsewhere then."""
        answered = {_asked_about(row) for row in kept.rows}
        placed = {(*_asked_about(row), *(row[name] for name in TOLD)) for row in kept.placed}
        return [
            row
            for row in self.photographs
            if _asked_about(row) not in answered
            or any((*_asked_about(row), *(told[name] for name in TOLD)) not in placed for told in contestant.told(row))
        ]

    def still_told(self, placed: Sequence[Row]) -> list[Row]:
        """Answers of versions that were told what is known of place and date now; a record may have been corrected."""
        now = {(*_asked_about(row), *facts.values()) for row in self.photographs for facts in told_of(row["where"])}
        return [row for row in placed if (*_asked_about(row), *(row[name] for name in TOLD)) in now]

    def marker(self, version: ExaminedVersion) -> Marker:
        """Marks what a version answered."""
        return Marker.read(
            self.folder(version) / TAXONOMY,
            present=self.spec.taxonomy,
            renames=self.spec.renames,
            splits=self.spec.splits,
            exam=self.spec.exam,
        )

    def marked(self, marker: Marker, rows: Sequence[Row]) -> list[Row]:
        """Answers with what is right about them, for the photographs that are shown."""
        shown = {_asked_about(row): row for row in self.photographs}
        pairs = ((shown.get(_asked_about(answer)), answer) for answer in rows)
        return [marker.mark(photo, answer) for photo, answer in pairs if photo is not None]

    def write(self, version: ExaminedVersion, kept: Kept) -> None:
        """Keep answers."""
        facts = {_IDENTITY: version.identity, _ASKED_FOR: repr(self.spec.target), _TARGET: repr(kept.target)}
        for name, rows, schema in ((RAW_PLACED, kept.placed, PLACED), (RAW, kept.rows, SCHEMA)):
            with replacing(self.folder(version) / name) as partial:
                table = pa.Table.from_pylist(rows, schema=schema).sort_by("photo_id")
                pq.write_table(table.replace_schema_metadata(facts), partial, compression="zstd")


def run(spec: ExamSpec, *, reporter: Reporter) -> ExamResult:
    """Put versions to the exam and write `result.json` last.

    A version that cannot be asked is reported, and has the answers that are kept of it.

    Raises:
        MlError: the exam, the taxonomy or the renames are missing or damaged.
    """
    spec.output.mkdir(parents=True, exist_ok=True)
    exam = Exam(spec=spec, photographs=_photographs(spec), reporter=reporter)
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
    marked = exam.marked(exam.marker(version), rows) if rows else []
    return {row["photo_id"]: int(row["top1_right"]) for row in marked if row["known"]}


def _examined(exam: Exam, version: ExaminedVersion) -> VersionAnswers:
    """Ask a version what it has not answered yet, and mark all that it answered."""
    kept = exam.kept(version)
    asked, unreadable, lost, problem = 0, 0, False, None
    try:
        contestant = Contestant.load(version, spec=exam.spec)
    except ModelError as error:
        problem, lost = str(error), isinstance(error.__cause__, FileNotFoundError)
    else:
        waiting = exam.waiting(kept, contestant)
        if waiting or kept.target is None:
            kept, unreadable = _asked(exam, version, contestant, kept=kept, waiting=waiting)
        asked = len(waiting) - unreadable
    said = f"version {version.number}: {asked:,} of {len(exam.photographs):,} photographs asked"
    exam.reporter.info(said if problem is None else f"{said}: {problem}")
    answers, placed = _write_marked(exam, version, kept)
    return VersionAnswers(
        number=version.number, answers=answers, placed=placed, asked=asked, unreadable=unreadable, target=kept.target,
        lost=lost, problem=problem,
    )  # fmt: skip


def _asked(
    exam: Exam, version: ExaminedVersion, contestant: Contestant, *, kept: Kept, waiting: Sequence[Row]
) -> tuple[Kept, int]:
    """All answers of a version, those to `waiting` among them, and how many photographs could not be decoded."""
    folder = exam.folder(version)
    with replacing(folder / TAXONOMY) as partial:
        partial.write_bytes(contestant.taxonomy)
    # What a photograph was called when it was first asked about stays; one that was another file then is asked anew.
    files, waits = {_asked_about(row) for row in waiting}, {row["photo_id"] for row in waiting}
    rows = [row for row in kept.rows if row["photo_id"] not in waits or _asked_about(row) in files]
    answered = {row["photo_id"] for row in rows}
    found = Kept(rows, [row for row in kept.placed if row["photo_id"] not in waits], contestant.target)
    written, unreadable = len(rows), 0
    for batch in contestant.answers(waiting, folder=exam.spec.photographs):
        replies = [reply for reply in batch if reply is not None]
        found.rows.extend(reply.alone for reply in replies if reply.alone["photo_id"] not in answered)
        found.placed.extend(row for reply in replies for row in reply.placed)
        unreadable += len(batch) - len(replies)
        if len(found.rows) - written >= KEPT_AFTER:
            exam.write(version, found)
            written = len(found.rows)
    exam.write(version, found)
    return found, unreadable


def _write_marked(exam: Exam, version: ExaminedVersion, kept: Kept) -> tuple[Path | None, Path | None]:
    """Write `answers.parquet` and `placed.parquet`; where there is no answer, there is no file."""
    if not kept.rows:
        return None, None
    marker, facts = exam.marker(version), {"version": version.number, "target": repr(kept.target)}
    written: list[Path | None] = []
    placed = exam.still_told(kept.placed)
    for name, rows, schema in ((ANSWERS, kept.rows, MARKED), (ANSWERS_PLACED, placed, MARKED_PLACED)):
        marked, path = exam.marked(marker, rows), exam.folder(version) / name
        if marked:
            with replacing(path) as partial:
                pq.write_table(pa.Table.from_pylist(marked, schema=schema).replace_schema_metadata(facts), partial)
        written.append(path if marked else None)
    return written[0], written[1]


def _photographs(spec: ExamSpec) -> list[Row]:
    """The rows of the exam that are shown, with where and when they were taken.

    Raises:
        DataError: a table is missing or damaged.
    """
    columns = ["photo_id", "occurrence_key", "path", "observation_id", "checklist_key", "species_key", "withdrawn"]
    try:
        rows = pq.read_table(spec.exam, columns=columns).to_pylist()
    except (OSError, KeyError, pa.ArrowException) as error:
        raise DataError(f"cannot read the exam {spec.exam}: {error}; materialise the asset exam again") from error
    known = {} if spec.places is None else where_of(spec.places)
    return [row | {"where": known.get(row["occurrence_key"])} for row in rows if row["withdrawn"] is None]


def _asked_about(row: Row) -> tuple[str, str]:
    return row["photo_id"], row["path"]


def _read(path: Path, *, schema: pa.Schema) -> tuple[dict[bytes, bytes], list[Row]]:
    """Facts and rows of kept answers; none where there is no file, or a damaged one: they are computed again."""
    try:
        table = pq.read_table(path)
        return dict(table.schema.metadata or {}), table.select(schema.names).to_pylist()
    except (OSError, KeyError, pa.ArrowException):
        return {}, []
