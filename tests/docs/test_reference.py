"""The reference pages say what the settings model and the argument parsers say."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from pydantic import BaseModel

from docs.reference import DOCS, PAGES, commands, configuration, page
from pipeline.commands.cli import HANDED_OVER, OWN
from pipeline.config.settings import Settings


@pytest.mark.parametrize("name", PAGES)
def test_a_page_is_up_to_date(name: str) -> None:
    written = (DOCS / name).read_text(encoding="utf-8")
    assert written == page(name), f"docs/{name} is stale; `make reference` writes it"


@pytest.mark.parametrize("columns", ["20", "400"])
def test_the_reference_does_not_depend_on_the_terminal(monkeypatch: pytest.MonkeyPatch, columns: str) -> None:
    before = commands()
    monkeypatch.setenv("COLUMNS", columns)
    assert commands() == before


def keys(model: type[BaseModel], above: str = "") -> Iterator[tuple[str, str | None]]:
    """Every key with its description."""
    for name, field in model.model_fields.items():
        if isinstance(field.annotation, type) and issubclass(field.annotation, BaseModel):
            yield from keys(field.annotation, f"{above}{name}.")
        else:
            yield f"{above}{name}", field.description


def test_every_key_is_described() -> None:
    reference = configuration()
    for key, description in keys(Settings):
        assert description, f"{key} has no docstring"
        assert f"| `{key}` |" in reference


def test_every_command_is_described() -> None:
    headings = [line for line in commands().splitlines() if line.startswith("### ")]
    assert headings == [f"### `naturewatch {name}`" for name in ("run", "refresh", "ui", *OWN, *HANDED_OVER)]


def test_a_page_without_its_marks_is_refused(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "commands.md").write_text("# Commands\n")
    monkeypatch.setattr("docs.reference.DOCS", tmp_path)
    with pytest.raises(ValueError, match=r"docs/commands\.md needs one part between"):
        page("commands.md")
