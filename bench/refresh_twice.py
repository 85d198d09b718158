"""The same snapshot twice: what a refresh of unchanged records costs against the first one, on the embedded sample."""

import os
import shutil
import statistics
import sys
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final
from unittest import mock

import dagster as dg
import pyarrow.parquet as pq

from bench.harness import Goal, Report, Sample, measure, median_and_spread
from pipeline.commands.dagster_home import prepare_dagster_home
from pipeline.definitions import defs
from pipeline.defs.conditions import COSTLY, FOLLOWS_TRAINING
from pipeline.paths import PROJECT_ROOT, Paths

COMMAND: Final = (sys.executable, "-m", "pipeline.commands.cli")
CONFIGURATION: Final = PROJECT_ROOT / "conf" / "sample.yaml"
FIRST: Final = "naturewatch refresh, the first time"
WEEK: Final = "job ingest as the schedule starts it: a new download of the same records"
FOLLOWED: Final = "what the automation asks for then"
INGEST: Final = "naturewatch run --select group:ingest"
AGAIN: Final = "naturewatch refresh, the same again"
ANEW: Final = "ops: {gbif_download: {config: {max_age_days: 0}}}\n"
"""A week later the last download is too old to be used again."""
WEEKS: Final = 2
"""How often a new download is asked for. The first snapshot was compared with nothing, the next ones are not."""
LEARNING: Final = frozenset({*COSTLY, *FOLLOWS_TRAINING})
"""Assets that train, and those that carry on a training."""
STEPS: Final = 5
"""Steps that the notes name, the longest."""


@dataclass(frozen=True, kw_only=True)
class Run:
    """One command, and what it left."""

    sample: Sample
    requests: int
    """Of photographs."""
    requested: frozenset[str]
    """Assets that the automation asks for after it."""
    steps: dict[str, float]
    """Wall seconds of each step."""
    trainings: int
    """Results of trainings that were not there before."""


def run(*, folder: Path, runs: int) -> Report:
    """Refresh an empty data root, then carry on in each way without a change at the source, `runs` times."""
    folder.mkdir(parents=True, exist_ok=True)
    anew = folder / "anew.yaml"
    anew.write_text(ANEW, encoding="utf-8")
    refresh, ingest = (*COMMAND, "refresh"), (*COMMAND, "run", "--select", "group:ingest")
    week = (sys.executable, "-m", "dagster", "job", "execute", "-m", "pipeline.definitions", "-j", "ingest",
            "-c", str(anew))  # fmt: skip
    before = os.getloadavg()[0]
    found: dict[str, list[Run]] = {name: [] for name in (FIRST, WEEK, FOLLOWED, INGEST, AGAIN)}
    for _ in range(runs):
        root = folder / "data"
        shutil.rmtree(root, ignore_errors=True)
        scope = _Scope(root)
        found[FIRST].append(scope.run(refresh, name=FIRST))
        for _ in range(WEEKS):
            found[WEEK].append(scope.run(week, name=WEEK))
            if asked := sorted(found[WEEK][-1].requested):
                found[FOLLOWED].append(
                    scope.run(
                        (*COMMAND, "run", "--select", " or ".join(f"key:{each}" for each in asked)), name=FOLLOWED
                    )
                )
        found[INGEST].append(scope.run(ingest, name=INGEST))
        found[AGAIN].append(scope.run(refresh, name=AGAIN))
    return _report({name: each for name, each in found.items() if each}, runs=runs, load=before)


class _Scope:
    """A data root, with the automation switched on before its first run."""

    def __init__(self, root: Path) -> None:
        self._paths = Paths(data_root=root)
        self._environment = {
            "NATUREWATCH__DATA_ROOT": str(root), "NATUREWATCH_CONFIG": str(CONFIGURATION),
            "NATUREWATCH_LAST_SCOPE": "", "PYTHONPATH": str(PROJECT_ROOT),
            "DAGSTER_HOME": str(self._paths.dagster_home),
        }  # fmt: skip
        with mock.patch.dict(os.environ):
            os.environ.pop("DAGSTER_HOME", None)
            prepare_dagster_home(self._paths)
        self._cursor: Any = None
        with self._instance() as instance:
            self._requested(instance)

    def run(self, command: Sequence[str], *, name: str) -> Run:
        """Run a command to its end, then let the automation look once."""
        requests, trainings = self._requests(), self._trainings()
        sample = measure(
            [sys.executable, "-m", "bench.reaped", *command], environment=self._environment, cwd=PROJECT_ROOT
        )
        with self._instance() as instance:
            done = Run(
                sample=sample,
                requests=self._requests() - requests,
                requested=self._requested(instance),
                steps=_steps(instance),
                trainings=self._trainings() - trainings,
            )
        print(
            f"{name}: {sample.wall_seconds:.1f} s, {sample.cpu_seconds:.1f} CPU s, {done.requests} photo requests, "
            f"then asked for: {', '.join(sorted(done.requested)) or 'nothing'}", flush=True,
        )  # fmt: skip
        return done

    def _instance(self) -> dg.DagsterInstance:
        return dg.DagsterInstance.from_config(str(self._paths.dagster_home))

    def _requests(self) -> int:
        return sum(pq.read_metadata(path).num_rows for path in self._paths.attempts.glob("*.parquet"))

    def _trainings(self) -> int:
        return sum(1 for _ in (self._paths.data_root / "models").glob("*/*/result.json"))

    def _requested(self, instance: dg.DagsterInstance) -> frozenset[str]:
        """One tick of the sensor `follow_changes`: Dagster's own evaluation of all conditions."""
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", category=dg.BetaWarning)
            ticked = dg.evaluate_automation_conditions(defs, instance, cursor=self._cursor)
        self._cursor = ticked.cursor
        return frozenset(
            each.key.to_user_string()
            for each in ticked.results
            if isinstance(each.key, dg.AssetKey) and not each.true_subset.is_empty
        )


def _steps(instance: dg.DagsterInstance) -> dict[str, float]:
    """Wall seconds of each step of the last run."""
    (last,) = instance.get_runs(limit=1)
    found = instance.get_run_step_stats(last.run_id)
    return {each.step_key: each.end_time - each.start_time for each in found if each.start_time and each.end_time}


def _report(found: dict[str, list[Run]], *, runs: int, load: float) -> Report:
    first = found[FIRST]
    share = {name: 100 * statistics.median(_cpu(each)) / statistics.median(_cpu(first)) for name, each in found.items()}
    rows = [
        {
            "what": name,
            "wall s": median_and_spread(_wall(each), digits=1),
            "CPU s": median_and_spread(_cpu(each), digits=1),
            "of the first run's CPU s": f"{share[name]:.1f} %",
            "of its wall s": f"{100 * statistics.median(_wall(each)) / statistics.median(_wall(first)):.1f} %",
            "photo requests": max(one.requests for one in each),
            "new trainings": max(one.trainings for one in each),
            "assets then asked for": max(len(one.requested) for one in each),
            "of them of training and release": max(len(one.requested & LEARNING) for one in each),
        }
        for name, each in found.items()
    ]
    later = [one for name, each in found.items() if name != FIRST for one in each]
    return Report(
        part="refresh_twice",
        title=(
            f"The embedded sample (1,097 photographs) from nothing, then again without a change, {runs} times in data "
            f"roots of their own; load {load:.0f} before; median (least to most)."
        ),
        rows=rows,
        goals=[
            Goal(name="photo requests of all later runs", value=float(sum(one.requests for one in later)), bound=0,
                 kind="at most"),
            Goal(name="trainings of all later runs", value=float(sum(one.trainings for one in later)), bound=0,
                 kind="at most"),
            Goal(name="assets of training and release that the automation asks for", bound=0, kind="at most",
                 value=float(sum(len(one.requested & LEARNING) for one in later))),
            Goal(name="assets that it asks for where the download is the same", bound=0, kind="at most",
                 value=float(sum(len(one.requested) for name in (INGEST, AGAIN) for one in found[name]))),
            *(Goal(name=f"{name}: % of the first run's CPU s", value=share[name], bound=10, kind="at most")
              for name in (INGEST, WEEK)),
        ],
        notes=[
            "CPU seconds are those of the command and of every process that it leaves (`bench.reaped`).",
            "The sample is tiny; no larger scope was measured.",
            "Two weeks pass in each data root; each asks for a new download, which has another key and DOI.",
            "After each run the conditions are evaluated as by the sensor follow_changes, on since before the first.",
            *(_spent(name, each) for name, each in found.items() if name != FIRST),
        ],
    )  # fmt: skip


def _cpu(each: Sequence[Run]) -> list[float]:
    return [one.sample.cpu_seconds for one in each]


def _wall(each: Sequence[Run]) -> list[float]:
    return [one.sample.wall_seconds for one in each]


def _spent(name: str, each: Sequence[Run]) -> str:
    """Where the wall seconds of the run in the middle are."""
    one = sorted(each, key=lambda run: run.sample.wall_seconds)[len(each) // 2]
    longest = sorted(one.steps.items(), key=lambda step: -step[1])
    inside = sum(one.steps.values())
    named = ", ".join(f"{step} {seconds:.1f}" for step, seconds in longest[:STEPS])
    return (
        f"{name}: {one.sample.wall_seconds:.1f} wall s, of which its {len(longest)} steps take {inside:.1f} s one by "
        f"one ({named}); the rest is the start of Python with Dagster and the pipeline, and Dagster between the steps."
    )
