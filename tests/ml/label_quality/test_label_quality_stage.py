"""`python -m ml label_quality` judges every photograph by a classifier that never saw it."""

import shutil
import threading
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch
from cleanlab.filter import find_label_issues
from cleanlab.rank import get_label_quality_scores
from numpy.typing import NDArray

from ml.__main__ import main
from ml.child.pipes import Reporter
from ml.errors import DataError, InterruptedTrainingError
from ml.images.loader import Loader
from ml.images.pack import Pack, Photos, read_split
from ml.label_quality import label_quality_stage as stage
from ml.label_quality import out_of_sample
from ml.label_quality.out_of_sample import OutOfSample, Work
from ml.label_quality.photo_features import PhotoFeatures
from ml.networks import embeddings
from ml.networks.embeddings import Embeddings, Pass
from ml.spec import LabelQualityResult, LabelQualitySpec
from ml.training.cross_validation import folds_of
from ml.training.head_solvers import solve_exactly
from tests.ml.world import PER_SPECIES, PROCESSOR, SPECIES, World

PHOTOS = SPECIES * PER_SPECIES
QUIET = Reporter(lambda _: None)


@pytest.fixture(autouse=True)
def _small_pieces(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(embeddings, "PIECE", 5)
    monkeypatch.setattr(embeddings, "BATCH", {"cpu": 5})


def spec_of(world: World, folder: Path, **changes: object) -> LabelQualitySpec:
    values = {
        "output": folder / "out", "spec_hash": "0123456789abcdef", "split": world.split, "taxonomy": world.taxonomy,
        "photos": world.index, "features": folder / "features", "backbone": "test_convnext", "weights": "none",
        "image_size": 32, "folds": 3, "seed": 1, "workers": 0,
    }  # fmt: skip
    return LabelQualitySpec.model_validate(values | changes)


def run(spec: LabelQualitySpec, *, said: list[str] | None = None) -> LabelQualityResult:
    return stage.run(spec, reporter=Reporter((said if said is not None else []).append), stop=threading.Event())


def relabelled(world: World, folder: Path, wrong: dict[str, int], *, without: tuple[str, ...] = ()) -> Path:
    """The split with other classes for some photographs, and without others."""
    table = pq.read_table(world.split)
    rows = [
        row | {"class_id": wrong.get(row["photo_id"], row["class_id"])}
        for row in table.to_pylist()
        if row["photo_id"] not in without
    ]
    pq.write_table(pa.Table.from_pylist(rows, schema=table.schema), folder / "split.parquet")
    return folder / "split.parquet"


def test_a_child_finds_the_photographs_whose_names_were_swapped(world: World, tmp_path: Path) -> None:
    split = relabelled(world, tmp_path, {"003": 1, "106": 2})
    spec = spec_of(world, tmp_path, split=split)
    assert main(["label_quality", "--spec", str(spec.write(tmp_path / "spec.json"))]) == 0
    result = LabelQualityResult.read(spec.output / "result.json")
    scores = pq.read_table(result.scores)
    assert scores.schema.equals(stage.SCORES)
    assert scores["rank"].to_pylist() == list(range(1, PHOTOS + 1))
    first = scores.slice(0, 2).to_pylist()
    assert {(row["photo_id"], row["class_id"], row["suggested_class_id"]) for row in first} == {
        ("003", 1, 0), ("106", 2, 1),
    }, "both sides of the split are judged"  # fmt: skip
    assert all(row["is_issue"] for row in first)
    assert (result.photos, result.judged) == (PHOTOS, PHOTOS)
    assert list((spec.output / stage.HEADS).iterdir()) == []


def test_a_specification_that_is_done_is_not_judged_again(
    world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = run(spec_of(world, tmp_path))
    monkeypatch.setattr(stage, "network_of", None)
    assert run(spec_of(world, tmp_path)) == first


def test_scores_are_those_of_cleanlab_on_the_probabilities_of_the_heads(world: World, tmp_path: Path) -> None:
    spec = spec_of(world, tmp_path, split=relabelled(world, tmp_path, {"003": 1, "106": 2}))
    photos, source, columns = features_of(spec)
    heads = OutOfSample(work_of(photos, source, columns, tmp_path / "heads"))
    probabilities = np.zeros((len(photos), SPECIES))
    for part, _, places, known in heads.predicted(heads.heads()):
        probabilities[places] = part.numpy()
        assert known.all()
    found = heads.run()
    np.testing.assert_allclose(
        found.judgement.margin, get_label_quality_scores(photos.labels, probabilities, method="normalized_margin")
    )
    theirs = find_label_issues(photos.labels, probabilities, filter_by="confident_learning", n_jobs=1)
    assert np.array_equal(found.is_issue, theirs)


def features_of(spec: LabelQualitySpec, *, said: list[str] | None = None) -> tuple[Photos, PhotoFeatures, int]:
    network, pack = stage.network_of(spec, classes=SPECIES), Pack(spec.photos)
    found = Embeddings(
        network, loader=Loader(pack, network.spec, device=PROCESSOR, workers=0),
        folder=spec.features / "embeddings", stop=threading.Event(), reporter=QUIET,
    )  # fmt: skip
    source = PhotoFeatures(found, folder=spec.features / "photographs")
    photos, computed = source.keep(*[read_split(spec.split, pack=pack, side=side) for side in ("train", "validation")])
    if said is not None:
        said.append(str(computed))
    return photos, source, network.head.in_features


def work_of(photos: Photos, source: PhotoFeatures, columns: int, output: Path) -> Work:
    return Work(
        photos=photos, folds=folds_of(photos, observations=photos.photo_ids, seed=1, folds=3), source=source,
        columns=columns, classes=SPECIES, genera=np.zeros(SPECIES, np.int32), output=output, seed=1, device=PROCESSOR,
        reporter=QUIET, stop=threading.Event(),
    )  # fmt: skip


def test_a_grown_dataset_computes_the_features_of_new_photographs_only(world: World, tmp_path: Path) -> None:
    said: list[str] = []
    smaller = relabelled(world, tmp_path, {}, without=("001", "107", "204"))
    features_of(spec_of(world, tmp_path, split=smaller), said=said)
    photos, source, _ = features_of(spec_of(world, tmp_path), said=said)
    features_of(spec_of(world, tmp_path, split=smaller), said=said)
    assert said == [str(PHOTOS - 3), "3", "0"]
    fresh, other, _ = features_of(spec_of(world, tmp_path, features=tmp_path / "fresh"))
    assert sorted(photos.photo_ids) == sorted(fresh.photo_ids)
    np.testing.assert_allclose(by_photo(photos, source), by_photo(fresh, other), rtol=1e-4, atol=1e-5)


def by_photo(photos: Photos, source: PhotoFeatures) -> NDArray[np.float32]:
    whole = Pass(photos)
    features = torch.cat([source.piece(whole, number).features for number in range(whole.pieces)])
    found: NDArray[np.float32] = features.numpy()[np.argsort(photos.photo_ids)]
    return found


def test_features_of_a_training_are_shared(world: World, tmp_path: Path) -> None:
    spec = spec_of(world, tmp_path)
    said: list[str] = []
    network, pack = stage.network_of(spec, classes=SPECIES), Pack(spec.photos)
    training = Embeddings(
        network, loader=Loader(pack, network.spec, device=PROCESSOR, workers=0),
        folder=spec.features / "embeddings", stop=threading.Event(), reporter=QUIET,
    )  # fmt: skip
    training.keep([Pass(read_split(spec.split, pack=pack, side="train"))], title="features")
    features_of(spec, said=said)
    assert said == ["6"], "those of the validation side"


def test_a_damaged_index_or_file_is_computed_again(world: World, tmp_path: Path) -> None:
    spec = spec_of(world, tmp_path)
    said: list[str] = []
    features_of(spec)
    indices = sorted((spec.features / "photographs").rglob("*.npy"))
    indices[0].write_bytes(b"no index")
    (spec.features / "embeddings" / f"{indices[1].stem}.safetensors").unlink()
    features_of(spec, said=said)
    assert 0 < int(said[0]) < PHOTOS


def test_photographs_of_one_observation_are_never_judged_by_each_other(world: World, tmp_path: Path) -> None:
    table = pq.read_table(world.split)
    rows = [
        row | {"observation_id": row["photo_id"][:2] + "x" * (row["photo_id"][2] > "3")} for row in table.to_pylist()
    ]
    pq.write_table(pa.Table.from_pylist(rows, schema=table.schema), tmp_path / "split.parquet")
    result = run(spec_of(world, tmp_path, split=tmp_path / "split.parquet", folds=2))
    folds = {row["photo_id"]: row["fold"] for row in pq.read_table(result.scores).to_pylist()}
    assert all(len({folds[row["photo_id"]] for row in rows if row["observation_id"] == name}) == 1
               for name in {row["observation_id"] for row in rows})  # fmt: skip


def test_a_species_of_one_observation_cannot_be_judged(world: World, tmp_path: Path) -> None:
    only = tuple(f"2{number:02d}" for number in range(1, PER_SPECIES))
    result = run(spec_of(world, tmp_path, split=relabelled(world, tmp_path, {}, without=only)))
    (last,) = [row for row in pq.read_table(result.scores).to_pylist() if row["photo_id"] == "200"]
    assert {last[name] for name in ("rank", "self_confidence", "margin", "is_issue", "suggested_class_id")} == {None}
    assert (result.photos, result.judged) == (PHOTOS - 7, PHOTOS - 8)


def test_one_photograph_alone_has_nobody_to_judge_it(world: World, tmp_path: Path) -> None:
    others = tuple(name for name in pq.read_table(world.split)["photo_id"].to_pylist() if name != "000")
    result = run(spec_of(world, tmp_path, split=relabelled(world, tmp_path, {}, without=others)))
    assert (result.photos, result.judged, result.issues, result.accuracy) == (1, 0, 0, 0.0)


def test_a_photograph_that_cannot_be_read_is_in_the_table_without_a_verdict(world: World, tmp_path: Path) -> None:
    spoiled = world.spoiled(tmp_path / "spoiled", "104")
    result = run(spec_of(spoiled, tmp_path))
    last = pq.read_table(result.scores).to_pylist()[-1]
    assert (last["photo_id"], last["class_id"], last["rank"]) == ("104", 1, None)


def test_in_mini_batches_the_same_photographs_are_suspicious(
    world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    split = relabelled(world, tmp_path, {"003": 1, "106": 2})
    monkeypatch.setattr(out_of_sample, "EXACT_BYTES", 0)
    result = run(spec_of(world, tmp_path, split=split))
    first = pq.read_table(result.scores)["photo_id"].to_pylist()[:2]
    assert set(first) == {"003", "106"}


def test_an_interrupted_run_keeps_the_heads_that_are_finished(
    world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    spec, stop = spec_of(world, tmp_path), threading.Event()
    whole = run(spec_of(world, tmp_path, output=tmp_path / "whole"))
    monkeypatch.setattr(out_of_sample, "WEIGHT_DECAYS", (0.003,))
    again = run(spec_of(world, tmp_path, output=tmp_path / "again"))
    fitted = []

    def second_is_interrupted(*args: object, **options: object) -> None:
        fitted.append(1)
        if len(fitted) == 2:
            stop.set()
        solve_exactly(*args, **options)  # type: ignore[arg-type]

    monkeypatch.setattr(out_of_sample, "solve_exactly", second_is_interrupted)
    with pytest.raises(InterruptedTrainingError):
        stage.run(spec, reporter=QUIET, stop=stop)
    assert len(list((spec.output / stage.HEADS).glob("*.safetensors"))) == 1
    fitted.clear()
    resumed = run(spec)
    assert resumed.scores.read_bytes() == again.scores.read_bytes()
    assert whole.judged == resumed.judged


def test_a_split_of_another_taxonomy_is_refused(world: World, tmp_path: Path) -> None:
    split = relabelled(world, tmp_path, {"003": 9})
    with pytest.raises(DataError, match="materialise both again"):
        run(spec_of(world, tmp_path, split=split))


def test_features_that_vanish_while_they_are_used_end_the_run(world: World, tmp_path: Path) -> None:
    photos, source, _ = features_of(spec_of(world, tmp_path))
    shutil.rmtree(tmp_path / "features" / "embeddings")
    with pytest.raises(OSError, match="run again"):
        source.piece(Pass(photos), 0)
