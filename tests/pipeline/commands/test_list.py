"""`naturewatch list`: what it prints and writes, and what it says of wrong questions."""

import csv
import json
import os
import subprocess
import sys
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from pipeline.commands.cli import main
from pipeline.commands.list_text import bars
from pipeline.config.settings import Settings
from pipeline.pages.place_rows import MONTH_COLUMNS, SCHEMA
from tests.pipeline.pages.place_world import AUCKLAND, HIDDEN, KM, make_world, record

SOUTH, EAST = AUCKLAND
PLACE = f"{SOUTH},{EAST}"


@pytest.fixture
def scope(settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The configuration of a world with a species that is learnt, one that is not, and one near by."""
    file = tmp_path / "made.yaml"
    file.write_text(f"name: made\ndata_root: {settings.data_root}\nsplit: {{min_images: 5}}\n", encoding="utf-8")
    records = [
        *[record(event_date="2024-05-01")] * 3, record("Anas rara", event_date="2024-12-01"),
        record("Apteryx mantelli", at=(SOUTH + 20 * KM, EAST), **HIDDEN),
        record("Lucilia sericata", at=(SOUTH + 40 * KM, EAST)),
    ]  # fmt: skip
    make_world(settings, records, photographs={"Anas rara": 3})
    monkeypatch.chdir(tmp_path)
    return file


def ask(scope: Path, *arguments: str, place: str = PLACE) -> int:
    return main(["list", "--place", place, "--config", str(scope), *arguments])


def test_it_prints_the_species_with_their_seasons(scope: Path, capsys: pytest.CaptureFixture[str]) -> None:
    names = scope.with_name("names.csv")
    names.write_text("scientific_name,common_name,language\nTurdus merula,Amsel,de\n", encoding="utf-8")
    assert ask(scope, "--names", str(names), "--language", "de") == 0
    said = capsys.readouterr().out
    lines = [" ".join(line.split()) for line in said.splitlines()]
    assert lines[0] == "Species recorded within 25 km of 36.8° S, 174.7° E"
    assert "Turdus merula Amsel 3 60.0 % ····█······· yes" in lines
    assert "Anas rara 1 20.0 % ···········█ no, lacks 2" in lines
    assert "Apteryx mantelli ~1 20.0 % ····█······· no, lacks 5" in lines
    assert "Lucilia sericata 40 km ····█······· no, lacks 5" in lines
    assert "Records say where people went and what they photographed, not how common a species is." in lines
    assert lines[-1] == "Records: GBIF.org (2026) <Download>"
    assert "There is no model yet, so the species of the dataset are marked" in said
    assert not (scope.parent / "data" / "mlflow.db").exists(), "a list makes no registry"


def test_a_long_list_says_how_to_see_all(scope: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert ask(scope, "--top", "1") == 0
    said = " ".join(capsys.readouterr().out.split())
    assert "and 2 more species: --top 3 lists all, --output FILE.csv writes all" in said
    assert "Anas rara" not in said


def test_an_empty_place_is_an_answer(scope: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert ask(scope, place="52 N, 13 E") == 0
    assert "The nearest, of" in capsys.readouterr().out
    assert ask(scope, "--json", place="-36.8;-180") == 0
    document = json.loads(capsys.readouterr().out)
    assert (document["place"], document["species"], document["completeness"]) == ([-36.8, 180.0], [], None)
    assert document["nearest"]["direction"] == "west"


def test_every_format_has_the_same_rows(scope: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for suffix in ("csv", "parquet", "jsonl", "html"):
        assert ask(scope, "--month", "may", "--output", f"list.{suffix}") == 0
    assert capsys.readouterr().out.splitlines()[0] == "list.csv: 3 species, and 1 near by"
    assert ask(scope, "--month", "5", "--json") == 0
    document = json.loads(capsys.readouterr().out)
    assert (document["months"], document["model"], document["doi"]) == ([4, 5, 6], None, "10.15468/dl.x")
    rows = document["species"]
    assert [(row["found"], row["species"], row["records_in_season"]) for row in rows] == [
        ("here", "Turdus merula", 3), ("here", "Apteryx mantelli", 1), ("other_months", "Anas rara", 0),
        ("near", "Lucilia sericata", 0),
    ]  # fmt: skip
    assert (rows[0]["share"], rows[0][MONTH_COLUMNS[4]], rows[0]["gbif"]) == (
        0.75, 3, "https://www.gbif.org/taxon/search?q=Turdus%20merula",
    )  # fmt: skip
    table = pq.read_table("list.parquet")
    assert table.to_pylist() == rows
    assert table.schema.names == SCHEMA.names
    assert table.schema.metadata[b"doi"] == b"10.15468/dl.x"
    assert [json.loads(line) for line in Path("list.jsonl").read_text().splitlines()] == rows
    with Path("list.csv").open(encoding="utf-8", newline="") as stream:
        read = list(csv.DictReader(stream))
    assert [row["named"] for row in read] == ["true", "false", "false", "false"]
    assert [row["photographs_missing"] for row in read] == ["", "5", "2", "5"]
    assert Path("list.html").read_text(encoding="utf-8").startswith("<!doctype html>")


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--place", "200,3"], "the latitude 200 is not between -90 and 90"),
        (["--place", "nan,3"], "write latitude and longitude in degrees"),
        (["--place", PLACE, "--radius", "nan"], "'nan' is no distance"),
        (["--place", PLACE, "--radius=-1"], "'-1' is no distance"),
        (["--place", PLACE, "--month", "13"], "'13' is no month"),
        (["--place", PLACE, "--month", "ma"], "'ma' is no month"),
        (["--place", PLACE, "--top", "0"], "'0' is no number of species"),
        (["--place", PLACE, "--output", "list.txt"], "must end in .csv, .parquet, .jsonl or .html"),
        ([], "the following arguments are required: --place"),
    ],
    ids=str,
)
def test_a_wrong_question_is_told_in_one_line(
    arguments: list[str], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["list", *arguments])
    complaint = capsys.readouterr().err
    assert (ended.value.code, complaint.count("\n")) == (2, 1)
    assert said in complaint


def test_what_is_missing_is_told_in_one_line(scope: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert ask(scope, "--within", "Turdos") == 1
    assert capsys.readouterr().err == "naturewatch: no record is of the taxon 'Turdos'; did you mean Turdus?\n"
    assert ask(scope, "--names", "none.csv") == 1
    assert capsys.readouterr().err.startswith("naturewatch: cannot read the names none.csv")
    Path("folder.csv").mkdir()
    assert ask(scope, "--output", "folder.csv") == 1
    assert capsys.readouterr().err.startswith("naturewatch: cannot write folder.csv")
    scope.write_text(f"name: made\ndata_root: {scope.parent / 'nothing'}\n", encoding="utf-8")
    assert ask(scope) == 1
    assert "there is no dataset in" in capsys.readouterr().err


def test_the_command_runs_by_itself(scope: Path) -> None:
    answered = subprocess.run(
        [sys.executable, "-m", "pipeline.commands.cli", "list", "--place", PLACE, "--config", str(scope)],
        capture_output=True, text=True, check=False, env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[3])},
    )  # fmt: skip
    assert (answered.returncode, answered.stderr) == (0, "")
    assert "Turdus merula" in answered.stdout


def test_bars_are_as_high_as_the_fullest_month() -> None:
    assert bars([0, 1, 8, 4, 0, 0, 0, 0, 0, 0, 0, 100]) == "·▁▂▁·······█"
    assert bars([0] * 12) == "·" * 12
