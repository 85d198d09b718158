"""What Dagster loads: the names that people and dashboards rely on, and what is switched off at first."""

from itertools import pairwise
from pathlib import Path

import dagster as dg
import pytest

from pipeline.definitions import defs
from pipeline.defs.resources import Scope

ROAD = [
    "gbif_download", "occurrences", "clean_occurrences", "photo_index", "photos",
    "species", "taxonomy", "split", "training_photos",
]  # fmt: skip
"""From GBIF to the photographs that networks are trained on: one line."""
NETWORKS = {
    "baseline": "training_photos",
    "baseline_matched": "training_photos",
    "multi_view": "training_photos",
    "genus_stage": "training_photos",
    "knowledge_transfer": "genus_stage",
}
"""The networks, each with what it is trained from."""
CALIBRATED = ["baseline", "baseline_matched", "multi_view", "knowledge_transfer"]
RELEASE = ["comparison", "candidate", "champion"]
BESIDE = {"changes": {"photo_index"}, "dataset_page": {"split", "training_photos"}}
"""Assets beside the road, each with those that it is made from: nothing of the road waits for them."""
GROUPS = {
    "ingest": {"gbif_download", "occurrences", "clean_occurrences", "photo_index", "changes", "photos"},
    "dataset": {"species", "taxonomy", "split", "training_photos", "dataset_page"},
    "training": set(NETWORKS),
    "evaluation": {*(f"specificity_{name}" for name in CALIBRATED), "comparison"},
    "release": {"candidate", "champion"},
}
ALL = set().union(*GROUPS.values())


def test_the_road_to_the_dataset_is_one_line_in_this_order() -> None:
    graph = defs.resolve_asset_graph()
    names = [key.to_user_string() for key in graph.toposorted_asset_keys]
    assert [name for name in names if name in ROAD] == ROAD
    for before, after in pairwise(ROAD):
        assert dg.AssetKey(before) in graph.get(dg.AssetKey(after)).parent_keys


def test_every_network_is_trained_calibrated_and_compared_before_one_is_released() -> None:
    graph = defs.resolve_asset_graph()

    def parents(name: str) -> set[str]:
        return {key.to_user_string() for key in graph.get(dg.AssetKey(name)).parent_keys}

    for network, origin in NETWORKS.items():
        assert parents(network) == {origin}
    for network in CALIBRATED:
        assert parents(f"specificity_{network}") == {network}
    assert parents("comparison") == {f"specificity_{network}" for network in CALIBRATED}
    for before, after in pairwise(RELEASE):
        assert parents(after) == {before}


def test_networks_share_one_pool() -> None:
    for name in NETWORKS:
        node = defs.resolve_asset_graph().get(dg.AssetKey(name))
        assert node.pools == {"gpu"}


def test_what_stands_beside_the_road_holds_nothing_up() -> None:
    graph = defs.resolve_asset_graph()
    assert {key.to_user_string() for key in graph.toposorted_asset_keys} == ALL
    for name, origins in BESIDE.items():
        node = graph.get(dg.AssetKey(name))
        assert node.parent_keys == {dg.AssetKey(origin) for origin in origins}
        assert node.child_keys == set()


def test_every_asset_is_in_its_group_with_kinds_owners_and_a_description() -> None:
    for name in ALL:
        node = defs.resolve_asset_graph().get(dg.AssetKey(name))
        assert name in GROUPS[node.group_name]
        assert node.kinds
        assert node.owners
        assert node.description


def test_every_check_but_the_warning_blocks() -> None:
    graph = defs.resolve_asset_graph()
    checks = {key.name: graph.get_check_spec(key) for key in graph.asset_check_keys}
    assert {name for name, spec in checks.items() if not spec.blocking} == {"no_near_duplicates_across_sides"}
    assert {
        "changes_contract",
        "taxonomy_is_a_tree",
        "species_have_enough_photographs",
        "no_observation_on_both_sides",
        "train_share_is_near_target",
        "counts_add_up",
    } <= set(checks)


def test_refreshing_is_off_until_somebody_switches_it_on() -> None:
    schedule = defs.resolve_schedule_def("weekly_refresh")
    sensor = defs.resolve_sensor_def("growth")
    assert schedule.default_status == dg.DefaultScheduleStatus.STOPPED
    assert sensor.default_status == dg.DefaultSensorStatus.STOPPED
    assert schedule.cron_schedule == "0 3 * * 1"


def test_growth_is_not_asked_of_gbif_where_the_data_are_not_a_scope_of_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "own.yaml").write_text("name: own\ndata_root: data\nsource: {mode: folder, folder: photos.csv}\n")
    monkeypatch.setenv("NATUREWATCH_CONFIG", str(tmp_path / "own.yaml"))
    with (
        dg.DagsterInstance.ephemeral() as instance,
        dg.build_sensor_context(instance=instance, resources={"scope": Scope()}) as context,
    ):
        tick = defs.resolve_sensor_def("growth").evaluate_tick(context)
    assert not tick.run_requests
    assert "source.mode folder" in (tick.skip_message or "")


def test_the_schedule_takes_the_whole_road() -> None:
    with dg.DagsterInstance.ephemeral() as instance:
        tick = defs.resolve_schedule_def("weekly_refresh").evaluate_tick(dg.build_schedule_context(instance=instance))
    assert len(tick.run_requests or []) == 1
    job = defs.resolve_job_def("road")
    assert {key.to_user_string() for key in job.asset_layer.selected_asset_keys} == ALL
