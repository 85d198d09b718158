"""Twelve weeks of a world that grows, errs and recovers: what each refresh asks, trains and promotes.

The world is drawn (`bench.weekly_world`), everything else is real: the embedded GBIF over HTTP, DuckDB, torch on
EfficientNet-Lite0's weights, MLflow, Dagster's own assets and checks.

The exam has about 200 photographs, of which a version that is as good as the champion answers a few others rightly: by
chance alone top-1 changes by one to two points. What may be lost is `MARGIN`, three points; with the thousands of
photographs of a real exam it is one (`gate.top1`). All versions that were ever registered, refused ones too, are put to
the last exam once more, and compared on its photographs of species that each of them knows: what a species was called
while its names were wrong decides nothing there.
"""

import os
import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import dagster as dg
import pyarrow.compute as pc
import pyarrow.parquet as pq

from bench.harness import Goal, Report
from bench.weekly_refresh import Refresh, refresh, run_stage, scope
from bench.weekly_world import GENERA, NEW, SPECIES, SPLIT_OFF, World
from ml.spec import RESULT_FILE, ExaminedVersion, ExamResult
from ml.training.recipes import recipe_of
from pipeline.config.settings import Settings
from pipeline.dataset.manifest import DatasetManifest
from pipeline.exam.child import exam_spec
from pipeline.exam.decision import Decision, read_decision
from pipeline.production.record import Production
from pipeline.registry.promotion import champion_of
from pipeline.tracking.runs import client

SEED: Final = 2017
"""Of the first world."""
MARGIN: Final = 0.03
"""What the gate lets a challenger lose of top-1."""
CONFIGURATION: Final = f"""\
photos: {{licences: [all], requests_per_second: 1000}}
training: {{backbone: tf_efficientnet_lite0, weights: package, recipe: sample, image_size: 64}}
split: {{validation: 0.5}}
refresh: {{network: baseline, most_lost_species: 0.1}}
exam: {{observations_per_species: 40}}
gate:
  top1: {{min_absolute_change: -{MARGIN}}}
  macro_top1: {{min_absolute_change: -{MARGIN + 0.02}}}
  depth: {{min_absolute_change: -0.5}}
  promise: {{min_absolute_change: -0.05}}
"""
"""A merge takes one species of thirteen from the dataset, more than the usual share that may be lost in a week."""
FIRST_PHOTOS: Final = 30
"""Photographs of each kind in the first week."""
OUTAGE, POISONED, SPLIT, MERGED, SAME = 5, 7, 9, 10, 11
"""Numbers of weeks."""


@dataclass(frozen=True, kw_only=True)
class Week:
    """What one week brought and what its refresh did."""

    number: int
    what: str
    came: int
    """Photographs that are new."""
    renamed: int
    """Photographs that got another name."""
    failed: tuple[str, ...]
    """Steps that failed."""
    message: str
    requests: int
    """Photographs that were asked for."""
    how: str
    """How the released training came about: full, continued, or none in this run."""
    photos: int
    """Of the training side of the present dataset."""
    steps: int
    """Of training, in this run."""
    challenger: str | None
    """The version that this run put to the exam."""
    champion: str | None
    """The version that users get afterwards."""
    decision: Decision | None
    """Of this run's gate."""

    @property
    def changed(self) -> int:
        """Photographs that are new or have another name."""
        return self.came + self.renamed

    @property
    def gate(self) -> str:
        """What the gate said, in a word."""
        if self.decision is None:
            return "not reached"
        if self.decision.challenger == self.decision.champion:
            return "champion already"
        return "passed" if self.decision.passed else "refused"

    @property
    def in_full(self) -> int:
        """Steps of a training from nothing on as many photographs."""
        recipe = recipe_of("sample", "baseline")
        return round(recipe.epochs * (self.photos // recipe.batch))


@dataclass(frozen=True, kw_only=True)
class Simulation:
    """The weeks, and how good every version is by the last exam."""

    weeks: tuple[Week, ...]
    photos: int
    """Photographs of the last exam whose species all versions know."""
    top1: Mapping[str, float]
    """Version -> share of these whose species it tells."""

    def champion(self, week: Week) -> float:
        """Top-1 of the version that users get after a week; 0 where they get none."""
        return 0.0 if week.champion is None else self.top1[week.champion]

    def best(self, week: Week) -> float:
        """Top-1 of the best champion until then."""
        return max(self.champion(each) for each in self.weeks if each.number <= week.number)


def run(*, folder: Path, runs: int) -> Report:
    """Simulate the weeks in so many worlds, one after the other."""
    found = []
    for number in range(1, runs + 1):
        place = folder / f"world {number}"
        shutil.rmtree(place, ignore_errors=True)
        place.mkdir(parents=True)
        found.append(simulate(place, seed=SEED + number - 1))
        print(f"world {number}: {', '.join(week.gate for week in found[-1].weeks)}", flush=True)
    return report(found)


def report(found: Sequence[Simulation]) -> Report:
    """The table of all worlds and what is promised of them."""
    return Report(
        part="twelve_weeks",
        title=(
            f"Twelve refreshes of a drawn world, in {len(found)} worlds: {found[0].weeks[0].came} photographs in the "
            f"first week, {sum(week.came for week in found[0].weeks[1:])} in the others."
        ),
        rows=[_row(number, each, week) for number, each in enumerate(found, 1) for week in each.weeks],
        goals=_goals(found),
        notes=[
            (
                "`champion %`, `best %`, `challenger %`: top-1 by the last exam, on its photographs of species that "
                f"all versions know ({', '.join(str(each.photos) for each in found)}). The best is the best champion "
                "so far."
            ),
            (
                f"The gate lets {100 * MARGIN:g} points of top-1 be lost, in the exam of the week and by its names, "
                "against the champion and the best of the year."
            ),
            (
                "`in full`: steps of a training from nothing on as many photographs. A refresh goes through all "
                "photographs in a third of the steps, and where nothing changed it trains nothing."
            ),
            *_refusals(found[0]),
        ],
    )


def simulate(folder: Path, *, seed: int = SEED, each: int = FIRST_PHOTOS) -> Simulation:
    """Run the twelve weeks one after the other, then put all versions to the last exam.

    Args:
        folder: An empty folder.
        seed: Of the world.
        each: Photographs of each kind in the first week.
    """
    world = World(folder / "world", seed=seed)
    with dg.DagsterInstance.ephemeral() as instance, _environment(folder):
        settings = scope(folder, photos=world.csv, text=CONFIGURATION)
        weeks = tuple(_weeks(world, each=each, settings=settings, instance=instance))
        answers = _last_answers(settings, folder=folder / "last exam")
    known = set.intersection(*(set(marks) for marks in answers.values()))
    top1 = {version: sum(marks[photo] for photo in known) / len(known) for version, marks in answers.items()}
    return Simulation(weeks=weeks, photos=len(known), top1=top1)


def _row(world: int, simulation: Simulation, week: Week) -> dict[str, object]:
    refused = week.gate == "refused"
    return {
        "world": world,
        "week": week.number,
        "what happened": week.what,
        "new": week.came,
        "renamed": week.renamed,
        "requests": week.requests,
        "training": week.how,
        "steps": week.steps,
        "in full": week.in_full,
        "gate": week.gate,
        "challenger": week.challenger or "",
        "champion": week.champion,
        "challenger %": f"{100 * simulation.top1[week.challenger]:.1f}" if refused and week.challenger else "",
        "champion %": f"{100 * simulation.champion(week):.1f}",
        "best %": f"{100 * simulation.best(week):.1f}",
    }


def _goals(simulations: Sequence[Simulation]) -> list[Goal]:
    weeks = [week for each in simulations for week in each.weeks]
    below = max(each.best(week) - each.champion(week) for each in simulations for week in each.weeks)
    late = {OUTAGE, OUTAGE + 1}
    return [
        Goal(name=name, value=float(value), bound=bound, kind="at most")
        for name, value, bound in (
            ("weeks without a champion", sum(week.champion is None for week in weeks), 0.0),
            ("most points of top-1 that a champion is below the best so far", 100 * below, 100 * MARGIN),
            ("shuffled names: versions released", sum(w.gate != "refused" for w in weeks if w.number == POISONED), 0.0),
            ("outages: runs that went on", sum(w.failed != ("photos",) for w in weeks if w.number == OUTAGE), 0.0),
            (
                "requests that differ from new photographs, without the outage",
                sum(abs(week.requests - week.came) for week in weeks if week.number not in late),
                0.0,
            ),
            (
                "requests of outage and recovery / photographs that came",
                max(_late_requests(each) for each in simulations),
                2.0,
            ),
            (
                "most steps of a continued week / steps from nothing",
                max(week.steps / week.in_full for week in weeks if week.how == "continued"),
                1 / 3,
            ),
            ("steps of weeks in which nothing came", sum(w.steps for w in weeks if w.number == SAME), 0.0),
        )
    ]


def _late_requests(simulation: Simulation) -> float:
    outage, after = simulation.weeks[OUTAGE - 1], simulation.weeks[OUTAGE]
    return (outage.requests + after.requests) / outage.came


def _refusals(simulation: Simulation) -> list[str]:
    """Why runs of the first world ended early, a sentence for each."""
    return [
        f"World 1, week {week.number}: {_reason(week.message) if week.decision is None else week.decision.failed[0]}."
        for week in simulation.weeks
        if week.failed
    ]


def _reason(message: str) -> str:
    """Without the name of the error, and what is to be done."""
    return message.partition(": ")[2].partition("; ")[0]


def _weeks(world: World, *, each: int, settings: Settings, instance: dg.DagsterInstance) -> Iterator[Week]:
    def week(number: int, what: str, *, came: int = 0, renamed: int = 0, faults: str = "[]") -> Week:
        world.write()
        os.environ["NATUREWATCH__SOURCE__REPLICA__FAULTS"] = faults
        return _week(number, what, came=came, renamed=renamed, settings=settings, instance=instance)

    kinds = (*SPECIES, SPLIT_OFF)
    world.belongs(SPLIT_OFF, "Apis alba")
    first = world.grow(kinds, each=each)
    world.mistake("Bubo alba", "Bubo nigra", share=0.2)
    yield week(1, "first snapshot", came=first)
    yield week(2, "growth", came=world.grow(kinds, each=1))
    yield week(3, "re-identifications", renamed=world.correct())
    yield week(4, "new species", came=world.grow([NEW], each=each // 2))
    kinds = (*kinds, NEW)
    yield week(OUTAGE, "growth in an outage", came=world.grow(kinds, each=4), faults='["outage"]')
    yield week(6, "host is back")
    insects = [kind for kind in kinds if kind.split()[0] in GENERA["Insecta"]]
    yield week(POISONED, "insects' names shuffled", renamed=world.poison(insects))
    right = world.correct()
    yield week(8, "right names, growth", renamed=right, came=world.grow(kinds, each=1))
    yield week(SPLIT, "one species split", renamed=world.belongs(SPLIT_OFF, SPLIT_OFF))
    yield week(MERGED, "two species merged", renamed=world.belongs("Cetonia alba", "Cetonia nigra"))
    yield week(SAME, "nothing")
    yield week(12, "growth", came=world.grow(kinds, each=2))


def _week(number: int, what: str, *, came: int, renamed: int, settings: Settings, instance: dg.DagsterInstance) -> Week:
    trainings, attempts = _files(settings, "models/*/*/history.parquet"), _files(settings, "fetch/attempts/*.parquet")
    done = refresh(instance=instance, run_config={"ops": {"gbif_download": {"config": {"max_age_days": 0}}}})
    trained = _files(settings, "models/*/*/history.parquet") - trainings
    judged, champion = "exam_answers" in done.shown, champion_of(settings)
    return Week(
        number=number,
        what=what,
        came=came,
        renamed=renamed,
        failed=done.failed,
        message="; ".join(done.messages),
        requests=_requests(done, sorted(_files(settings, "fetch/attempts/*.parquet") - attempts)),
        how=Production.read(settings.paths).how if trained else "none",
        photos=DatasetManifest.read(settings.paths).counts["train"],
        steps=sum(pc.max(pq.read_table(path, columns=["step"])["step"]).as_py() or 0 for path in trained),
        challenger=read_decision(settings).challenger if judged else None,
        champion=None if champion is None else str(champion.version),
        decision=read_decision(settings) if judged else None,
    )


def _requests(done: Refresh, attempts: Sequence[Path]) -> int:
    """What the asset showed; where it failed, the photographs in the journal."""
    if "photos" in done.shown:
        return int(done.shown["photos"]["requests of this run"])
    return len({photo for path in attempts for photo in pq.read_table(path)["photo_id"].to_pylist()})


def _files(settings: Settings, pattern: str) -> set[Path]:
    return set(settings.paths.data_root.glob(pattern))


def _last_answers(settings: Settings, *, folder: Path) -> dict[str, dict[str, bool]]:
    """Version -> photograph of the last exam, of a species that it knows -> whether it tells the species."""
    connected, name = client(settings), settings.registry.model_name
    kept = shutil.copytree(settings.paths.exam_answers / "answers", folder / "answers")
    found = {}
    for version in connected.search_model_versions(f"name = '{name}'"):
        number = str(version.version)
        examined = ExaminedVersion(
            name=name,
            number=number,
            folder=connected.get_model_version_download_uri(name, number),
            identity=f"MLflow run {version.run_id}",
        )
        spec = exam_spec(settings, challenger=examined, champion=None, rivals=())
        spec = spec.model_copy(update={"output": folder / number, "answers": kept})
        run_stage(["exam", "--spec", str(spec.write(folder / number / "spec.json"))])
        answers = ExamResult.read(folder / number / RESULT_FILE).challenger.answers
        assert answers is not None  # noqa: S101 (every version has its files)
        rows = pq.read_table(answers, columns=["photo_id", "known", "top1_right"]).to_pylist()
        found[number] = {row["photo_id"]: row["top1_right"] for row in rows if row["known"]}
    return found


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
