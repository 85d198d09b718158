"""What follows a change by itself: what has changed, once, and nothing that spends a GPU's time without a change."""

import warnings
from collections.abc import Iterator
from typing import Any

import dagster as dg
import pytest
from dagster._core.definitions.data_version import DATA_VERSION_TAG

from pipeline.definitions import defs
from pipeline.defs.conditions import COSTLY, FOLLOWS_TRAINING
from tests.pipeline.defs.automated_graph import CALIBRATED, DATASET, GRAPH, INGEST, REFRESH, RELEASE, Pipeline, finished


@pytest.fixture
def pipeline() -> Iterator[Pipeline]:
    with finished() as made:
        yield made


def test_the_same_snapshot_twice_asks_for_nothing(pipeline: Pipeline) -> None:
    assert pipeline.run(*INGEST)
    assert pipeline.requested() == set()


def test_a_changed_snapshot_is_carried_on_to_the_champion_in_two_runs(pipeline: Pipeline) -> None:
    pipeline.change("photo_index", "photos")
    assert pipeline.run(*INGEST)
    assert pipeline.requested() == DATASET
    assert pipeline.requested() == set()
    pipeline.change(*DATASET)
    assert pipeline.run(*DATASET)
    assert pipeline.requested() == RELEASE
    pipeline.change(*RELEASE)
    assert pipeline.run(*RELEASE)
    assert pipeline.requested() == set()


def test_a_dataset_that_comes_out_the_same_trains_nothing(pipeline: Pipeline) -> None:
    pipeline.change("photos")
    assert pipeline.run(*INGEST)
    assert pipeline.requested() == DATASET
    pipeline.change("species")
    assert pipeline.run(*DATASET)
    assert pipeline.requested() == set()


def test_places_that_changed_alone_are_calibrated_and_train_nothing(pipeline: Pipeline) -> None:
    pipeline.change("photo_index")
    assert pipeline.run(*INGEST)
    assert pipeline.requested() == DATASET
    pipeline.change("species", "places")
    assert pipeline.run(*DATASET)
    assert pipeline.requested() == CALIBRATED
    pipeline.change(*CALIBRATED)
    assert pipeline.run(*CALIBRATED)
    assert pipeline.requested() == set()


def test_two_dependencies_renewed_by_one_run_are_heard_of_once_when_it_has_ended(pipeline: Pipeline) -> None:
    seen: list[set[str]] = []
    # A tick of the daemon between the two.
    pipeline.during["photos"] = lambda: seen.append(pipeline.requested())
    pipeline.change("photo_index", "photos")
    assert pipeline.run(*INGEST)
    assert seen == [set()]
    assert pipeline.requested() == DATASET
    assert pipeline.requested() == set()


def test_a_change_during_the_run_that_it_concerns_is_not_lost(pipeline: Pipeline) -> None:
    """Where an operator lets runs overlap."""
    pipeline.change("photos")
    assert pipeline.run(*INGEST)
    assert pipeline.requested() == DATASET

    def change_again() -> None:
        assert pipeline.requested() == set()
        pipeline.change("photos")
        assert pipeline.run(*INGEST)

    pipeline.during["species"] = change_again
    assert pipeline.run(*DATASET)
    assert pipeline.requested() == DATASET


def test_a_change_after_the_asset_was_made_is_noticed_with_the_making(pipeline: Pipeline) -> None:
    """The daemon was off: both are new to it."""
    assert pipeline.run(*DATASET)
    pipeline.change("photos")
    assert pipeline.run(*INGEST)
    assert pipeline.requested() == DATASET


@pytest.mark.parametrize("ticks", [True, False])
def test_what_a_whole_refresh_makes_is_not_made_again(pipeline: Pipeline, *, ticks: bool) -> None:
    seen: list[set[str]] = []
    if ticks:
        for name in ("manifest", "production", "champion"):
            pipeline.during[name] = lambda: seen.append(pipeline.requested())
    pipeline.change(*GRAPH)
    assert pipeline.run(*REFRESH)
    assert [*seen, pipeline.requested(), pipeline.requested()] == [set()] * (len(seen) + 2)
    assert len(seen) == (3 if ticks else 0)


def test_nor_by_a_job_that_names_no_assets(pipeline: Pipeline) -> None:
    for name in REFRESH:
        pipeline.during[name] = lambda: asked.append(pipeline.requested())
    asked: list[set[str]] = []
    pipeline.change(*GRAPH)
    assert pipeline.run_refresh()
    assert [*asked, pipeline.requested()] == [set()] * (len(REFRESH) + 1)


def _fail() -> None:
    raise RuntimeError("ended by a person, or by an error")


def test_a_whole_refresh_that_ended_early_is_not_gone_on_with(pipeline: Pipeline) -> None:
    pipeline.during["production"] = _fail
    pipeline.change(*GRAPH)
    assert not pipeline.run(*REFRESH)
    assert pipeline.requested() == set()


def test_a_run_that_failed_is_not_repeated_until_the_next_change(pipeline: Pipeline) -> None:
    pipeline.during["production"] = _fail
    pipeline.change("manifest")
    assert pipeline.run("manifest", "exam")
    assert pipeline.requested() == RELEASE
    assert not pipeline.run(*RELEASE)
    assert pipeline.requested() == set()
    del pipeline.during["production"]
    pipeline.change("manifest")
    assert pipeline.run("manifest", "exam")
    # Its gate judged nothing in the run that failed, and judges in this one.
    assert pipeline.requested() == RELEASE
    assert pipeline.run(*RELEASE)
    assert pipeline.requested() == set()


def test_a_refused_model_is_not_promoted_and_a_later_one_that_passes_is(pipeline: Pipeline) -> None:
    pipeline.gate_passes = False
    pipeline.change("manifest", *RELEASE)
    assert pipeline.run("manifest", "exam")
    assert pipeline.requested() == RELEASE
    assert not pipeline.run(*RELEASE)
    assert pipeline.requested() == set()
    pipeline.gate_passes = True
    pipeline.change("manifest", *RELEASE)
    assert pipeline.run("manifest", "exam")
    # The gate judges anew in this run.
    assert pipeline.requested() == RELEASE
    assert pipeline.run(*RELEASE)
    assert pipeline.requested() == set()


def test_a_failed_check_holds_up_what_follows_until_it_passes(pipeline: Pipeline) -> None:
    pipeline.exam_passes = False
    pipeline.change("manifest", "exam")
    assert not pipeline.run("manifest", "exam")
    # `exam_answers` does not read the exam through the training, and the training does not read it at all.
    assert pipeline.requested() == {"production", "specificity_production", "candidate"}
    assert pipeline.run("production", "specificity_production", "candidate")
    assert pipeline.requested() == set()
    pipeline.exam_passes = True
    assert pipeline.run("exam")
    assert pipeline.requested() == {"exam_answers", "champion", "report"}


def test_of_a_first_snapshot_one_run_makes_the_dataset_and_one_the_model() -> None:
    with dg.DagsterInstance.ephemeral() as instance:
        made = Pipeline(instance)
        assert made.requested() == set()
        assert made.run(*INGEST)
        assert made.requested() == DATASET
        assert made.run(*DATASET)
        assert made.requested() == RELEASE
        assert made.run(*RELEASE)
        assert made.requested() == set()


def test_a_new_code_version_makes_the_asset_and_what_follows_anew(pipeline: Pipeline) -> None:
    pipeline.code_versions["species"] = "2"
    assert pipeline.requested() == DATASET


def test_what_was_never_made_waits_for_a_person() -> None:
    with dg.DagsterInstance.ephemeral() as instance:
        made = Pipeline(instance)
        assert made.requested() == set()
        assert made.run("photo_index")
        # Without photographs there are no species.
        assert made.requested() == set()
        assert made.run("photos")
        assert made.requested() == DATASET


def test_what_a_person_learns_from_the_networks_of_the_paper_may_be_released(pipeline: Pipeline) -> None:
    assert pipeline.run("baseline")
    assert pipeline.requested() == RELEASE


# The definitions themselves, with data versions that stand for runs.

ASSETS = defs.resolve_asset_graph()
GROUPS = {key.to_user_string(): ASSETS.get(key).group_name for key in ASSETS.materializable_asset_keys}


class Ticks:
    """Ticks of the automation over the pipeline's own definitions."""

    def __init__(self, instance: dg.DagsterInstance) -> None:
        self._instance = instance
        self._cursor: Any = None

    def made(self, *groups: str, changed: str = "", version: str = "1") -> None:
        """Say that the assets of groups were made: those that are `changed` with this data version."""
        for name in (name for name in GROUPS if GROUPS[name] in groups):
            tags = {DATA_VERSION_TAG: version if name in changed.split() else "1"}
            self._instance.report_runless_asset_event(dg.AssetMaterialization(name, tags=tags))
            for key in ASSETS.get(dg.AssetKey(name)).check_keys:
                passed = dg.AssetCheckEvaluation(asset_key=key.asset_key, check_name=key.name, passed=True)
                self._instance.report_runless_asset_event(passed)

    def requested(self) -> set[str]:
        with warnings.catch_warnings():
            # Of Dagster's own code.
            warnings.simplefilter("ignore", category=dg.BetaWarning)
            found = dg.evaluate_automation_conditions(defs, self._instance, cursor=self._cursor)
        self._cursor = found.cursor
        return {
            result.key.to_user_string()
            for result in found.results
            if isinstance(result.key, dg.AssetKey) and not result.true_subset.is_empty
        }


def test_of_the_pipeline_the_same_snapshot_twice_asks_for_nothing_and_a_new_one_for_no_training_yet() -> None:
    with dg.DagsterInstance.ephemeral() as instance:
        ticks = Ticks(instance)
        ticks.made(*set(GROUPS.values()))
        assert ticks.requested() == set()
        ticks.made("ingest")
        assert ticks.requested() == set()
        ticks.made("ingest", changed="photos", version="2")
        asked = ticks.requested()
        assert {"species", "split", "training_photos", "manifest"} <= asked
        assert {GROUPS[name] for name in asked} == {"dataset"}
        ticks.made("dataset", changed="species", version="2")
        assert ticks.requested() == set()
        ticks.made("dataset", changed="species manifest", version="2")
        assert {"production", "specificity_production", "candidate", "champion"} <= (asked := ticks.requested())
        # Said by hand, these belong to no run that was to make the page, too.
        assert asked - {"dataset_page"} <= {*COSTLY, *FOLLOWS_TRAINING, "report"}


def test_the_clock_starts_ingest_and_a_person_the_networks_of_the_paper() -> None:
    alone = {name for name in GROUPS if ASSETS.get(dg.AssetKey(name)).automation_condition is None}
    assert {GROUPS[name] for name in alone} <= {"ingest", "training", "evaluation"}
    assert {name for name in GROUPS if GROUPS[name] in {"ingest", "training"}} <= alone
    assert alone & {*COSTLY, *FOLLOWS_TRAINING} == set()


def test_one_sensor_evaluates_all_conditions_and_is_off() -> None:
    sensors = defs.get_repository_def().sensor_defs
    (follow,) = [each for each in sensors if isinstance(each, dg.AutomationConditionSensorDefinition)]
    assert follow.name == "follow_changes"
    assert follow.default_status == dg.DefaultSensorStatus.STOPPED
    watched = follow.asset_selection.resolve(ASSETS)
    assert {key for key in ASSETS.materializable_asset_keys if ASSETS.get(key).automation_condition} <= watched
