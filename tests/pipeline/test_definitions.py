"""What Dagster loads: the names that people and dashboards rely on, and what is switched off at first."""

from datetime import timedelta
from pathlib import Path
from typing import Any

import dagster as dg
import pytest
import yaml

from pipeline.definitions import defs
from pipeline.defs.freshness import longest_pause
from pipeline.defs.production import REFRESH, RESEARCH
from pipeline.defs.scope_resource import SCOPE_TAG
from pipeline.defs.together import PROCESSOR, executor_config
from pipeline.launching import gpus
from pipeline.paths import PROJECT_ROOT
from pipeline.tables import CONTRACTS

DATASET = {"taxonomy", "split", "training_photos", "manifest"}
"""What every network is trained on."""
COMPARED = {"baseline", "baseline_matched", "multi_view", "knowledge_transfer"}
NETWORKS = COMPARED | {"genus_stage"}
ON_GPU = NETWORKS | {"suspects", "production", "exam_answers"}
"""What computes with a network, and waits for a GPU where there are any."""
CALIBRATIONS = {f"specificity_{name}" for name in COMPARED}
PARENTS = {
    "gbif_records": set(),
    "gbif_download": {"gbif_records"},
    "occurrences": {"gbif_download"},
    "media": {"gbif_download"},
    "clean_occurrences": {"occurrences"},
    "photo_index": {"clean_occurrences", "media"},
    "changes": {"gbif_download", "clean_occurrences", "photo_index"},
    "photos": {"photo_index"},
    "losses": {"clean_occurrences", "photo_index", "changes", "photos"},
    "drift": {"clean_occurrences", "photo_index", "changes"},
    "species": {"clean_occurrences", "photos", "losses"},
    "rejections": {"occurrences", "clean_occurrences", "photo_index", "photos", "species"},
    "taxonomy": {"species"},
    "class_map": {"clean_occurrences", "taxonomy"},
    "taxonomy_diff": {"clean_occurrences", "taxonomy"},
    "split": {"clean_occurrences", "photos", "species", "taxonomy"},
    "exam": {"clean_occurrences", "split", "taxonomy", "class_map", "rejections"},
    "places": {"clean_occurrences", "split"},
    "genus_photos": {"clean_occurrences", "photos", "species", "taxonomy"},
    "attribution": {"clean_occurrences", "photos", "taxonomy", "split", "genus_photos"},
    "training_photos": {"photo_index", "photos", "split", "genus_photos"},
    "leakage": {"split", "training_photos"},
    "manifest": {
        "gbif_download", "occurrences", "media", "clean_occurrences", "photo_index", "changes", "photos", "species",
        "rejections", "taxonomy", "split", "genus_photos", "attribution", "leakage",
    },
    "dataset_page": {
        "gbif_download", "occurrences", "media", "clean_occurrences", "changes", "drift", "photos", "species",
        "rejections", "taxonomy",
        "taxonomy_diff", "split", "attribution", "leakage", "manifest",
    },
    "baseline": DATASET,
    "baseline_matched": DATASET,
    "multi_view": DATASET,
    "genus_stage": DATASET | {"genus_photos"},
    "knowledge_transfer": DATASET | {"genus_stage"},
    **{f"specificity_{name}": {"taxonomy", "split", "places", "manifest", name} for name in COMPARED},
    "comparison": {"split", "manifest"} | COMPARED | CALIBRATIONS,
    "production": DATASET | {"clean_occurrences", "class_map", "genus_photos", "comparison"} | COMPARED | CALIBRATIONS,
    "specificity_production": {"taxonomy", "split", "places", "manifest", "production"},
    "candidate": {"taxonomy", "split", "attribution", "manifest", "production", "specificity_production"},
    "exam_answers": {"photos", "taxonomy", "places", "exam", "manifest", "candidate"},
    "champion": {"candidate", "exam_answers"},
    "suspects": DATASET | {"gbif_download", "photos"},
    "report": {
        "gbif_download", "clean_occurrences", "photos", "taxonomy", "split", "attribution", "manifest", "comparison",
        "suspects", "production", "specificity_production", "candidate", "exam_answers", "champion",
    } | COMPARED | CALIBRATIONS,
}  # fmt: skip
"""Every asset with all that it reads; `tests/pipeline/defs/test_inputs.py` holds that against what it opens."""
GROUPS = {
    "ingest": {"gbif_download", "occurrences", "media", "clean_occurrences", "photo_index", "changes", "photos"},
    "dataset": {
        "losses", "drift", "species", "rejections", "taxonomy", "class_map", "taxonomy_diff", "split", "exam",
        "places", "genus_photos", "attribution", "training_photos", "leakage", "manifest", "dataset_page",
    },
    "training": NETWORKS,
    "evaluation": CALIBRATIONS | {"comparison", "suspects"},
    "release": {"production", "specificity_production", "candidate", "exam_answers", "champion", "report"},
}  # fmt: skip
ALL = set().union(*GROUPS.values())
OBSERVED = {"gbif_records"}
"""What is watched and not made; shown in the group ingest."""
RESEARCHED = NETWORKS | CALIBRATIONS | {"comparison"}
"""What a refresh does without."""
BESIDE = {"dataset_page", "report"}
"""Assets that nothing waits for; `report` shows all that went before it, `suspects` among it."""


def test_dagster_s_servers_can_load_all_of_it() -> None:
    dg.Definitions.validate_loadable(defs)


def test_every_asset_names_all_that_it_reads() -> None:
    graph = defs.resolve_asset_graph()
    found = {
        key.to_user_string(): {parent.to_user_string() for parent in graph.get(key).parent_keys}
        for key in graph.toposorted_asset_keys
    }
    assert found == PARENTS
    assert PARENTS.keys() == ALL | OBSERVED
    assert {key.to_user_string() for key in graph.observable_asset_keys} == OBSERVED


def test_what_needs_a_gpu_shares_one_pool() -> None:
    for name in ON_GPU:
        node = defs.resolve_asset_graph().get(dg.AssetKey(name))
        assert node.pools == {"gpu"}


def test_queries_are_limited_and_trainings_are_not() -> None:
    for node in defs.resolve_implicit_global_asset_job_def().graph.nodes:
        if node.name in OBSERVED:
            continue
        limited = PROCESSOR.items() <= node.definition.tags.items()
        assert limited == (node.name not in ON_GPU), node.name


def test_on_a_machine_with_gpus_more_steps_run_together(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gpus, "DRIVER", tmp_path / "no driver")
    monkeypatch.setenv("PATH", str(tmp_path))
    assert executor_config() == {"max_concurrent": 2}
    monkeypatch.setattr(gpus, "DRIVER", tmp_path)
    limits = executor_config()
    assert limits["tag_concurrency_limits"] == [{"key": "naturewatch/uses", "value": "processor", "limit": 2}]
    assert limits["max_concurrent"] > len(NETWORKS) + 2


def test_what_is_only_looked_at_holds_nothing_up() -> None:
    graph = defs.resolve_asset_graph()
    last = {key.to_user_string() for key in graph.get_all_asset_keys() if not graph.get(key).child_keys}
    assert last == BESIDE
    for name in ("champion", "suspects"):
        assert graph.get(dg.AssetKey(name)).child_keys == {dg.AssetKey("report")}


def test_a_refresh_makes_all_but_the_networks_of_research() -> None:
    graph = defs.resolve_asset_graph()
    made, beside = ({key.to_user_string() for key in selection.resolve(graph)} for selection in (REFRESH, RESEARCH))
    assert beside == RESEARCHED
    assert made == ALL - RESEARCHED


def test_every_asset_is_in_its_group_with_kinds_owners_and_a_description() -> None:
    for name in ALL | OBSERVED:
        node = defs.resolve_asset_graph().get(dg.AssetKey(name))
        assert name in GROUPS[node.group_name] | OBSERVED
        assert node.kinds
        assert node.owners
        assert node.description


def test_every_table_shows_its_columns_before_it_is_made() -> None:
    shown = {
        key.to_user_string()
        for key in defs.resolve_asset_graph().get_all_asset_keys()
        if "dagster/column_schema" in defs.resolve_asset_graph().get(key).metadata
    }
    assert shown == set(CONTRACTS)
    for name in CONTRACTS:
        schema = defs.resolve_asset_graph().get(dg.AssetKey(name)).metadata["dagster/column_schema"]
        assert all(column.description for column in schema.columns), name


def test_every_asset_says_for_which_scope_it_is_made() -> None:
    graph = defs.resolve_asset_graph()
    assert {graph.get(key).metadata["scope"] for key in graph.get_all_asset_keys()} == {"sample"}


def test_every_check_but_the_warnings_blocks() -> None:
    graph = defs.resolve_asset_graph()
    checks = {key.name: graph.get_check_spec(key) for key in graph.asset_check_keys}
    assert {name for name, spec in checks.items() if not spec.blocking} == {
        "no_near_duplicates_across_sides",
        "drift_is_small",
    }
    assert {
        "changes_contract",
        "taxonomy_is_a_tree",
        *(f"{name}_contract" for name in CONTRACTS),
        "species_have_enough_photographs",
        "no_observation_on_both_sides",
        "train_share_is_near_target",
        "counts_add_up",
    } <= set(checks)


def test_a_check_reads_nothing_that_its_asset_was_not_made_of() -> None:
    graph = defs.resolve_asset_graph()
    for key in graph.asset_check_keys:
        made_of = graph.get_ancestor_asset_keys(key.asset_key) | {key.asset_key}
        # Every stage renews the table of rejections, whether the asset that shows it is selected or not.
        read = set(graph.get(key).parent_entity_keys) - {dg.AssetKey("rejections")}
        assert read <= made_of, key


def test_what_spends_time_or_money_is_off_until_somebody_switches_it_on() -> None:
    schedule = defs.resolve_schedule_def("weekly_refresh")
    assert schedule.default_status == dg.DefaultScheduleStatus.STOPPED
    assert schedule.cron_schedule == "0 3 * * 1"
    assert {each.name for each in defs.get_repository_def().sensor_defs} >= {"follow_changes", "growth", "resume_fetch"}
    for sensor in defs.get_repository_def().sensor_defs:
        assert sensor.default_status == dg.DefaultSensorStatus.STOPPED, sensor.name


def test_jobs_schedule_and_sensors_say_for_which_scope_they_are_and_what_they_cost() -> None:
    jobs = [defs.resolve_job_def(name) for name in ("pipeline", "refresh", "research", "ingest")]
    schedule = defs.resolve_schedule_def("weekly_refresh")
    sensors = {name: defs.resolve_sensor_def(name) for name in ("follow_changes", "growth", "resume_fetch")}
    assert [job.tags[SCOPE_TAG] for job in jobs] == ["sample"] * 4
    said = {
        "weekly_refresh": schedule.description,
        **{job.name: job.description for job in jobs},
        **{name: sensor.description for name, sensor in sensors.items()},
    }  # fmt: skip
    costs = {
        "pipeline": "on a GPU", "refresh": "on a GPU", "research": "on a GPU", "ingest": "without a GPU",
        "weekly_refresh": "uses no GPU", "follow_changes": "on a GPU", "growth": "small requests",
        "resume_fetch": "once at the moment",
    }  # fmt: skip
    for name, cost in costs.items():
        assert "the scope sample" in (said[name] or ""), name
        assert cost in (said[name] or ""), name
    for asking in ("pipeline", "refresh", "ingest", "weekly_refresh", "growth"):
        assert "GBIF" in (said[asking] or ""), asking


def test_the_schedule_runs_ingest_and_people_run_the_other_jobs() -> None:
    with dg.DagsterInstance.ephemeral() as instance:
        tick = defs.resolve_schedule_def("weekly_refresh").evaluate_tick(dg.build_schedule_context(instance=instance))
    assert len(tick.run_requests or []) == 1
    assert defs.resolve_schedule_def("weekly_refresh").job_name == "ingest"
    selected_by = {"ingest": GROUPS["ingest"], "refresh": ALL - RESEARCHED, "research": RESEARCHED, "pipeline": ALL}
    for job, assets in selected_by.items():
        selected = defs.resolve_job_def(job).asset_layer.selected_asset_keys
        assert {key.to_user_string() for key in selected} == assets


def test_the_ui_warns_where_the_schedule_was_missed_or_the_model_is_old() -> None:
    graph = defs.resolve_asset_graph()
    policies = {key.to_user_string(): graph.get(key).freshness_policy for key in graph.get_all_asset_keys()}
    found = {name: policy for name, policy in policies.items() if policy is not None}
    assert found == {
        "occurrences": dg.FreshnessPolicy.time_window(warn_window=timedelta(days=8), fail_window=timedelta(days=15)),
        "champion": dg.FreshnessPolicy.time_window(warn_window=timedelta(days=35), fail_window=timedelta(days=91)),
    }
    assert _configured()["freshness"] == {"enabled": True}


@pytest.mark.parametrize(
    ("cron", "days"), [("0 3 * * 1", 7), ("0 3 * * 1,4", 4), ("0 3 1 * *", 31), ("@daily", 1), ("0 3,9 * * *", 0.75)]
)
def test_freshness_follows_the_longest_pause_of_the_schedule(cron: str, days: float) -> None:
    assert longest_pause(cron) == timedelta(days=days)


def test_no_step_is_retried_as_a_whole() -> None:
    """A retry of a retry multiplies. Requests are retried where they are made, and photographs in the next run."""
    for node in defs.resolve_implicit_global_asset_job_def().graph.nodes:
        assert node.definition.retry_policy is None, node.name  # type: ignore[attr-defined]
        assert node.retry_policy is None, node.name
    for name in ("pipeline", "refresh", "research", "ingest"):
        job = defs.resolve_job_def(name)
        assert job.op_retry_policy is None
        assert "dagster/max_retries" not in job.tags
    # A run is begun again once where its process crashed, never where a step failed.
    assert _configured()["run_retries"] == {"enabled": True, "max_retries": 1, "retry_on_asset_or_op_failure": False}


def _configured() -> dict[str, Any]:
    """Dagster's own configuration."""
    configured: dict[str, Any] = yaml.safe_load((PROJECT_ROOT / "dagster_home" / "dagster.yaml").read_text())
    return configured
