"""In the exam a version that knows places is told them, as by a person who gives place and date."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from ml.serving.exam import RAW, run
from ml.serving.identification import Identification
from ml.serving.question import Question
from ml.spec import ExaminedVersion, ExamSpec
from tests.ml.placed import FAR, HOMES
from tests.ml.serving.test_exam import GANNET, KAKA, KEA, MULBERRY, RENAMES, SPLITS, exam_table, photograph
from tests.ml.specificity_fixtures import BIRDS, QUIET, release, rows_of, write_taxonomy

Placed = Mapping[int, tuple[float, float, int | None]]


def write_places(folder: Path, placed: Placed, *, photos: int = 4) -> Path:
    """`places.parquet` of the first photographs: latitude, longitude and day, or nothing."""
    nowhere = (None, None, None)
    rows: list[dict[str, Any]] = [
        dict(zip(("latitude", "longitude", "day"), placed.get(number, nowhere), strict=True))
        | {"occurrence_key": str(number), "uncertainty_m": None}
        for number in range(photos)
    ]
    schema = pa.schema(
        [
            ("occurrence_key", pa.string()), ("latitude", pa.float64()), ("longitude", pa.float64()),
            ("uncertainty_m", pa.float64()), ("day", pa.int32()),
        ]
    )  # fmt: skip
    pq.write_table(pa.Table.from_pylist(rows, schema=schema), folder / "places.parquet")
    return folder / "places.parquet"


def version_of(*, places: bool) -> tuple[str, ExaminedVersion]:
    spec, version = release(places=places)
    files = Path(spec.tracking.uri.removeprefix("sqlite:///")).parent
    (described,) = files.glob("mlartifacts/**/MLmodel")
    return spec.tracking.uri, ExaminedVersion(
        name=spec.model_name, number=version.version, folder=str(described.parent), identity=f"places {places}"
    )


@pytest.fixture
def spec(tmp_path: Path) -> ExamSpec:
    registry, version = version_of(places=True)
    pq.write_table(RENAMES.empty_table(), tmp_path / "renames.parquet")
    pq.write_table(SPLITS.empty_table(), tmp_path / "splits.parquet")
    placed = {0: HOMES[0], 1: (*HOMES[1][:2], None), 2: (*FAR, 100)}
    return ExamSpec(
        output=tmp_path / "output", spec_hash="e", exam=exam_table(tmp_path, [KEA, KAKA, GANNET, MULBERRY]),
        taxonomy=write_taxonomy(tmp_path / "taxonomy.parquet", rows_of(BIRDS)), renames=tmp_path / "renames.parquet",
        splits=tmp_path / "splits.parquet", photographs=tmp_path / "photos", answers=tmp_path / "answers",
        registry=registry, target=0.9, challenger=version, places=write_places(tmp_path, placed),
    )  # fmt: skip


def told(path: Path | None) -> dict[tuple[str, str], dict[str, Any]]:
    return {} if path is None else {(row["photo_id"], row["case"]): row for row in pq.read_table(path).to_pylist()}


def test_a_version_answers_what_identify_answers_when_it_is_told_place_and_date(spec: ExamSpec, tmp_path: Path) -> None:
    found = run(spec, reporter=QUIET).challenger
    answers = told(found.placed)
    # The second has no day, and of the fourth nothing is known.
    assert set(answers) == {
        ("0", "place"),
        ("0", "place_and_date"),
        ("1", "place"),
        ("2", "place"),
        ("2", "place_and_date"),
    }
    model = Identification.load(uri=spec.registry, name=spec.challenger.name, alias=spec.challenger.number)
    entry = [("0.jpg", (tmp_path / "photos" / "0.jpg").read_bytes())]
    latitude, longitude, _ = HOMES[0]
    for case, date in (("place", None), ("place_and_date", "2024-01-20")):
        ((_, answer),) = model.answers(entry, Question(place=(latitude, longitude), date=date))
        assert isinstance(answer, dict)
        row = answers["0", case]
        assert (row["answer_name"], row["rank"]) == (answer["taxon"], answer["rank"])
        assert row["answer_probability"] == pytest.approx(answer["probability"])
    alone = {row["photo_id"]: row for row in pq.read_table(found.answers).to_pylist()}
    assert answers["0", "place"]["top_probability"] != alone["0"]["top_probability"]
    # Nothing is known around London: the answer is that of the photograph alone.
    assert answers["2", "place"]["top_probability"] == alone["2"]["top_probability"]


def test_a_place_that_was_corrected_is_asked_about_again_and_the_old_name_is_kept(
    spec: ExamSpec, tmp_path: Path
) -> None:
    run(spec, reporter=QUIET)
    assert run(spec, reporter=QUIET).challenger.asked == 0
    named = exam_table(tmp_path, [KAKA, KAKA, GANNET, MULBERRY])
    write_places(tmp_path, {0: HOMES[1], 1: (*HOMES[1][:2], None), 2: (*FAR, 100), 3: HOMES[3]})
    found = run(spec.model_copy(update={"exam": named}), reporter=QUIET).challenger
    assert found.asked == 2
    assert found.placed is not None
    assert len(told(found.placed)) == len(pq.read_table(found.placed)) == 7
    (first, *_) = pq.read_table(found.answers).to_pylist()
    assert (first["species_key"], first["named_key"]) == (KAKA, KEA)


def test_an_answer_about_a_place_that_does_not_count_any_more_is_not_judged(spec: ExamSpec, tmp_path: Path) -> None:
    run(spec, reporter=QUIET)
    write_places(tmp_path, {0: (*HOMES[0][:2], None), 2: (*FAR, 100)})
    found = run(spec, reporter=QUIET).challenger
    assert found.asked == 0
    assert set(told(found.placed)) == {("0", "place"), ("2", "place"), ("2", "place_and_date")}
    # Nobody is asked anew if it comes back.
    write_places(tmp_path, {0: HOMES[0], 1: (*HOMES[1][:2], None), 2: (*FAR, 100)})
    found = run(spec, reporter=QUIET).challenger
    assert (found.asked, len(told(found.placed))) == (0, 5)


def test_answers_from_before_places_were_known_are_kept(spec: ExamSpec, tmp_path: Path) -> None:
    run(spec.model_copy(update={"places": None}), reporter=QUIET)
    before = pq.read_table(spec.answers / spec.challenger.number / RAW).to_pylist()
    for path in spec.answers.glob("*/raw_placed.parquet"):
        path.unlink()
    exam_table(tmp_path, [KEA, KAKA, GANNET, MULBERRY], path={3: photograph(tmp_path / "photos", 9)})
    found = run(spec, reporter=QUIET).challenger
    assert found.asked == 4
    after = pq.read_table(spec.answers / spec.challenger.number / RAW).to_pylist()
    assert after[:3] == before[:3]
    assert after[3]["path"] == "9.jpg"


def test_a_version_that_knows_no_places_is_told_none(spec: ExamSpec) -> None:
    registry, version = version_of(places=False)
    found = run(spec.model_copy(update={"challenger": version, "registry": registry}), reporter=QUIET).challenger
    assert (found.problem, found.asked, found.placed) == (None, 4, None)
