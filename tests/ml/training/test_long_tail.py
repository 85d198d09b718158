"""Trainings with the options for the long tail: resumed to the same bits, evaluated, and served with either prior."""

import threading
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch
from safetensors.torch import load_file
from torch import Tensor

from ml.child.pipes import Reporter
from ml.devices import joined
from ml.errors import InterruptedTrainingError
from ml.images.augmentation import RandomChanges
from ml.spec import TrainResult
from ml.training import loop, recipes, train
from ml.training.job import Job
from ml.training.loop import fit
from ml.training.losses import prior_taken
from ml.training.recipes import Recipe, Segment
from tests.ml.training.test_loop import stop_after
from tests.ml.training.test_losses import taxonomy_of
from tests.ml.training.test_train import FAST
from tests.ml.world import STEADY, World

pytestmark = pytest.mark.filterwarnings("ignore:The ``noload`` loader strategy is deprecated")

TREE = taxonomy_of([[[2, 1]]])
"""Two species of one genus, one of another."""
TRAINING = (6, 4, 2)
"""Training photographs of each species."""
SHORT = FAST.model_copy(update={"segments": (Segment(epochs=2, rate=1e-3),), "views": (1.0, 0.5)})
EVERYTHING: dict[str, Any] = {
    "logit_adjustment": 1.0, "sampling": 0.5, "restore_prior": True, "mixup": 0.4, "cutmix": 1.0,
    "hierarchy": {"genus": 0.5, "family": 0.25}, "label_smoothing": 0.1,
}  # fmt: skip


@pytest.fixture(scope="module")
def uneven(world: World, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The split of the world with fewer photographs of some species."""
    rows = [
        row for row in pq.read_table(world.split).to_pylist()
        if row["split"] == "validation" or int(row["photo_id"][1:]) < TRAINING[row["class_id"]]
    ]  # fmt: skip
    path = tmp_path_factory.mktemp("uneven") / "split.parquet"
    pq.write_table(pa.Table.from_pylist(rows), path)
    return path


def run(world: World, folder: Path, *, split: Path, recipe: Recipe, stop: threading.Event | None = None) -> TrainResult:
    spec = world.spec(folder, split=split, spec_hash=folder.as_posix())
    with pytest.MonkeyPatch.context() as patched, joined() as device:
        patched.setitem(recipes.RECIPES["sample"], "baseline", recipe)
        result = train.run(spec, device=device, reporter=Reporter(lambda _: None), stop=stop or threading.Event())
    assert result is not None
    return result


def recipe(base: Recipe = SHORT, **options: Any) -> Recipe:  # noqa: ANN401 (of any field)
    return Recipe.model_validate(base.model_dump() | options)


def weights(result: TrainResult) -> dict[str, Tensor]:
    return load_file(result.weights)


def job(world: World, folder: Path, *, recipe: Recipe) -> Job:
    """A training on so many photographs of each species."""
    made = world.job(folder, recipe=recipe)
    made.taxonomy = TREE
    kept = [int(photo_id[1:]) < TRAINING[int(photo_id[0])] for photo_id in made.photos.photo_ids]
    made.photos = made.photos.take(np.flatnonzero(kept))
    return made


LIVELY = recipe(STEADY, views=(1.0, 0.5), dropout=0.2, batch_norm_frozen=False)


@pytest.fixture(scope="module")
def plain(world: World, tmp_path_factory: pytest.TempPathFactory) -> list[dict[str, Any]]:
    """The history of a training without options."""
    return fit(job(world, tmp_path_factory.mktemp("plain"), recipe=LIVELY))


@pytest.mark.parametrize(
    "options",
    [
        {"logit_adjustment": 1.0},
        {"sampling": 0.0},
        {"mixup": 0.4},
        {"cutmix": 1.0},
        {"hierarchy": {"genus": 0.5, "kingdom": 0.1}},
        {"sampling": 0.5, "mixup": 0.4, "cutmix": 1.0},
        {"logit_adjustment": 1.0, "hierarchy": {"family": 0.5}, "cutmix": 1.0},
    ],
    ids=" and ".join,
)
def test_a_training_with_it_stopped_after_any_step_ends_in_the_same_weights(
    world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, options: dict[str, Any],
    plain: list[dict[str, Any]],
) -> None:  # fmt: skip
    chosen = recipe(LIVELY, **options)
    whole, parts, rest = (job(world, tmp_path / folder, recipe=chosen) for folder in ("whole", "parts", "parts"))
    rows = fit(whole)
    stop_after(monkeypatch, 3, stop=parts.stop)
    with pytest.raises(InterruptedTrainingError, match="after step 3 of 4"):
        fit(parts)
    again = fit(rest)
    ours, theirs = whole.network.state_dict(), rest.network.state_dict()
    assert [name for name in ours if not torch.equal(ours[name], theirs[name])] == []
    assert [row["train_loss"] for row in again] == [row["train_loss"] for row in rows]
    assert rows[-1]["train_loss"] != plain[-1]["train_loss"], "the option changes something"


def test_all_together_become_a_result(
    world: World, uneven: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = run(world, tmp_path / "whole", split=uneven, recipe=recipe(**EVERYTHING))
    stop = threading.Event()
    with monkeypatch.context() as patched:
        stop_after(patched, 4, stop=stop)
        with pytest.raises(InterruptedTrainingError, match="after step 4 of 6"):
            run(world, tmp_path / "parts", split=uneven, recipe=recipe(**EVERYTHING), stop=stop)
    parts = run(world, tmp_path / "parts", split=uneven, recipe=recipe(**EVERYTHING))
    ours, theirs = weights(whole), weights(parts)
    assert [name for name in ours if not torch.equal(ours[name], theirs[name])] == []
    history = pq.read_table(whole.history)
    assert history["phase"].to_pylist() == ["probe", "train", "train"]
    assert np.isfinite(history["train_loss"].to_numpy()).all()
    measured = pq.read_table(whole.metrics_table).to_pylist()
    found = {(row["side"], row["metric"], row["group"]) for row in measured}
    assert {("validation", "macro_top1", ""), ("validation", "top1_classes_of", "1_to_9")} <= found


@pytest.mark.parametrize("options", [{"logit_adjustment": 1.0}, {"sampling": 0.5}])
def test_the_prior_can_be_put_back_into_the_head(
    world: World, uneven: Path, tmp_path: Path, options: dict[str, Any]
) -> None:
    balanced, restored = (
        weights(run(world, tmp_path / str(back), split=uneven, recipe=recipe(**options, restore_prior=back)))
        for back in (False, True)
    )
    taken = prior_taken(recipe(**options), counts=np.array(TRAINING))
    assert taken[0] > taken[2]
    assert torch.allclose(restored.pop("head.bias") - balanced.pop("head.bias"), taken, atol=1e-6)
    assert all(torch.equal(restored[name], balanced[name]) for name in balanced)


def test_a_fitted_head_is_moved_to_the_prior_that_training_goes_on_with(
    world: World, uneven: Path, tmp_path: Path
) -> None:
    """Without steps after it, a head with the adjusted loss is the plain one less the prior."""
    plain, adjusted = (
        weights(run(world, tmp_path / str(tau), split=uneven, recipe=recipe(segments=(), logit_adjustment=tau)))
        for tau in (0.0, 1.0)
    )
    log_prior = torch.tensor(np.log(np.array(TRAINING) / sum(TRAINING)), dtype=torch.float32)
    assert torch.allclose(plain["head.bias"] - adjusted["head.bias"], log_prior, atol=1e-6)


def test_a_photograph_that_is_drawn_twice_is_cropped_twice(world: World, tmp_path: Path) -> None:
    drawing = job(world, tmp_path, recipe=recipe(STEADY, sampling=0.0, batch=12))
    few = np.isin(drawing.photos.photo_ids, ["000", "001", "002", "200"])
    drawing.photos = drawing.photos.take(np.flatnonzero(few))
    shown, (group,) = drawing.shown(0), drawing.groups(0)
    assert sorted(group) == list(range(4))
    assert [shown.photo_ids.count("200"), len(set(shown.photo_ids))] == [2, 3], "of four, two of each species"
    changes = RandomChanges(drawing.recipe.augmentation, seed=1, stage="species", epoch=0)
    (batch,) = drawing.loader.batches(shown, groups=[group], changes=changes)
    first, second = (place for place, photo_id in enumerate(shown.photo_ids) if photo_id == "200")
    assert not torch.equal(batch.pixels[first], batch.pixels[second])
    assert batch.labels.tolist() == [int(photo_id[0]) for photo_id in shown.photo_ids]


def test_a_recorded_step_takes_mixed_labels(world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """On a processor the recording is computed anew, on tensors that stay where they are."""
    chosen = recipe(STEADY, **EVERYTHING, views=(1.0, 0.5), segments=(Segment(epochs=3, rate=1.0),))
    eager, recorded = (job(world, tmp_path / name, recipe=chosen) for name in ("eager", "recorded"))
    rows = fit(eager)
    monkeypatch.setattr(loop, "recordable", lambda *_, **__: True)
    again = fit(recorded)
    assert [row["train_loss"] for row in again] == [row["train_loss"] for row in rows]
    ours, theirs = eager.network.state_dict(), recorded.network.state_dict()
    assert all(torch.equal(ours[name], theirs[name]) for name in ours)
