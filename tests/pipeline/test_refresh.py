"""`naturewatch refresh` on a small drawn world: from nothing, on what changed, on poisoned labels, in an outage."""

import contextlib
import functools
import io
import json
import math
import re
import warnings
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

import dagster as dg
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from rich.console import Console

from bench.weekly_refresh import InProcess, scope
from bench.weekly_world import NEW, SPECIES, World
from ml.identify import command as identify
from ml.spec import TrainSpec
from ml.training.recipes import RECIPES, Segment
from pipeline.commands.release_lines import refusal
from pipeline.commands.run import Outcome, materialise
from pipeline.commands.summary import print_summary
from pipeline.config.settings import Settings
from pipeline.dataset.manifest import DatasetManifest
from pipeline.definitions import defs
from pipeline.defs.conditions import COSTLY, FOLLOWS_TRAINING
from pipeline.defs.production import REFRESH
from pipeline.exam.decision import Decision, read_decision
from pipeline.fetching.fetch import fetch_photos
from pipeline.fetching.hosts import Patience
from pipeline.files import write_json
from pipeline.gbif.source import SourceRecord
from pipeline.launching.replica import PUBLIC_HOST
from pipeline.paths import PROJECT_ROOT
from pipeline.production.record import Production
from pipeline.registry.ancestor import ancestor_of
from pipeline.registry.promotion import champion_of
from pipeline.tracking.runs import client
from pipeline.tracking.tags import REPORT
from tests.pipeline import tiny
from tests.pipeline.photo_server import photo_server

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::dagster.PreviewWarning")

TEXT = """
photos: {requests_per_second: 5000, concurrency: 16}
training: {backbone: tf_efficientnet_lite0, weights: package, recipe: RECIPE, image_size: 80, workers: 0}
refresh: {network: baseline}
gate:
  top1: {min_absolute_change: -0.1}
  macro_top1: {min_absolute_change: -0.1}
  depth: {min_absolute_change: -1.0}
  promise: {min_absolute_change: -0.2}
"""
"""The exam of so small a world is short: a photograph of it is three points."""
REMOVED = "photos/Bubo-alba-003.jpg"
WHOLE = [name for name in SPECIES if name != "Bubo alba"]
"""Species of which nothing was removed."""
LEFT_OUT = dg.AssetSelection.assets("dataset_page")
"""Takes a quarter of a refresh's time, and nothing waits for it."""


@dataclass(kw_only=True)
class Week:
    """What one refresh left."""

    outcome: Outcome
    said: str
    """What the end of the run says."""
    record: Production
    decision: Decision
    champion: str
    requests: int
    """Of photographs, in all weeks so far."""
    sides: dict[str, str]
    """Photograph -> training or validation."""
    trainings: set[Path] = field(default_factory=set)

    @property
    def photos(self) -> int:
        """Of the training side."""
        return sum(side == "train" for side in self.sides.values())

    @property
    def steps(self) -> int:
        """Of the training that was released."""
        return int(max(pq.read_table(self._history)["step"].to_pylist()))

    _history: Path = field(default_factory=Path)


class Weeks:
    """One data root, refreshed again and again in this process."""

    def __init__(self, folder: Path) -> None:
        self.world = World(folder / "world")
        self.world.grow(SPECIES, each=14)
        self.world.write()
        recipe = RECIPES["sample"]["baseline"].model_copy(
            update={"batch": 16, "segments": (Segment(epochs=3, rate=3e-4, cosine=True),)}
        )
        (folder / "recipes.json").write_text(json.dumps({"baseline": recipe.model_dump(mode="json")}))
        text = TEXT.replace("RECIPE", str(folder / "recipes.json"))
        self.settings: Settings = scope(folder, photos=self.world.csv, text=text)
        self.found: dict[str, Week] = {}
        self.asked: set[str] = set()
        """What the automation asked for after the same snapshot."""
        self._cursor: Any = None

    def refresh(self, name: str) -> Week:
        """Run the refresh on the world as it is now."""
        outcome = materialise(self.settings, selection=REFRESH - LEFT_OUT)
        console = Console(width=200, file=io.StringIO(), highlight=False)
        print_summary(self.settings, assets=outcome.assets, seconds=1.0, console=console)
        paths = self.settings.paths
        record, version = Production.read(paths), champion_of(self.settings)
        assert version is not None
        self.found[name] = Week(
            outcome=outcome,
            said=cast("io.StringIO", console.file).getvalue(),
            record=record,
            decision=read_decision(self.settings),
            champion=str(version.version),
            requests=sum(pq.read_metadata(path).num_rows for path in paths.attempts.glob("*.parquet")),
            sides={row["photo_id"]: row["split"] for row in tiny.read(paths.table("split"))},
            trainings=set((paths.data_root / "models").glob("*/*/result.json")),
            _history=record.training(paths).history,
        )
        return self.found[name]

    def requested(self) -> set[str]:
        """What the automation asks for now: Dagster's own evaluation of all conditions, since the last time."""
        with warnings.catch_warnings(), dg.DagsterInstance.get() as instance:
            # Of Dagster's own code.
            warnings.simplefilter("ignore", category=dg.BetaWarning)
            ticked = dg.evaluate_automation_conditions(defs, instance, cursor=self._cursor)
        self._cursor = ticked.cursor
        return {
            each.key.to_user_string()
            for each in ticked.results
            if isinstance(each.key, dg.AssetKey) and not each.true_subset.is_empty
        }

    def identified(self, photographs: list[Path]) -> list[dict[str, Any]]:
        """What the served model answers."""
        registry = ["--tracking-uri", self.settings.tracking_uri, "--model-name", self.settings.registry.model_name]
        printed = io.StringIO()
        with contextlib.redirect_stdout(printed):
            assert identify.main([*map(str, photographs), *registry, "--json"]) == 0
        answers: list[dict[str, Any]] = json.loads(printed.getvalue())
        return answers


@pytest.fixture(scope="module")
def weeks(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Weeks]:
    folder = tmp_path_factory.mktemp("weeks")
    home = folder / "home"
    home.mkdir()
    (home / "dagster.yaml").write_bytes((PROJECT_ROOT / "dagster_home" / "dagster.yaml").read_bytes())
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("DAGSTER_HOME", str(home))
        patch.setenv("NATUREWATCH_CONFIG", str(folder / "scope.yaml"))
        patch.setattr(dg.PipesSubprocessClient, "run", InProcess.run)
        patch.setattr("pipeline.commands.run.raise_on_signals", lambda: None)
        yield Weeks(folder)


@pytest.fixture(scope="module")
def first(weeks: Weeks) -> Week:
    return weeks.refresh("first")


@pytest.fixture(scope="module")
def second(weeks: Weeks, first: Week) -> Week:
    """More photographs of every species, a new species, a removed record."""
    world = weeks.world
    world.grow(SPECIES, each=1)
    world.grow([NEW], each=14)
    world.photographs = [each for each in world.photographs if each.path != REMOVED]
    world.write()
    return weeks.refresh("second")


@pytest.fixture(scope="module")
def again(weeks: Weeks, second: Week) -> Week:
    assert weeks.requested() == set()
    week = weeks.refresh("again")
    weeks.asked = weeks.requested()
    return week


@pytest.fixture(scope="module")
def another_download(weeks: Weeks, again: Week) -> set[str]:
    """The same records under another DOI: what the automation asks for once the manifest names it."""
    assert again.champion == "2"
    paths = weeks.settings.paths
    before = DatasetManifest.read(paths)
    record = SourceRecord.read(paths).model_copy(update={"key": "0000009-1", "doi": "10.15468/dl.another"})
    write_json(paths.current_download, record.model_dump(mode="json"))
    assert materialise(weeks.settings, selection="manifest").problems == []
    after = DatasetManifest.read(paths)
    assert (after.doi, after.dataset_version) == (record.doi, before.dataset_version)
    return weeks.requested()


@pytest.fixture(scope="module")
def poisoned(weeks: Weeks, again: Week) -> Week:
    """A training that is told wrong names: those of the photographs of insects are shuffled among each other."""
    weeks.world.grow(WHOLE, each=1)
    weeks.world.write()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(dg.PipesSubprocessClient, "run", _with_shuffled_names)
        return weeks.refresh("poisoned")


def _with_shuffled_names(client: dg.PipesSubprocessClient, *, command: Sequence[str], **others: Any) -> None:  # noqa: ANN401
    """Run a stage; a training reads a split in which the names of insects are shuffled."""
    file = Path(command[-1])
    if "train" in command:
        spec = TrainSpec.read(file)
        split = pq.read_table(spec.split)
        insects = [row for row in tiny.read(spec.taxonomy) if row["name"] == "Insecta"]
        labels, sides = split["class_id"].to_numpy().copy(), np.array(split["split"].to_pylist())
        chosen = (sides == "train") & (labels >= insects[0]["leaf_begin"]) & (labels < insects[0]["leaf_end"])
        labels[chosen] = np.random.default_rng(3).permutation(labels[chosen])
        column = split.schema.get_field_index("class_id")
        shuffled = split.set_column(column, split.field(column), pa.array(labels, split.field(column).type))
        pq.write_table(shuffled, file.with_name("shuffled.parquet"))
        spec.model_copy(update={"split": file.with_name("shuffled.parquet")}).write(file)
    InProcess.run(cast("InProcess", client), command=command, **others)


@pytest.fixture(scope="module")
def broken(weeks: Weeks, poisoned: Week) -> Week:
    """More photographs, of which the host withholds every second one."""
    weeks.world.grow(WHOLE, each=2)
    weeks.world.write()
    quick = Patience(connect=10, attempts=2, first_wait=0.01, longest_wait=0.02, give_up=5)
    with pytest.MonkeyPatch.context() as patch, photo_server() as server:
        # Asked for within a test, where no configuration from outside counts.
        patch.setenv("NATUREWATCH_CONFIG", str(weeks.settings.data_root.parent / "scope.yaml"))
        server.outage, server.hit = "503", lambda photo_id: int(photo_id) % 2 == 1
        hosts = {PUBLIC_HOST: ("127.0.0.1", server.port)}
        patch.setattr("pipeline.defs.ingest.photo_hosts", lambda _: contextlib.nullcontext(hosts))
        patch.setattr("pipeline.defs.ingest.fetch_photos", functools.partial(fetch_photos, patience=quick))
        return weeks.refresh("broken")


def test_from_nothing_the_network_is_trained_and_becomes_the_champion(first: Week) -> None:
    assert first.outcome.problems == []
    assert (first.record.how, first.record.network, first.record.ancestor) == ("full", "baseline", None)
    assert first.champion == "1"
    assert "Production: the network baseline, trained from nothing" in first.said
    assert "Gate: version 1 passed as the first version" in first.said


def test_each_version_has_its_report(weeks: Weeks, second: Week) -> None:
    report = (weeks.settings.paths.reports / "report.html").read_text(encoding="utf-8")
    name = weeks.settings.registry.model_name
    connected = client(weeks.settings)
    for number in ("1", "2"):
        version = connected.get_model_version(name, number)
        assert version.run_id is not None
        place = version.tags[REPORT].removeprefix(f"runs:/{version.run_id}/")
        kept = Path(connected.download_artifacts(version.run_id, place)).read_text(encoding="utf-8")
        assert f"Report on {name} {number}, scope" in kept
        assert "Only this network was trained on this dataset version" in kept, "a refresh trains one"
        assert "This is the version that users get." in kept
    assert NEW in report


def test_only_new_photographs_are_fetched(first: Week, second: Week) -> None:
    assert first.requests == len(SPECIES) * 14
    assert second.requests - first.requests == len(SPECIES) + 14


def test_old_photographs_stay_on_their_side_and_removed_ones_are_gone(first: Week, second: Week) -> None:
    gone = first.sides.keys() - second.sides.keys()
    assert len(gone) == 1
    assert all(second.sides[photo] == side for photo, side in first.sides.items() if photo not in gone)
    assert len(second.sides) == len(first.sides) - 1 + len(SPECIES) + 14


def test_training_goes_on_from_the_champion_in_a_third_of_the_steps(first: Week, second: Week) -> None:
    assert second.outcome.problems == []
    assert (second.record.how, second.record.ancestor) == ("continued", "1")
    assert second.record.full_photos == first.record.full_photos
    anew = first.steps * second.photos / first.photos
    assert 0 < second.steps <= math.ceil(anew / 3)
    assert f"continued from version 1\n  {second.steps} steps" in second.said


def test_the_gate_compares_both_versions_with_intervals(second: Week) -> None:
    (compared,) = second.decision.comparisons
    assert (second.decision.champion, compared.role) == ("1", "champion")
    top1 = next(verdict for verdict in compared.verdicts if verdict.metric == "top1")
    assert top1.low is not None
    assert top1.high is not None
    assert top1.low <= (top1.change or 0) <= top1.high
    assert "Gate: version 2 passed against version 1" in second.said
    assert re.search(r"top-1.*interval", second.said)


def test_the_new_champion_knows_the_new_species(weeks: Weeks, second: Week) -> None:
    assert second.champion == "2"
    version = champion_of(weeks.settings)
    assert version is not None
    species = pq.read_table(ancestor_of(weeks.settings, version).taxonomy)["name"].to_pylist()
    assert {NEW, *SPECIES} <= set(species)


def test_the_same_snapshot_again_fetches_trains_and_asks_for_nothing(weeks: Weeks, second: Week, again: Week) -> None:
    assert weeks.asked == set()
    assert again.outcome.problems == []
    assert again.requests == second.requests
    assert again.trainings == second.trainings
    assert again.record.model_copy(update={"reason": second.record.reason}) == second.record
    assert "was trained on this dataset version already" in again.record.reason
    assert again.champion == "2"


def test_the_same_records_in_another_download_begin_no_training(again: Week, another_download: set[str]) -> None:
    assert again.outcome.problems == []
    assert another_download & {*COSTLY, *FOLLOWS_TRAINING} == set()


def test_a_version_that_learnt_wrong_names_is_refused_and_the_champion_stays(weeks: Weeks, poisoned: Week) -> None:
    (problem,) = poisoned.outcome.problems
    assert problem.startswith("exam_answers: the check gate failed: - ")
    assert "may be lost" in problem
    assert (poisoned.record.how, poisoned.record.ancestor) == ("continued", "2")
    assert (poisoned.decision.challenger, poisoned.decision.passed) == ("3", False)
    assert poisoned.champion == "2"
    said = "\n".join(refusal(weeks.settings, since=0))
    assert "Gate: version 3 was refused against version 2" in said
    report = (weeks.settings.paths.reports / "report.html").read_text(encoding="utf-8")
    assert f"Report on {weeks.settings.registry.model_name} 2, scope" in report, "the champion's stays"


def test_an_outage_of_half_the_photo_host_ends_with_a_reason_and_the_model_answers_as_before(
    weeks: Weeks, poisoned: Week, again: Week, request: pytest.FixtureRequest
) -> None:
    photographs = [weeks.world.folder / f"photos/{name.replace(' ', '-')}-000.jpg" for name in (NEW, *SPECIES[:2])]
    before = weeks.identified(photographs)
    broken: Week = request.getfixturevalue("broken")
    (problem,) = broken.outcome.problems
    assert problem.startswith("photos: ")
    assert PUBLIC_HOST in problem
    assert "again" in problem
    assert (broken.record, broken.decision, broken.sides) == (poisoned.record, poisoned.decision, poisoned.sides)
    assert broken.champion == again.champion
    assert weeks.identified(photographs) == before
    assert {answer["model"]["version"] for answer in before} == {"2"}
