"""A small graph with the pipeline's names and conditions, whose assets only state a data version."""

import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import dagster as dg

from pipeline.defs.conditions import automated

GRAPH = {
    "photo_index": ("ingest", []),
    "photos": ("ingest", ["photo_index"]),
    "species": ("dataset", ["photo_index", "photos"]),
    "places": ("dataset", ["species"]),
    "manifest": ("dataset", ["species"]),
    "exam": ("dataset", ["manifest"]),
    "baseline": ("training", ["manifest"]),
    "production": ("release", ["manifest", "baseline"]),
    "specificity_production": ("release", ["production", "manifest", "places"]),
    "candidate": ("release", ["production", "specificity_production", "manifest"]),
    "exam_answers": ("release", ["candidate", "exam"]),
    "champion": ("release", ["exam_answers"]),
    "report": ("release", ["photos", "manifest", "candidate", "exam_answers", "champion"]),
}
INGEST = ("photo_index", "photos")
DATASET = {"species", "places", "manifest", "exam"}
REFRESH = GRAPH.keys() - {"baseline"}
CALIBRATED = {"specificity_production", "candidate", "exam_answers", "champion", "report"}
"""What follows a training, or places."""
RELEASE = {"production", *CALIBRATED}


class Pipeline:
    """The graph in an instance of its own. Each asset states `versions[name]`; `during` is called while it runs."""

    def __init__(self, instance: dg.DagsterInstance) -> None:
        self.instance = instance
        self.versions = dict.fromkeys(GRAPH, "1")
        self.code_versions: dict[str, str] = {}
        self.during: dict[str, Callable[[], object]] = {}
        self.gate_passes = True
        self.exam_passes = True
        self._cursor: Any = None
        self._made: dict[tuple[tuple[str, str], ...], dg.Definitions] = {}

    def definitions(self) -> dg.Definitions:
        """The graph as Dagster loads it: made once for each set of code versions."""
        key = tuple(sorted(self.code_versions.items()))
        if key not in self._made:
            self._made[key] = self._define()
        return self._made[key]

    def _define(self) -> dg.Definitions:

        @dg.asset_check(asset="exam_answers", blocking=True)
        def gate() -> dg.AssetCheckResult:
            return dg.AssetCheckResult(passed=self.gate_passes)

        @dg.asset_check(asset="exam", blocking=True)
        def exam_contract() -> dg.AssetCheckResult:
            return dg.AssetCheckResult(passed=self.exam_passes)

        job = dg.define_asset_job("refresh", selection=dg.AssetSelection.all() - dg.AssetSelection.groups("training"))
        return dg.Definitions(
            assets=[self._asset(name) for name in GRAPH], asset_checks=[gate, exam_contract], jobs=[job]
        )

    def _asset(self, name: str) -> dg.AssetsDefinition:
        group, deps = GRAPH[name]

        @dg.asset(name=name, group_name=group, deps=deps, code_version=self.code_versions.get(name, "1"))
        def stated() -> dg.MaterializeResult[None]:
            self.during.get(name, lambda: None)()
            return dg.MaterializeResult(data_version=dg.DataVersion(self.versions[name]))

        return stated.map_asset_specs(automated)

    def run(self, *names: str) -> bool:
        """Materialise these assets in one run; whether it succeeded."""
        job = self.definitions().resolve_implicit_global_asset_job_def()
        keys = [dg.AssetKey(name) for name in names]
        return job.execute_in_process(instance=self.instance, asset_selection=keys, raise_on_error=False).success

    def run_refresh(self) -> bool:
        """The whole job, which says nothing of its assets: as started from its page."""
        job = self.definitions().resolve_job_def("refresh")
        return job.execute_in_process(instance=self.instance, raise_on_error=False).success

    def change(self, *names: str) -> None:
        """Let these assets come out differently from now on."""
        for name in names:
            self.versions[name] += "'"

    def requested(self) -> set[str]:
        """What the automation asks for now, as one tick of Dagster's daemon."""
        with warnings.catch_warnings():
            # Of Dagster's own code.
            warnings.simplefilter("ignore", category=dg.BetaWarning)
            found = dg.evaluate_automation_conditions(self.definitions(), self.instance, cursor=self._cursor)
        self._cursor = found.cursor
        return {
            result.key.to_user_string()
            for result in found.results
            if isinstance(result.key, dg.AssetKey) and not result.true_subset.is_empty
        }


@contextmanager
def finished() -> Iterator[Pipeline]:
    """The graph after a first refresh, with the automation switched on since then; the paper's network is missing."""
    with dg.DagsterInstance.ephemeral() as instance:
        pipeline = Pipeline(instance)
        assert pipeline.run(*REFRESH)
        assert pipeline.requested() == set()
        yield pipeline
