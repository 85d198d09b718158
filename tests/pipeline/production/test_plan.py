"""What a decision comes to: trainings to run, and a record of the one that is released next."""

from pathlib import Path

import pytest
from pydantic import ValidationError

from pipeline.config.settings import Settings
from pipeline.dataset.manifest import DatasetManifest
from pipeline.errors import TableError
from pipeline.launching.specs import train_hash
from pipeline.production.choice import Champion, choose
from pipeline.production.plan import facts_of, plan
from pipeline.production.record import Production
from tests.pipeline.production.test_choice import CHAMPION, altered
from tests.pipeline.trained import dataset, train_all

SKILLS = {"baseline": 0.5, "baseline_matched": 0.6, "multi_view": 3.0, "knowledge_transfer": 1.0}


@pytest.fixture
def manifest(settings: Settings) -> DatasetManifest:
    return dataset(settings.paths)


def recorded(settings: Settings, manifest: DatasetManifest, champion: Champion | None) -> Production:
    decision = choose(facts_of(settings, manifest, champion))
    made = plan(settings, manifest, champion, decision, tags={}, workers=None)
    assert made.specs == []
    made.record.write(settings.paths)
    return Production.read(settings.paths)


def test_the_best_of_research_is_adopted_and_stays_once_it_is_the_champion(
    settings: Settings, manifest: DatasetManifest
) -> None:
    for network, skill in SKILLS.items():
        assert facts_of(settings, manifest, None).research == {}
        train_all(settings, manifest, {network: skill})  # type: ignore[dict-item]
    adopted = recorded(settings, manifest, None)
    training = train_hash(settings, manifest, network="multi_view")
    assert (adopted.how, adopted.network, adopted.spec_hash) == ("adopted", "multi_view", training)
    assert adopted.folder == Path("models/multi_view") / training
    assert (adopted.full_photos, adopted.ancestor) == (manifest.counts["train"], None)
    top1 = adopted.training(settings.paths).metrics["top1"]
    champion = altered(
        CHAMPION, dataset_version="v1", training=training, how="adopted", ancestor=None, top1=top1,
        full_photos=adopted.full_photos, first_weights="hub",
    )  # fmt: skip
    kept = recorded(settings, manifest, champion)
    assert kept.model_copy(update={"reason": adopted.reason}) == adopted


def test_a_champion_that_was_continued_keeps_its_ancestry(settings: Settings, manifest: DatasetManifest) -> None:
    champion = altered(CHAMPION, dataset_version="v1", first_weights="package")
    kept = recorded(settings, manifest, champion)
    assert (kept.how, kept.ancestor, kept.full_photos) == ("continued", "2", 1000)
    assert (kept.folder, kept.first_weights) == (Path("models/production/t3"), "package")


@pytest.mark.usefixtures("with_store")
def test_without_any_of_these_the_network_is_trained(settings: Settings, manifest: DatasetManifest) -> None:
    decision = choose(facts_of(settings, manifest, None))
    made = plan(settings, manifest, None, decision, tags={}, workers=None)
    assert [spec.network for spec in made.specs] == ["genus_stage", "knowledge_transfer"]
    assert made.record.how == "full"
    assert settings.paths.data_root / made.record.folder == made.specs[-1].output
    assert made.record.spec_hash == made.specs[-1].spec_hash


def test_a_record_that_is_missing_or_damaged_says_what_to_do(settings: Settings) -> None:
    with pytest.raises(TableError, match="is missing; materialise the asset production"):
        Production.read(settings.paths)
    settings.paths.production.parent.mkdir(parents=True)
    settings.paths.production.write_text("{}")
    with pytest.raises(TableError, match="materialise the asset production again"):
        Production.read(settings.paths)
    with pytest.raises(ValidationError):
        Production.model_validate({"how": "guessed"})
