"""What the documentation prints beside commands, such as statements, settings and units, is run or read as meant."""

import configparser
import csv
import io
import json
import re
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import duckdb
import pyarrow as pa
import pyarrow.parquet
import pytest
import yaml
from PIL import Image

from docs.pictures import draw_answer
from pipeline.config.settings import COL_XR_CHECKLIST, load_settings
from pipeline.folder.table import read_table
from pipeline.gbif.scope import search_parameters
from pipeline.tables import CONTRACTS
from tests.docs.own_tests import RUN
from tests.docs.printed import PAGES, ROOT, Block, blocks, text_of
from tests.docs.test_printed_commands import read_naturewatch

ROWS: dict[str, dict[str, Any]] = {
    "split": {"photo_id": "7", "class_id": 0, "split": "validation", "path": "photos/aa/photo.jpg"},
    "taxonomy": {"class_id": 0, "name": "Nestor notabilis", "rank": "species"},
    "photos": {"photo_id": "7", "status": "ok", "bytes": 41_000},
    "rejections": {"stage": "clean_occurrences", "key": "1", "rule": "hybrid", "detail": "Coprosma x cunninghamii"},
    "attribution": {"photo_id": "7", "rights_holder": "A. Ngata", "licence": "CC-BY"},
    "species": {"species": "Nestor notabilis", "family": "Strigopidae", "photos": 1, "observations": 1},
}
"""One row of the tables that the statements read; what is not named is null."""


@pytest.fixture
def tables(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A data root `data/sample` in the present folder, with every table of the contract and a network's answers."""
    root = tmp_path / "data" / "sample"
    (root / "tables").mkdir(parents=True)
    for name, contract in CONTRACTS.items():
        schema = contract.schema.with_metadata({"gbif_doi": "10.15468/dl.xxxxxx"})
        if {"gbif_doi"} & set(schema.names) or name in ROWS:
            table = pa.Table.from_pylist([ROWS[name]], schema=schema)
        else:
            table = schema.empty_table()
        pa.parquet.write_table(table, root / "tables" / f"{name}.parquet")
    for network in ("baseline", "genus_stage"):
        folder = root / "models" / network / "0123456789abcdef"
        folder.mkdir(parents=True)
        answers = pa.table({"photo_id": ["7"], "class_id": [0], "predicted_class_id": [0]})
        pa.parquet.write_table(answers, folder / "validation.parquet")
    (root / "photos" / "aa").mkdir(parents=True)
    (root / "photos" / "aa" / "photo.jpg").write_bytes(b"a photograph")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_statements_run_on_the_tables(tables: Path) -> None:
    statements = [each for block in blocks("sql") for each in block.text.split(";") if each.strip()]
    answers = [[] if (answer := duckdb.sql(each)) is None else answer.fetchall() for each in statements]
    assert len(answers) >= 9
    rows = [row for answer in answers for row in answer]
    assert ("hybrid", "Coprosma x cunninghamii", "https://www.gbif.org/occurrence/1") in rows
    assert ("Nestor notabilis", 0, 1) in rows, "training and validation photographs of a species"
    assert [row for row in rows if row[0] in {"baseline", "genus_stage"}] == [
        ("baseline", "Nestor notabilis", 1, 100.0)
    ]
    with (tables / "attribution.csv").open() as written:
        assert [row["rights_holder"] for row in csv.DictReader(written)] == ["A. Ngata"]


def test_python_runs_on_the_tables(tables: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for block in (block for block in blocks("python") if block.page not in RUN):
        exec(compile(block.text, str(block), "exec"), {"__name__": "__main__"})
    assert "Nestor notabilis" in capsys.readouterr().out
    assert {path.stem for path in (tables / "csv").glob("*.csv")} == set(CONTRACTS)
    assert (tables / "Nestor notabilis" / "7.jpg").read_bytes() == b"a photograph"


def scopes() -> list[Block]:
    return [block for block in blocks("yaml") if "\ndata_root:" in f"\n{block.text}"]


@pytest.mark.parametrize("block", scopes(), ids=str)
def test_a_scope_is_a_scope(block: Block, tmp_path: Path) -> None:
    (tmp_path / "scope.yaml").write_text(block.text)
    assert load_settings(tmp_path / "scope.yaml").name == yaml.safe_load(block.text)["name"]


def test_parts_of_a_scope_fit_into_one(tmp_path: Path) -> None:
    parts = [block for block in blocks("yaml") if block not in scopes() and not block.text.startswith("storage:")]
    assert parts
    for block in parts:
        (tmp_path / "scope.yaml").write_text(f"name: part\ndata_root: data/part\n{block.text}")
        load_settings(tmp_path / "scope.yaml")


def test_what_is_put_into_dagster_s_configuration_is_yaml_that_it_suggests() -> None:
    (block,) = (block for block in blocks("yaml") if block.text.startswith("storage:"))
    assert f"# {block.text.strip()}" in (ROOT / "dagster_home" / "dagster.yaml").read_text()


def test_the_tutorial_counts_what_its_scope_asks_for(tmp_path: Path) -> None:
    birds = next(block for block in scopes() if "ie-birds" in block.text)
    (tmp_path / "scope.yaml").write_text(birds.text)
    source = load_settings(tmp_path / "scope.yaml").source
    match, count = (urlsplit(block.text.strip()) for block in blocks("url", page="docs/tutorial.md"))
    asked = {name: value if isinstance(value, list) else [value] for name, value in search_parameters(source).items()}
    assert parse_qs(count.query) == {**asked, "limit": ["0"]}
    assert f"https://{count.netloc}{count.path}" == f"{source.api_url}/occurrence/search"
    assert parse_qs(match.query) == {"scientificName": ["Aves"], "checklistKey": [COL_XR_CHECKLIST]}


def test_the_key_of_birds_is_what_gbif_answered(shared: Path) -> None:
    recorded = json.loads((shared / "gbif" / "species" / "rgbif__name_backbone__7.json").read_text())
    address = urlsplit(blocks("url", page="docs/tutorial.md")[0].text.strip())
    asked = urlsplit(recorded["_request"]["uri"])
    assert (address.netloc, address.path) == (asked.netloc, asked.path)
    assert parse_qs(address.query).items() <= parse_qs(asked.query).items()
    printed = json.loads(next(block.text for block in blocks("json", page="docs/tutorial.md") if "usage" in block.text))
    assert printed["usage"].items() <= recorded["_response"]["usage"].items()


def test_json_is_json() -> None:
    assert [json.loads(block.text) for block in blocks("json")]


def test_a_list_of_photographs_is_read(tmp_path: Path) -> None:
    (block,) = blocks("csv")
    (tmp_path / "photographs.csv").write_text(block.text)
    assert [line.values["species"] for line in read_table(tmp_path / "photographs.csv").rows()] == [
        row["species"] for row in csv.DictReader(io.StringIO(block.text))
    ]


def test_units_start_what_there_is() -> None:
    started = []
    for block in blocks("ini"):
        unit = configparser.ConfigParser(interpolation=None)
        unit.optionxform = str  # type: ignore[assignment,method-assign]
        unit.read_string(block.text)
        if unit.has_option("Service", "ExecStart"):
            program, *arguments = unit["Service"]["ExecStart"].split()
            assert program.endswith("/.venv/bin/naturewatch")
            started.append(read_naturewatch(arguments, of=block).command)
            if started[-1] == "ui":
                assert unit["Service"]["SuccessExitStatus"] == "143", "SIGTERM ends the command with 128 + 15"
    assert started == ["ui", "refresh"]


def test_a_container_starts_what_there_is() -> None:
    (block,) = blocks("dockerfile")
    words = [json.loads(found) for found in re.findall(r"^(?:ENTRYPOINT|CMD) (.*)$", block.text, re.MULTILINE)]
    (program, *arguments) = [word for part in words for word in part]
    assert program == "naturewatch"
    assert read_naturewatch(arguments, of=block).command == "ui"


def test_the_picture_of_the_flow_shows_the_assets_of_today() -> None:
    from docs.pictures import draw_flow  # noqa: PLC0415 (it reads the configuration, which the environment may name)

    drawn = draw_flow.FILE.read_text()
    groups, _ = draw_flow.graph()
    assert [name for name in groups if f">{name}</text>" not in drawn] == []
    assert drawn == draw_flow.draw(), "docs/pictures/draw_flow.py draws it anew"


@pytest.mark.parametrize("page", PAGES)
def test_pictures_are_there_and_described(page: str) -> None:
    sized = re.findall(r'<img src="([^"]+)" width="\d+" alt="([^"]+)">', text_of(page))
    assert len(sized) == text_of(page).count("<img")
    for words, file in [*re.findall(r"!\[([^\]]*)\]\(([^)]+)\)", text_of(page)), *((alt, src) for src, alt in sized)]:
        assert len(words) > 20, f"{page}: {file} needs words for those who do not see it"
        assert (ROOT / page).parent.joinpath(file).is_file()


def test_answers_are_drawn_with_and_without_a_taxon(tmp_path: Path) -> None:
    Image.new("RGB", (40, 30), "green").save(tmp_path / "photo.jpg")
    path = [
        {"rank": "kingdom", "name": "Animalia", "probability": 0.9},
        {"rank": "genus", "name": "A", "probability": 0.7},
    ]
    top = [{"rank": "species", "name": "A b", "probability": 0.4}]
    common = {"photo": str(tmp_path / "photo.jpg"), "threshold": 0.6, "top": top}
    genus = {**common, "rank": "genus", "taxon": "A", "probability": 0.7, "lineage": path}
    nothing = {**common, "rank": None, "taxon": None, "probability": 1.0, "lineage": []}
    for answers in ([genus], [genus, nothing]):
        with Image.open(draw_answer.draw(answers, file=tmp_path / "answer.png")) as drawn:
            assert drawn.size == (780, 375 * len(answers))
