"""What the UI shows beside an asset is small, typed, and complete where one function writes several tables."""

import base64
import io
import re
from collections.abc import Iterator
from pathlib import Path

import dagster as dg
import numpy as np
import pytest
from dagster._core.definitions.data_version import DATA_VERSION_TAG
from PIL import Image

from pipeline.config.settings import Settings
from pipeline.dataset.manifest import content_hash
from pipeline.defs.metadata import THUMBNAIL, mapping_table, records_table, table_results, thumbnail
from pipeline.tables import CONTRACTS
from tests.pipeline import tiny


def picture(path: Path, width: int, height: int) -> Path:
    """A photograph, as far as sizes go: noise that is smooth enough."""
    noise = np.random.default_rng(1).integers(0, 256, size=(height // 40, width // 40, 3), dtype=np.uint8)
    Image.fromarray(noise).resize((width, height)).save(path)
    return path


def test_a_thumbnail_is_a_small_copy_and_names_the_file(tmp_path: Path) -> None:
    path = picture(tmp_path / "sheet.png", 1260, 810)
    shown = str(thumbnail(path, title="Photographs").value)
    assert len(shown) < 25_000
    assert shown.endswith(f"`{path}`")
    found = re.match(r"!\[Photographs\]\(data:image/webp;base64,([^)]+)\)", shown)
    assert found is not None
    with Image.open(io.BytesIO(base64.b64decode(found[1]))) as small:
        assert (small.width, small.height) <= THUMBNAIL
        assert abs(small.width / small.height - 1260 / 810) < 0.01


def test_a_picture_that_is_small_already_is_not_made_larger(tmp_path: Path) -> None:
    shown = str(thumbnail(picture(tmp_path / "small.png", 100, 60), title="Small").value)
    with Image.open(io.BytesIO(base64.b64decode(shown.partition(",")[2].partition(")")[0]))) as small:
        assert small.size == (100, 60)


def test_a_table_has_typed_columns() -> None:
    records = [{"rule_name": "gone", "rows": 1, "share": None}, {"rule_name": "x", "rows": 2, "share": 0.5}]
    shown = records_table(records, none="")
    assert isinstance(shown, dg.TableMetadataValue)
    assert [(column.name, column.type) for column in shown.schema.columns] == [
        ("rule name", "string"), ("rows", "int"), ("share", "float"),
    ]  # fmt: skip
    assert [record.data for record in shown.records][1] == {"rule name": "x", "rows": 2, "share": 0.5}


def test_a_table_without_rows_says_so() -> None:
    assert records_table([], none="no rule removed a row") == dg.MetadataValue.text("no rule removed a row")
    assert mapping_table({}, columns=("a", "b")) == dg.MetadataValue.text("none")


@pytest.mark.parametrize("chosen", [{"occurrences"}, {"occurrences", "species"}])
def test_a_table_that_was_written_but_not_selected_gets_its_new_version(settings: Settings, chosen: set[str]) -> None:
    tables = {
        "occurrences": tiny.write(settings.paths, "occurrences", []),
        "species": tiny.write(settings.paths, "species", [tiny.species("Turdus merula", key="1")]),
    }
    assert tables.keys() <= CONTRACTS.keys()

    @dg.multi_asset(specs=[dg.AssetSpec(name) for name in tables], can_subset=True)
    def both(context: dg.AssetExecutionContext) -> Iterator[dg.MaterializeResult[None]]:
        yield from table_results(context, tables, species={"kept": 1})

    with dg.DagsterInstance.ephemeral() as instance:
        assert dg.materialize([both], selection=sorted(chosen), instance=instance).success
        for name, path in tables.items():
            event = instance.get_latest_materialization_event(dg.AssetKey(name))
            assert event is not None
            assert event.asset_materialization is not None
            assert (event.asset_materialization.tags or {})[DATA_VERSION_TAG] == content_hash(path)
            assert event.asset_materialization.metadata["path"].value == str(path)
            assert ("kept" in event.asset_materialization.metadata) == (name == "species")
