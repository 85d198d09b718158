"""Example photographs of the dataset: by their names alone, and never a file outside the folder of photographs."""

import io
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

from ml.errors import DataError
from ml.page.photo_examples import COLUMNS, SIDE, PhotoExamples
from tests.ml.page.page_server import Running, released, serving
from tests.ml.specificity_fixtures import photograph_bytes

KEA, KAKA, MULBERRY = "K7", "K8", "K19"


def row(photo_id: str, *, path: str = "photos/a.jpg", key: str = KEA, **others: str | None) -> dict[str, Any]:
    return {
        "photo_id": photo_id, "taxon_key": key, "species": "Nestor notabilis", "path": path, "creator": "Mary Smith",
        "licence": "CC-BY", "licence_url": None, "link": "https://www.inaturalist.org/observations/1", **others,
    }  # fmt: skip


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("dataset")
    (folder / "secret.jpg").write_bytes(photograph_bytes())
    root = folder / "root"
    (root / "photos").mkdir(parents=True)
    (root / "photos" / "a.jpg").write_bytes(photograph_bytes(size=(2000, 1000)))
    (root / "photos" / "text.jpg").write_text("text")
    (root / "photos" / "link.jpg").symlink_to(folder / "secret.jpg")
    rows = [
        row("1"), row("2", path="../secret.jpg"), row("3", path=str(folder / "secret.jpg")),
        row("4", path="photos/link.jpg"), row("5", path="photos/gone.jpg"), row("6", path="photos/text.jpg"),
        row("7", key=KAKA, species="Nestor meridionalis"),
    ]  # fmt: skip
    pq.write_table(pa.Table.from_pylist(rows), folder / "examples.parquet")
    return folder


@pytest.fixture(scope="module")
def shown(folder: Path) -> Iterator[Running]:
    with serving(released(examples=folder / "examples.parquet", photos=folder / "root")) as running:
        yield running


def test_an_example_says_whose_it_is(shown: Running) -> None:
    first = shown.client.get("/api/examples", params={"taxon_key": KEA, "limit": 1}).json()
    assert first == [
        {
            "src": "/examples/1.jpg", "creator": "Mary Smith", "licence": "CC-BY", "licence_url": None,
            "link": "https://www.inaturalist.org/observations/1", "species": "Nestor notabilis",
        }
    ]  # fmt: skip


def test_a_higher_taxon_shows_its_species_in_turn(shown: Running) -> None:
    genus = shown.client.get("/api/taxa", params={"query": "nestor"}).json()[0]
    found = shown.client.get("/api/examples", params={"taxon_key": genus["taxon_key"], "limit": 3}).json()
    assert [example["src"] for example in found] == ["/examples/1.jpg", "/examples/7.jpg", "/examples/2.jpg"]
    assert shown.client.get("/api/examples", params={"taxon_key": "unknown"}).json() == []


def test_an_example_is_scaled_down(shown: Running) -> None:
    picture = shown.client.get("/examples/1.jpg")
    assert picture.headers["content-type"] == "image/jpeg"
    with Image.open(io.BytesIO(picture.content)) as image:
        assert image.size == (SIDE, SIDE // 2)


@pytest.mark.parametrize("photo_id", ["2", "3", "4", "5", "6", "unknown", "..%2Fsecret"])
def test_no_other_file_is_shown(shown: Running, photo_id: str) -> None:
    refused = shown.client.get(f"/examples/{photo_id}.jpg")
    assert refused.status_code == 404
    assert str(shown.settings.photos) not in refused.text


def test_a_table_that_is_none_is_told(tmp_path: Path) -> None:
    (tmp_path / "text.parquet").write_text("text")
    pq.write_table(pa.table({name: ["1"] for name in COLUMNS if name != "path"}), tmp_path / "lacking.parquet")
    for name in ("text", "lacking", "absent"):
        with pytest.raises(DataError, match=name):
            PhotoExamples.read(tmp_path / f"{name}.parquet", folder=None)
