"""`naturewatch refresh` on a small drawn world: from nothing, then on what changed, on a poisoned week, in an outage."""

import io
import json
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

import dagster as dg
import pyarrow.parquet as pq
import pytest
from rich.console import Console

from bench.weekly_refresh import InProcess, scope
from bench.weekly_world import NEW, SPECIES, World
from ml.serving import identify
from pipeline.commands.run import Outcome, materialise
from pipeline.commands.summary import print_summary
from pipeline.config.settings import Settings
from pipeline.defs.production import REFRESH
from pipeline.exam.decision import Decision, read_decision
from pipeline.paths import PROJECT_ROOT
from pipeline.production.record import Production
from pipeline.registry.ancestor import ancestor_of
from pipeline.registry.promotion import champion_of
from tests.pipeline import tiny

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::dagster.PreviewWarning")

TEXT = """
photos: {requests_per_second: 5000, concurrency: 16}
training: {backbone: tf_efficientnet_lite0, weights: package, recipe: frozen, image_size: 64, workers: 0}
refresh: {network: baseline}
"""
REMOVED = "photos/Bubo-alba-003.jpg"
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
        self.settings: Settings = scope(folder, photos=self.world.csv, text=TEXT)
        self.found: dict[str, Week] = {}

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

    def identified(self, photographs: list[Path], output: Path) -> list[dict[str, Any]]:
        """What the served model answers."""
        registry = ["--tracking-uri", self.settings.tracking_uri, "--model-name", self.settings.registry.model_name]
        assert identify.main([*map(str, photographs), *registry, "--output", str(output)]) == 0
        return [json.loads(line) for line in output.read_text().splitlines()]


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
    return weeks.refresh("again")


def test_from_nothing_the_network_is_trained_and_becomes_the_champion(first: Week) -> None:
    assert first.outcome.problems == []
    assert (first.record.how, first.record.network, first.record.ancestor) == ("full", "baseline", None)
    assert first.champion == "1"
    assert "Production: the network baseline, trained from nothing" in first.said
    assert "Gate: version 1 passed as the first version" in first.said


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
    assert 0 < second.steps <= first.steps / 3
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


def test_the_same_snapshot_again_fetches_and_trains_nothing(second: Week, again: Week) -> None:
    assert again.outcome.problems == []
    assert again.requests == second.requests
    assert again.trainings == second.trainings
    assert again.record.model_copy(update={"reason": second.record.reason}) == second.record
    assert "was trained on this dataset version already" in again.record.reason
    assert again.champion == "2"
