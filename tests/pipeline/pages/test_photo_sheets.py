"""Sheets of photographs: one that cannot be read leaves its place empty and ends nothing."""

import logging
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from pipeline.pages.photo_sheets import Tile, draw_sheet
from tests.pipeline.photo_server import jpeg


@pytest.fixture
def paths(tmp_path: Path) -> list[Path]:
    """Six photographs."""
    paths = [tmp_path / f"{number}.jpg" for number in range(6)]
    for number, path in enumerate(paths):
        path.write_bytes(jpeg(number, size=(200, 150)))
    return paths


def sheet(paths: list[Path], folder: Path) -> np.ndarray:
    png = draw_sheet(
        folder / "sheet.png",
        [Tile(path=path, title=f"Turdus {path.stem}", note="train", credit="Mary Smith, CC BY") for path in paths],
    )
    with Image.open(png) as picture:
        return np.asarray(picture.convert("RGB")).astype(int)


def test_a_photograph_that_cannot_be_read_leaves_its_place_empty_and_is_named(
    paths: list[Path], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    whole = sheet(paths, tmp_path)
    gone, cut, empty, text, folder = paths[1:]
    gone.unlink()
    cut.write_bytes(cut.read_bytes()[:-100])
    empty.write_bytes(b"")
    text.write_text("no photograph")
    folder.unlink()
    folder.mkdir()
    with caplog.at_level(logging.WARNING):
        left = sheet(paths, tmp_path)
    assert [str(path) in caplog.text for path in paths] == [False, True, True, True, True, True]
    assert left.shape == whole.shape, "the others stay where they are"
    apart = np.abs(left - whole).mean(axis=2)
    lines = [np.array_split(line, 4, axis=1) for line in np.array_split(apart, 2)]
    changes = [tile[10:-10, 10:-10].mean() for line in lines for tile in line][:6]
    assert changes[0] < 5
    assert min(changes[1:]) > 10


def test_photographs_are_shown_upright(paths: list[Path], tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 3
    plain = sheet(paths[:1], tmp_path)
    paths[0].write_bytes(jpeg(0, size=(200, 150), exif=exif.tobytes()))
    turned = sheet(paths[:1], tmp_path)
    height = plain.shape[0] // 2
    assert np.abs(turned - plain)[:height].mean() > 10


def test_a_sheet_of_nothing_is_a_picture(tmp_path: Path) -> None:
    assert sheet([], tmp_path).size > 0
