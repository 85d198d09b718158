"""Twelve weeks of a world that grows, errs and recovers: what each refresh asks, trains and promotes.

The world is drawn (`bench.weekly_world`), everything else is real: the embedded GBIF over HTTP, DuckDB, torch on
EfficientNet-Lite0's weights, MLflow, Dagster's own assets and checks.
"""

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import dagster as dg
import pyarrow.compute as pc
import pyarrow.parquet as pq

from bench.weekly_refresh import Refresh, refresh, scope
from bench.weekly_world import GENERA, NEW, SPECIES, SPLIT_OFF, World
from pipeline.config.settings import Settings
from pipeline.exam.decision import Decision, read_decision
from pipeline.production.record import Production
from pipeline.registry.promotion import champion_of

MARGIN: Final = 0.03
"""What the gate lets a challenger lose."""
CONFIGURATION: Final = f"""\
photos: {{licences: [all], requests_per_second: 1000}}
training: {{backbone: tf_efficientnet_lite0, weights: package, recipe: sample, image_size: 64}}
split: {{validation: 0.4}}
refresh: {{network: baseline, most_lost_species: 0.1}}
exam: {{observations_per_species: 30}}
gate:
  top1: {{min_absolute_change: -{MARGIN}}}
  macro_top1: {{min_absolute_change: -{MARGIN + 0.02}}}
  depth: {{min_absolute_change: -1.5}}
  promise: {{min_absolute_change: -0.2}}
"""
FIRST_PHOTOS: Final = 25
"""Photographs of each species in the first week."""


@dataclass(frozen=True, kw_only=True)
class Week:
    """What one week brought and what its refresh did."""

    number: int
    what: str
    changed: int
    """Photographs that came, or that got another name."""
    success: bool
    message: str
    requests: int | None
    """Asked of the photo host; None where the run ended before."""
    steps: int
    """Of training, in this run."""
    how: str
    """How the released training came about."""
    challenger: str | None
    champion: str | None
    decision: Decision | None
    """Of this run's gate."""


def simulate(folder: Path) -> list[Week]:
    """Run the twelve weeks one after the other.

    Args:
        folder: An empty folder.
    """
    world = World(folder / "world")
    with dg.DagsterInstance.ephemeral() as instance, _environment(folder):
        return list(_weeks(world, folder=folder, instance=instance))


def _weeks(world: World, *, folder: Path, instance: dg.DagsterInstance) -> Iterator[Week]:
    settings = scope(folder, photos=world.csv, text=CONFIGURATION)

    def week(number: int, what: str, changed: int, *, faults: str = "") -> Week:
        world.write()
        os.environ["NATUREWATCH__SOURCE__REPLICA__FAULTS"] = f'["{faults}"]' if faults else "[]"
        return _week(number, what, changed, settings=settings, instance=instance)

    world.grow(SPECIES, each=FIRST_PHOTOS)
    world.rename("Bubo alba", "Bubo nigra", share=0.2)
    yield week(1, "the first snapshot", len(world.photographs))
    world.grow(SPECIES, each=1)
    yield week(2, "growth", len(SPECIES))
    yield week(3, "re-identifications", world.correct())
    world.grow([NEW], each=15)
    yield week(4, "a new species", 15)
    world.grow(SPECIES, each=2)
    yield week(5, "growth; half of the photo host is out", 2 * len(SPECIES), faults="outage")
    yield week(6, "the photo host is back", 0)
    before = world.poison([name for name in SPECIES if name.split()[0] in GENERA["Insecta"]])
    yield week(7, "names of all insects shuffled", len(before))
    world.cure(before)
    world.grow(SPECIES, each=1)
    yield week(8, "the names are right again; growth", len(SPECIES))
    yield week(9, "a species is split", world.rename("Apis alba", SPLIT_OFF, share=0.5))
    yield week(10, "two species are merged", world.rename("Cetonia alba", "Cetonia nigra"))
    yield week(11, "nothing", 0)
    world.grow([*SPECIES, NEW], each=1)
    yield week(12, "growth", len(SPECIES) + 1)


def _week(number: int, what: str, changed: int, *, settings: Settings, instance: dg.DagsterInstance) -> Week:
    before = {path: path.stat().st_mtime_ns for path in _histories(settings)}
    done = refresh(instance=instance, run_config={"ops": {"gbif_download": {"config": {"max_age_days": 0}}}})
    trained = [path for path in _histories(settings) if before.get(path) != path.stat().st_mtime_ns]
    judged = "exam_answers" in done.shown
    champion = champion_of(settings)
    return Week(
        number=number,
        what=what,
        changed=changed,
        success=done.success,
        message="; ".join(done.messages),
        requests=_requests(done),
        steps=sum(pc.max(pq.read_table(path, columns=["step"])["step"]).as_py() or 0 for path in trained),
        how=Production.read(settings.paths).how if "production" in done.shown else "none",
        challenger=read_decision(settings).challenger if judged else None,
        champion=None if champion is None else str(champion.version),
        decision=read_decision(settings) if judged else None,
    )


def _requests(done: Refresh) -> int | None:
    shown: Mapping[str, Any] = done.shown.get("photos", {})
    return shown.get("requests of this run")


def _histories(settings: Settings) -> list[Path]:
    return sorted((settings.paths.data_root / "models").glob("*/*/history.parquet"))


@contextmanager
def _environment(folder: Path) -> Iterator[None]:
    """The scope of the simulation, for the block."""
    kept = dict(os.environ)
    os.environ["NATUREWATCH_CONFIG"] = str(folder / "scope.yaml")
    try:
        yield
    finally:
        os.environ.clear()
        os.environ.update(kept)
