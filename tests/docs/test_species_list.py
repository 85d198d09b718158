"""The page about lists of places: its commands run as printed on a small world, its columns are those of files."""

import json
import re
from pathlib import Path

import pytest

from pipeline.commands.cli import main
from pipeline.config.settings import Settings
from pipeline.pages.place_rows import SCHEMA
from tests.docs.printed import blocks, prose
from tests.docs.printed import commands as printed
from tests.pipeline.pages.place_world import make_world, record

PAGE = "docs/species-list.md"


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with a scope, where commands are typed: birds in Auckland and in Wellington."""
    settings = Settings(name="made", data_root=tmp_path / "data")
    wellington = record(at=(-41.3, 174.8), event_date="2012-01-31")
    make_world(settings, [record(), wellington, wellington, record("Anas superciliosa", event_date="2011-05")])
    (tmp_path / "made.yaml").write_text(f"name: made\ndata_root: {settings.data_root}\n", encoding="utf-8")
    monkeypatch.setenv("NATUREWATCH_CONFIG", str(tmp_path / "made.yaml"))
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_every_command_and_program_runs_as_printed(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    said = []
    for command in printed():
        if command.block.page != PAGE or command.words[0] == "source":
            continue
        assert command.words[:2] == ("naturewatch", "list")
        assert main([*command.words[1:]]) == 0, str(command)
        said.append(capsys.readouterr().out)
    assert len(said) == 6
    assert "2 species in 2 records" in said[0]
    assert "in December, January and February" in said[1]
    assert json.loads(said[-1])["species"][0]["species"] == "Anas superciliosa"
    assert {path.name for path in here.glob("list.*")} == {"list.html", "list.csv"}
    for block in blocks("python", page=PAGE):
        exec(compile(block.text, str(block), "exec"), {"__name__": "__main__"})
    answer = capsys.readouterr().out
    assert "Anas superciliosa" in answer
    assert "Turdus merula" not in answer


def test_the_columns_of_the_page_are_those_of_the_files() -> None:
    cells = [line.split("|")[1] for line in prose(PAGE).splitlines() if line.startswith("| `")]
    told: list[str] = []
    for cell in cells:
        names = re.findall(r"`(\w+)`", cell)
        if "..." in cell:
            first, last = (SCHEMA.names.index(name) for name in names)
            names = SCHEMA.names[first : last + 1]
        told += names
    assert told == SCHEMA.names
