"""`naturewatch identify` with a place, a date, or the photographs' own EXIF, in all that it writes."""

import csv
import json
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from ml.identify.command import main
from ml.identify.photo_table import in_table
from ml.serving.sighting import Sighting
from tests.ml.gps import placed
from tests.ml.identify.page_stand_in import stand_in
from tests.ml.placed import FAR, HOMES
from tests.ml.specificity_fixtures import release

Captured = pytest.CaptureFixture[str]
HOME = f"{HOMES[0][0]},{HOMES[0][1]}"
"""Where keas live: a value that begins with a minus."""


@pytest.fixture(scope="session")
def placing() -> list[str]:
    """The options that name a registered version that knows places."""
    spec, _ = release(places=True)
    assert spec.tracking is not None
    return ["--tracking-uri", spec.tracking.uri, "--model-name", spec.model_name, "--alias", "challenger"]


@pytest.fixture
def photo(tmp_path: Path) -> Path:
    """A photograph that says that it was taken in Wellington, in November."""
    path = tmp_path / "photo.jpg"
    path.write_bytes(placed(when="2026:11:02 06:07:08"))
    return path


def answers(capsys: Captured, *arguments: str | Path) -> list[dict[str, Any]]:
    assert main([*map(str, arguments), "--json"]) == 0
    found: list[dict[str, Any]] = json.loads(capsys.readouterr().out)
    return found


def test_the_answer_says_what_place_and_season_did(placing: list[str], photo: Path, capsys: Captured) -> None:
    assert main([str(photo), "--place", HOME, "--date", "2025-01-20", *placing]) == 0
    told = " ".join(capsys.readouterr().out.split())
    assert "photographs with their place and date that did not choose it) place and season " in told
    assert main([str(photo), *placing]) == 0
    assert "place" not in capsys.readouterr().out.replace(str(photo), "")


def test_the_exif_of_a_photograph_is_read_only_where_that_is_asked_for(
    placing: list[str], photo: Path, tmp_path: Path, capsys: Captured
) -> None:
    """A photograph of the wrong hemisphere must change nothing on its own."""
    wrong = tmp_path / "wrong.jpg"
    wrong.write_bytes(placed(when="2026:11:02 06:07:08", GPSLatitudeRef="N"))
    alone, elsewhere = answers(capsys, photo, wrong, *placing)
    assert alone["prior"]["case"] == elsewhere["prior"]["case"] == "neither"
    assert alone["prior"]["place"] is elsewhere["prior"]["place"] is elsewhere["prior"]["day"] is None
    assert {**alone, "photo": ""} == {**elsewhere, "photo": ""}
    own, far = answers(capsys, photo, wrong, "--exif", *placing)
    assert (own["prior"]["case"], own["prior"]["day"]) == ("place_and_date", 307)
    assert own["prior"]["place"] == pytest.approx([-41.295, 174.775])
    assert far["prior"]["used"] is False
    assert "km from the nearest occurrence" in far["warnings"][0]["text"] + far["warnings"][1]["text"]


def test_what_is_said_counts_for_more_than_what_the_exif_says(
    placing: list[str], photo: Path, capsys: Captured
) -> None:  # fmt: skip
    (here,) = answers(capsys, photo, "--exif", "--place", HOME, *placing)
    assert here["prior"]["place"] == list(HOMES[0][:2])
    assert here["prior"]["day"] == 307
    (then,) = answers(capsys, photo, "--exif", "--date", "2026-01-01", *placing)
    assert (then["prior"]["place"], then["prior"]["day"]) == (pytest.approx([-41.295, 174.775]), 1)


def test_a_date_without_a_place_is_told_to_change_nothing(placing: list[str], photo: Path, capsys: Captured) -> None:
    assert main([str(photo), "--date", "2024-05-17", *placing]) == 0
    assert "a date without a place changes nothing" in " ".join(capsys.readouterr().out.split())


def test_a_version_without_places_answers_and_says_that_it_knows_none(
    registry: list[str], photo: Path, capsys: Captured
) -> None:
    assert main([str(photo), "--place", HOME, *registry]) == 0
    assert "! this version knows no places" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        (["--place", "174.8,-41.3"], "did you mean -41.3,174.8?"),
        (["--place", "-41.3"], "write latitude and longitude in degrees, as in -41.29,174.78"),
        (["--place", "nan,nan"], "write latitude and longitude"),
        (["--place", "0,0"], "leave the place out"),
        (["--place", HOME, "--date", "yesterday"], "write a date as in 2024-05-17"),
        (["--uncertainty", "30"], "give the place, too"),
        (["--place", HOME, "--uncertainty", "-30"], "is a number of metres up to"),
    ],
)
def test_what_is_no_place_or_no_date_is_told_in_one_sentence_before_any_model(
    photo: Path, options: list[str], reason: str, capsys: Captured
) -> None:
    assert main([str(photo), *options, "--tracking-uri", "sqlite:///none.db"]) == 1
    told = capsys.readouterr()
    assert told.out == ""
    (line,) = told.err.splitlines()
    assert reason in line


def test_tables_have_the_place_and_what_the_photograph_alone_said(
    placing: list[str], photo: Path, tmp_path: Path, capsys: Captured
) -> None:
    outputs = [tmp_path / "answers.csv", tmp_path / "answers.parquet"]
    for output in outputs:
        assert main([str(photo), "--place", HOME, "--output", str(output), *placing]) == 0
    with outputs[0].open(encoding="utf-8", newline="") as stream:
        (row,) = csv.DictReader(stream)
    assert pq.read_table(outputs[1]).to_pylist()[0]["longitude"] == HOMES[0][1]
    (answer,) = answers(capsys, photo, "--place", HOME, *placing)
    prior = answer["prior"]
    assert (row["prior_case"], row["latitude"], row["longitude"]) == ("place", *map(str, HOMES[0][:2]))
    assert (row["day_of_year"], row["prior"], row["alone_taxon"]) == ("", prior["text"], prior["alone"]["taxon"])
    assert float(row["alone_probability"]) == pytest.approx(prior["alone"]["probability"], abs=1e-6)


def test_another_place_is_another_question(placing: list[str], photo: Path, tmp_path: Path, capsys: Captured) -> None:
    output = ["--output", str(tmp_path / "answers.jsonl"), *placing]
    assert main([str(photo), "--place", HOME, *output]) == 0
    assert main([str(photo), "--place", HOME, *output]) == 0
    assert "1 of them by an earlier command" in capsys.readouterr().err
    for other in (["--place", "-41.3,174.8"], ["--place", HOME, "--date", "2024-05-17"], []):
        assert main([str(photo), *other, *output]) == 1
        assert "answers.jsonl was begun with " in capsys.readouterr().err


def test_each_row_of_a_table_may_have_its_own_place(
    placing: list[str], photo: Path, tmp_path: Path, capsys: Captured
) -> None:
    table, output = tmp_path / "table.csv", tmp_path / "answers.jsonl"
    rows = [f"{HOMES[1][0]};{HOMES[1][1]};2024-07-18", ";;2024-07-18", ";;", "174.8;-41.3;", ";;soon"]
    header = "photo;latitude;longitude;event_date\n"
    table.write_text(header + "".join(f"photo.jpg;{row}\n" for row in rows), encoding="utf-8")
    assert main(["--table", str(table), "--place", HOME, "--output", str(output), *placing]) == 1
    own, dated, neither, swapped, undated = map(json.loads, output.read_text(encoding="utf-8").splitlines())
    assert (own["prior"]["place"], own["prior"]["day"]) == (list(HOMES[1][:2]), 200)
    assert (dated["prior"]["place"], dated["prior"]["day"]) == (list(HOMES[0][:2]), 200)
    assert (neither["prior"]["place"], neither["prior"]["day"]) == (list(HOMES[0][:2]), None)
    assert "did you mean -41.3,174.8?" in swapped["error"]
    assert "'soon' is no date" in undated["error"]
    table.write_text(header + f"photo.jpg;{HOMES[2][0]};{HOMES[2][1]};\n", encoding="utf-8")
    assert main(["--table", str(table), "--place", HOME, "--output", str(output), *placing]) == 0
    assert json.loads(output.read_text(encoding="utf-8"))["prior"]["place"] == list(HOMES[2][:2])
    capsys.readouterr()


def test_a_table_has_uncertainties_of_places(tmp_path: Path) -> None:
    table = tmp_path / "table.csv"
    table.write_text(
        "photo,latitude,longitude,uncertainty_m\na,-41.3,174.8,500\nb,,,500\nc,-41.3,174.8,far\n", encoding="utf-8"
    )
    first, second, third = in_table(table)
    assert first.sighting == Sighting((-41.3, 174.8), 500)
    assert second.sighting == Sighting()
    assert "uncertainty_m holds 'far', which is no number of metres" in str(third.source)


def test_photographs_of_one_organism_have_one_place(placing: list[str], tmp_path: Path, capsys: Captured) -> None:
    table = tmp_path / "table.csv"
    (tmp_path / "photo.jpg").write_bytes(placed())
    rows = (f"photo.jpg,kea,{HOME}", "photo.jpg,kea,", f"photo.jpg,kea,{FAR[0]},{FAR[1]}")
    table.write_text(
        "photo,organism,latitude,longitude\n" + "\n".join(rows).replace("kea,\n", "kea,,\n"), encoding="utf-8"
    )
    (answer,) = answers(capsys, "--table", table, "--together-by", "organism", *placing)
    assert (answer["prior"]["case"], answer["prior"]["place"]) == ("place", list(HOMES[0][:2]))
    assert len(answer["photos"]) == 3
    said = [warning["text"] for warning in answer["warnings"] if warning["kind"] == "place"]
    assert "km apart, and one organism has one place: the first place counts, -36.9, 174.8" in said[0]


def test_a_page_that_runs_is_asked_with_the_place(photo: Path, tmp_path: Path, capsys: Captured) -> None:
    spec, result = release(places=True)
    assert spec.tracking is not None
    with stand_in(registry=spec.tracking.uri, name=spec.model_name, version=result.version) as page:
        record = page.record(tmp_path)
        arguments = ["--tracking-uri", spec.tracking.uri, "--model-name", "tiny", "--alias", "challenger"]
        options = ["--place", HOME, "--date", "2024-05-17", "--exif", "--json"]
        assert main([str(photo), "--running", str(record), *options, *arguments]) == 0
        capsys.readouterr()
        asked = json.loads(page.requests[0]["question"])
    assert asked["place"] == list(HOMES[0][:2])
    assert (asked["date"], asked["exif"]) == ("2024-05-17", True)
