"""What decides a training's outcome is in its hash, and nothing else."""

from collections.abc import Callable
from pathlib import Path
from typing import get_args

import pytest
from pydantic import ValidationError

from ml.spec import RESULT_FILE, NetworkName, ThresholdOptions, TrainingOptions
from pipeline.config.settings import Settings
from pipeline.dataset.manifest import DatasetManifest
from pipeline.launching.specs import DECIDING, calibrate_hash, calibrate_spec, train_hash, train_spec, train_specs
from tests.pipeline.trained import dataset, train

STAGES: tuple[NetworkName, ...] = get_args(NetworkName)
Make = Callable[..., Settings]


@pytest.fixture
def manifest(settings: Settings) -> DatasetManifest:
    return dataset(settings.paths)


def hashes(settings: Settings, manifest: DatasetManifest) -> dict[NetworkName, str]:
    return {network: train_hash(settings, manifest, network=network) for network in STAGES}


def test_every_stage_seed_and_dataset_has_a_hash_of_its_own(make_settings: Make, manifest: DatasetManifest) -> None:
    settings = make_settings()
    found = [
        train_hash(settings, version, network=network, seed=seed)
        for network in STAGES
        for seed in (1, 2)
        for version in (manifest, manifest.model_copy(update={"dataset_version": "v2"}))
    ]
    assert len(set(found)) == len(STAGES) * 4
    assert train_hash(settings, manifest, network="baseline") == train_hash(
        settings, manifest, network="baseline", seed=settings.training.seed
    )


@pytest.mark.parametrize("change", [{"workers": 7}, {"recompute": True}, {"repeats": 5}])
def test_what_does_not_decide_the_outcome_trains_nothing_again(
    make_settings: Make, manifest: DatasetManifest, change: dict[str, int]
) -> None:
    assert hashes(make_settings(training=change), manifest) == hashes(make_settings(), manifest)


@pytest.mark.parametrize(
    "change",
    [
        {"processes": 2},
        {"batch_scale": 2},
        {"precision": "bf16"},
        {"compile": True},
        {"cuda_graph": False},
        {"accumulate": 2},
        {"test_time": "mirror"},
    ],
)
def test_how_training_computes_changes_the_last_digits_and_hence_the_hash(
    make_settings: Make, manifest: DatasetManifest, change: dict[str, object]
) -> None:
    before, after = (hashes(settings, manifest) for settings in (make_settings(), make_settings(training=change)))
    assert all(before[network] != after[network] for network in STAGES)


def test_every_option_of_training_decides_or_is_known_not_to() -> None:
    others = {"workers", "recompute", "checkpoint_minutes", "log_steps"}
    assert set(TrainingOptions.model_fields) - others < DECIDING
    assert others.isdisjoint(DECIDING)


def test_workers_are_those_of_the_launcher_where_the_configuration_leaves_them_to_it(
    make_settings: Make, manifest: DatasetManifest
) -> None:
    for chosen, given, expected in ((None, 3, 3), (None, None, None), (5, 3, 5), (0, 3, 0)):
        settings = make_settings(training={"workers": chosen})
        (spec,) = train_specs(settings, manifest, network="baseline", seed=1, tags={}, workers=given)
        assert spec.workers == expected
        assert spec.spec_hash == train_hash(make_settings(), manifest, network="baseline", seed=1)


@pytest.mark.parametrize("change", [{"transfer_mixing": 0.7}, {"literal_schedule": True}])
def test_how_knowledge_is_transferred_concerns_that_network_only(
    make_settings: Make, manifest: DatasetManifest, change: dict[str, object]
) -> None:
    before, after = hashes(make_settings(), manifest), hashes(make_settings(training=change), manifest)
    assert {network for network in STAGES if before[network] != after[network]} == {"knowledge_transfer"}


def test_a_chain_of_ranks_is_learnt_from_the_highest_down(make_settings: Make, manifest: DatasetManifest) -> None:
    settings = make_settings(training={"transfer_ranks": ["family", "genus"]})
    family, genus = train_specs(settings, manifest, network="genus_stage", seed=1, tags={})
    assert (family.rank, genus.rank) == ("family", "genus")
    assert family.parent is None
    assert genus.parent == family.output / RESULT_FILE
    assert family.rare_photos == genus.rare_photos == settings.paths.table("genus_photos")
    (species,) = train_specs(settings, manifest, network="knowledge_transfer", seed=1, tags={})
    assert species.rank is None
    assert species.parent == genus.output / RESULT_FILE
    alone = make_settings()
    (usual,) = train_specs(alone, manifest, network="genus_stage", seed=1, tags={})
    assert usual.rank == "genus"
    assert usual.spec_hash != genus.spec_hash


@pytest.mark.parametrize("ranks", [[], ["species"], ["genus", "family"], ["genus", "genus"]])
def test_knowledge_goes_down_the_hierarchy_only(make_settings: Make, ranks: list[str]) -> None:
    with pytest.raises(ValidationError, match="from the highest down"):
        make_settings(training={"transfer_ranks": ranks})


@pytest.mark.parametrize("change", [{"image_size": 128}, {"recipe": "sample"}, {"seed": 1}, {"weights": "none"}])
def test_what_concerns_all_trains_all_again(
    make_settings: Make, manifest: DatasetManifest, change: dict[str, object]
) -> None:
    before, after = hashes(make_settings(), manifest), hashes(make_settings(training=change), manifest)
    assert all(before[network] != after[network] for network in STAGES)
    settings, changed = make_settings(), make_settings(training=change)
    assert calibrate_hash(settings, manifest, network="multi_view") != calibrate_hash(
        changed, manifest, network="multi_view"
    )


def test_a_file_of_recipes_counts_by_what_it_says(
    make_settings: Make, manifest: DatasetManifest, tmp_path: Path
) -> None:
    files = [tmp_path / name for name in ("a.yaml", "b.yaml", "c.yaml")]
    for file, text in zip(files, ("one", "one", "two"), strict=True):
        file.write_text(f"baseline: {{name: {text}}}")
    first, same, other = (hashes(make_settings(training={"recipe": file}), manifest) for file in files)
    assert first == same != other
    spec = train_spec(make_settings(training={"recipe": files[0]}), manifest, network="baseline", tags={})
    assert spec.recipe == str(files[0])


def test_knowledge_comes_from_the_genus_stage_of_the_same_seed(make_settings: Make, manifest: DatasetManifest) -> None:
    settings = make_settings(training={"repeats": 2, "transfer_mixing": 0.7})
    for seed in settings.training.seeds:
        genera = train_spec(settings, manifest, network="genus_stage", seed=seed, tags={})
        species = train_spec(settings, manifest, network="knowledge_transfer", seed=seed, tags={})
        assert species.parent == genera.output / RESULT_FILE
        assert species.mixing == 0.7
        assert species.rare_photos is None
        assert genera.rare_photos == settings.paths.table("genus_photos")
        assert genera.parent is None
        assert genera.seed == species.seed == seed
    for network in ("baseline", "baseline_matched", "multi_view"):
        spec = train_spec(settings, manifest, network=network, tags={})
        assert (spec.parent, spec.rare_photos, spec.seed) == (None, None, 2017)


def test_every_option_of_the_configuration_is_in_the_specifications(
    make_settings: Make, manifest: DatasetManifest, with_store: None
) -> None:
    training = TrainingOptions(
        image_size=64, workers=3, batch_scale=4, precision="fp16", compile=True, accumulate=2, deterministic=True
    )
    specificity = ThresholdOptions(
        target=0.8, method="hill_climb", reward="information", delta=0.1, temperature=True, groups="class",
        group_photos=7, watch_list=("Aves",), watch_recall=0.5,
    )  # fmt: skip
    settings = make_settings(training=training.model_dump(), specificity=specificity.model_dump())
    train(settings, manifest, network="baseline", seed=2017, skill=2)
    trained = train_spec(settings, manifest, network="baseline", tags={})
    calibrated = calibrate_spec(settings, manifest, network="baseline", tags={})
    assert trained.model_dump(include=set(TrainingOptions.model_fields)) == training.model_dump()
    assert calibrated.model_dump(include=set(ThresholdOptions.model_fields)) == specificity.model_dump()
