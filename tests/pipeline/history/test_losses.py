"""A dataset that loses too much against the last one stops before any of its tables is written."""

from collections.abc import Callable
from pathlib import Path

import dagster as dg
import pyarrow as pa
import pytest
import yaml

from pipeline.config.settings import Settings
from pipeline.defs.checks import losses_accepted
from pipeline.defs.dataset import species
from pipeline.defs.history import losses
from pipeline.defs.scope_resource import Scope
from pipeline.errors import LossesError, TableError
from pipeline.failures import Failures
from pipeline.history.losses import (
    LossRecord,
    build_losses,
    lost_photographs,
    lost_species,
    problems,
    require_passed,
)
from pipeline.rejections import write_rejections
from pipeline.table_checks import check_table
from tests.pipeline import tiny

Make = Callable[..., Settings]
EACH = 10
"""Photographs of each species."""


class World:
    """Ten species with ten photographs each, one of each occurrence, and what becomes of them."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.species = {f"{kind}-{number}": f"s{kind}" for kind in range(10) for number in range(EACH)}
        self.status: dict[str, str] = {}
        self.rules: dict[str, dict[str, str]] = {"photo_index": {}, "clean_occurrences": {}}
        self.checklist = "backbone"

    def of(self, *kinds: int, most: int = EACH) -> list[str]:
        return [f"{kind}-{number}" for kind in kinds for number in range(most)]

    def gone(self, *photos: str) -> None:
        for photo in photos:
            del self.species[photo]

    def write(self) -> None:
        paths = self.settings.paths
        occurrences = [
            tiny.occurrence(f"o{one}", species=f"Turdus {key}", species_key=key, checklist_key=self.checklist)
            for one, key in self.species.items()
        ]
        tiny.write(paths, "clean_occurrences", occurrences)
        ledger = [
            tiny.photo(one, of=f"o{one}", status=self.status.get(one, "ok"))
            for one in self.species
            if one not in self.rules["photo_index"]
        ]
        tiny.write(paths, "photos", ledger)
        for stage, removed in self.rules.items():
            lines = {"key": [*removed], "rule": [*removed.values()], "detail": [""] * len(removed)}
            write_rejections(paths, stage, pa.table(lines, schema=pa.schema([(name, pa.string()) for name in lines])))

    def judge(self, *, accept: str = "", settings: Settings | None = None) -> LossRecord:
        self.write()
        record = build_losses(self.settings.paths, settings or self.settings, accept=accept)
        assert check_table("losses", self.settings.paths.table("losses")) == []
        return record

    def reasons(self) -> dict[str, int]:
        return {row["reason"]: row["photos"] for row in lost_photographs(self.settings.paths)}


@pytest.fixture
def world(make_settings: Make) -> World:
    return World(make_settings(split={"min_images": 5}))


def test_the_first_dataset_passes_for_want_of_another(world: World) -> None:
    record = world.judge()
    assert record.passed
    assert "nothing to compare with" in record.sentence()
    assert tiny.read(world.settings.paths.table("losses")) == []


def test_each_lost_photograph_has_a_reason(world: World) -> None:
    world.judge()
    paths = world.settings.paths
    world.gone("0-0", "0-1")
    world.rules["clean_occurrences"] = {"o0-1": "doubtful_match"}
    world.rules["photo_index"] = {"1-0": "licence", "1-1": "duplicate_address"}
    world.status = {"2-0": "failed", "2-1": "gone", "2-2": "corrupt", "2-3": "too_large"}
    world.species["3-0"] = "s4"
    world.gone(*world.of(5, most=6))
    record = world.judge()
    assert not record.passed
    assert world.reasons() == {
        "gone from GBIF": 7,
        "too few images": 4,
        "left out by a rule": 2,
        "unusable file": 2,
        "another licence": 1,
        "gone from its host": 1,
        "not fetched": 1,
        "re-identified": 1,
    }
    assert record.photos_lost == 18, "a photograph of another species is not missing"
    assert (record.species_lost, record.species_before, record.photos_before) == (1, 10, 100)
    (lost,) = lost_species(paths)
    assert (lost["species"], lost["photos"]) == ("Turdus s5", 10)
    assert lost["why"] == "6 gone from GBIF, 4 too few images"


def test_a_dataset_that_was_refused_is_nothing_to_compare_with(world: World) -> None:
    first = world.judge()
    whole = dict(world.species)
    world.gone(*world.of(0, 1))
    refused = world.judge()
    assert (refused.passed, refused.last) == (False, first.identity)
    world.gone(*world.of(2))
    assert world.judge().species_lost == 3, "against the last that passed"
    world.species = whole
    restored = world.judge()
    assert restored.passed
    assert restored.species_lost == 0


def test_a_few_may_be_lost_and_the_limits_are_settings(world: World) -> None:
    world.judge()
    world.gone(*(f"{kind}-0" for kind in range(5)))
    refresh = world.settings.refresh.model_copy(update={"most_lost_photos": 0.049})
    assert not world.judge(settings=world.settings.model_copy(update={"refresh": refresh})).passed
    assert world.judge().passed, "five of a hundred photographs: exactly the limit"


def test_a_person_lets_it_pass_once(world: World) -> None:
    world.judge()
    world.gone(*world.of(0))
    assert not world.judge().passed
    with pytest.raises(LossesError, match=r"1 of 10 species and 10 of 100 photographs .* --accept-losses REASON"):
        require_passed(world.settings.paths)
    record = world.judge(accept=" the islands  left the scope ")
    assert (record.passed, record.accepted) == (True, "the islands left the scope")
    require_passed(world.settings.paths)
    assert world.judge() == record, "the same dataset is compared once"
    assert world.reasons() == {"gone from GBIF": 10}
    world.gone(*world.of(1))
    assert not world.judge().passed, "another one is asked about again"


def test_species_are_compared_by_name_where_the_checklist_changes(world: World) -> None:
    world.judge()
    world.checklist = "xr"
    assert world.judge().species_lost == 0
    assert world.reasons() == {}


def test_the_message_lists_species_reasons_and_what_was_changed_on_purpose(world: World) -> None:
    world.judge()
    world.gone(*world.of(0, most=2))
    split = world.settings.split.model_copy(update={"min_images": 9})
    record = world.judge(settings=world.settings.model_copy(update={"split": split}))
    shares, *told = problems(world.settings.paths, world.settings, record)
    assert shares == (
        "1 of 10 species and 10 of 100 photographs of the last dataset are missing; at most 2.0% of species "
        "(refresh.most_lost_species) and 5.0% of photographs (refresh.most_lost_photos) may be"
    )
    assert told == [
        "photographs by reason: 8 too few images, 2 gone from GBIF",
        "species that are lost: Turdus s0: 10 photographs (8 too few images, 2 gone from GBIF)",
        "The scope changed: what is gone may only have left it, what is new may only have entered it.",
        "split.min_images was 5 and is 9.",
        "to let it pass, run again with --accept-losses REASON, or give the asset losses one in the Launchpad",
    ]


def test_only_what_a_comparison_needs_is_kept(world: World) -> None:
    for kind in range(4):
        world.gone(f"{kind}-0")
        record = world.judge()
    assert record.last is not None
    kept = {path.stem for path in world.settings.paths.losses_record.parent.glob("*.parquet")}
    assert kept == {record.identity, record.last}


def test_a_damaged_record_is_named(world: World) -> None:
    world.settings.paths.losses_record.parent.mkdir(parents=True)
    world.settings.paths.losses_record.write_text("{}")
    with pytest.raises(TableError, match=r"losses\.json.*remove the folder"):
        require_passed(world.settings.paths)


def test_a_run_stops_before_species_and_goes_on_with_a_reason(world: World, tmp_path: Path) -> None:
    """The assets and the blocking check in runs of Dagster's."""
    scope = tmp_path / "scope.yaml"
    scope.write_text(yaml.safe_dump(world.settings.model_dump(mode="json", exclude_unset=True)))
    names = ("clean_occurrences", "photo_index", "changes", "photos")
    job = dg.Definitions(
        assets=[losses, species, *map(dg.AssetSpec, names)],
        asset_checks=[losses_accepted],
        resources={"scope": Scope(config_file=str(scope))},
    ).resolve_implicit_global_asset_job_def()

    def run(accept: str = "") -> dg.ExecuteInProcessResult:
        world.write()
        config = {"ops": {"losses": {"config": {"accept": accept}}}} if accept else {}
        return job.execute_in_process(run_config=config, raise_on_error=False)

    table = world.settings.paths.table("species")
    assert run().success
    before = table.read_bytes()
    world.gone(*world.of(7))
    stopped = run()
    assert not stopped.success
    assert table.read_bytes() == before, "the last dataset stays as it was"
    (line,) = Failures().lines(stopped)
    assert line.startswith("losses: the check losses_accepted failed: - 1 of 10 species and 10 of 100 photographs")
    assert "Turdus s7: 10 photographs (10 gone from GBIF)" in line
    assert run("they left the country").success
    assert table.read_bytes() != before
