"""What the UI shows beside an asset is small, typed, and complete where one function writes several tables."""

from collections.abc import Callable, Iterator

import dagster as dg
import pytest
from dagster._core.definitions.data_version import DATA_VERSION_TAG

from pipeline.config.settings import Settings
from pipeline.dataset.manifest import content_hash
from pipeline.defs.metadata import doi, mapping_table, percentage, records_table, removed_table, table_results
from pipeline.tables import CONTRACTS
from tests.pipeline import tiny


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


def test_a_percentage_is_a_number_of_few_digits() -> None:
    assert percentage(0.9877300613496932) == dg.MetadataValue.float(98.8)


def test_a_doi_is_a_link_unless_it_was_made_up(make_settings: Callable[..., Settings]) -> None:
    gbif = make_settings(source={"mode": "download"})
    assert doi(gbif, "10.15468/dl.abc") == dg.MetadataValue.url("https://doi.org/10.15468/dl.abc")
    assert doi(make_settings(), "10.21373/dl.24ffb9") == "10.21373/dl.24ffb9 (sample, not citable)"
    assert doi(gbif, None) == "none"


def test_what_a_rule_left_out_is_said_in_words() -> None:
    shown = removed_table({"hybrid": 2}, unit="records")
    assert isinstance(shown, dg.TableMetadataValue)
    assert [record.data for record in shown.records] == [
        {"rule": "hybrid", "records": 2, "why": "A cross of two species is neither of them."}
    ]


@pytest.mark.parametrize("chosen", [{"occurrences"}, {"occurrences", "species"}])
def test_a_table_that_was_written_but_not_selected_gets_its_new_version(settings: Settings, chosen: set[str]) -> None:
    tables = {
        "occurrences": tiny.write(settings.paths, "occurrences", []),
        "species": tiny.write(settings.paths, "species", [tiny.species("Turdus merula", key="1")]),
    }
    assert tables.keys() <= CONTRACTS.keys()

    @dg.multi_asset(specs=[dg.AssetSpec(name) for name in tables], can_subset=True)
    def both(context: dg.AssetExecutionContext) -> Iterator[dg.MaterializeResult[None]]:
        yield from table_results(context, settings, tables, metadata={"species": {"kept": 1}})

    with dg.DagsterInstance.ephemeral() as instance:
        assert dg.materialize([both], selection=sorted(chosen), instance=instance).success
        for name, path in tables.items():
            event = instance.get_latest_materialization_event(dg.AssetKey(name))
            assert event is not None
            assert event.asset_materialization is not None
            assert (event.asset_materialization.tags or {})[DATA_VERSION_TAG] == content_hash(path)
            assert event.asset_materialization.metadata["path"].value == str(path)
            assert ("kept" in event.asset_materialization.metadata) == (name == "species")
            assert event.asset_materialization.metadata["scope"].value == settings.name
