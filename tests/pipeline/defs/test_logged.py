"""Pictures are logged to a run and drawn inline by their short address; pages are logged and linked."""

import re
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest
from PIL import Image

from pipeline.config.settings import Settings
from pipeline.defs.logged import pages, pictures
from pipeline.tracking.runs import client, experiment_id

pytestmark = pytest.mark.usefixtures("with_store")

INLINE = 1000
"""Dagster draws Markdown of fewer characters inline, and hides the rest behind a link."""


@pytest.fixture
def run_id(settings: Settings) -> str:
    connected = client(settings)
    return str(connected.create_run(experiment_id(settings, connected)).info.run_id)


def test_a_picture_is_shown_by_a_short_address_of_a_small_copy(settings: Settings, run_id: str, tmp_path: Path) -> None:
    path = tmp_path / "sheet.png"
    Image.new("RGB", (1260, 810), "green").save(path)
    shown = str(pictures(settings, run_id, {"Photographs": path})["Photographs"].value)  # type: ignore[union-attr]
    assert len(shown) < INLINE
    found = re.fullmatch(r"\[!\[Photographs\]\((\S+)\)\]\((\S+)\)", shown)
    assert found is not None
    small, large = found.groups()
    (place,) = parse_qs(urlsplit(small).query)["path"]
    with Image.open(client(settings).download_artifacts(run_id, place)) as copy:
        assert copy.width == 480
    assert "/artifacts/figures/sheet.png?" in large
    assert Path(client(settings).download_artifacts(run_id, "figures/sheet.png")).read_bytes() == path.read_bytes()


def test_a_page_is_kept_with_the_run_and_linked(settings: Settings, run_id: str, tmp_path: Path) -> None:
    path = tmp_path / "index.html"
    path.write_text("<title>Birds</title>")
    shown = pages(settings, run_id, {"dataset page": ("dataset/index.html", path)})
    (title, value) = shown.popitem()
    assert title == "dataset page"
    assert re.fullmatch(r"\[open\]\(\S+/artifacts/dataset/index\.html\?\S+\)", str(value.value))  # type: ignore[union-attr]
    assert "Birds" in Path(client(settings).download_artifacts(run_id, "dataset/index.html")).read_text()
