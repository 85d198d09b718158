"""Pictures as files: PNG and SVG, drawn once, and previews."""

from pathlib import Path

import pytest
from matplotlib.figure import Figure
from PIL import Image

from pipeline.pages.figures import Mark, draw_bars, draw_once, figure_of, preview


def drawing(value: int) -> Figure:
    """A chart of one bar."""
    figure = figure_of(height=1.5)
    draw_bars(figure.add_subplot(), ["Nestor notabilis"], [Mark(place=0, value=value, colour="#0a4c8a")], x="birds")
    return figure


def test_a_picture_has_an_svg_twin_of_the_same_bytes_each_time(tmp_path: Path) -> None:
    png = draw_once(tmp_path / "birds.png", drawing, 3)
    svg = png.with_suffix(".svg")
    first = png.read_bytes(), svg.read_bytes()
    png.unlink()
    svg.unlink()
    assert draw_once(png, drawing, 3) == png
    assert (png.read_bytes(), svg.read_bytes()) == first
    assert b"Nestor notabilis</text>" in first[1]
    assert b"<dc:date>" not in first[1]


def test_both_files_are_drawn_again_when_one_is_missing_or_shows_something_else(tmp_path: Path) -> None:
    png = draw_once(tmp_path / "birds.png", drawing, 3)
    svg = png.with_suffix(".svg")
    for lost in (png, svg):
        lost.unlink()
        draw_once(png, drawing, 3)
        assert lost.exists()
    before = png.read_bytes(), svg.read_bytes()
    draw_once(png, drawing, 4)
    assert png.read_bytes() != before[0]
    assert svg.read_bytes() != before[1]


def test_a_preview_is_small_and_made_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    png = draw_once(tmp_path / "birds.png", drawing, 3)
    small = preview(png)
    assert small == tmp_path / "birds-480.png"
    with Image.open(small) as picture:
        assert picture.width == 480
    draw_once(png, drawing, 4)
    before = small.read_bytes()
    assert preview(png).read_bytes() != before
    monkeypatch.setattr("pipeline.pages.figures._packed", None)
    assert preview(png) == small


def test_a_preview_does_not_enlarge(tmp_path: Path) -> None:
    Image.new("RGB", (90, 40), "white").save(tmp_path / "tiny.png")
    with Image.open(preview(tmp_path / "tiny.png")) as picture:
        assert picture.size == (90, 40)
    with pytest.raises(FileNotFoundError):
        preview(tmp_path / "none.png")
