"""Folds keep observations together and spread classes; the value is chosen by photographs that fitted no head."""

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from ml.errors import DataError
from ml.images.pack import Photos
from ml.training.cross_validation import choose, folds_of, observations_of
from ml.training.feature_rows import Held, Rows
from tests.ml.world import PROCESSOR, World


def photos_of(labels: list[int]) -> Photos:
    return Photos(
        photo_ids=[str(at) for at in range(len(labels))],
        labels=np.array(labels, dtype=np.int64),
        halves=[None] * len(labels),
        rows=np.arange(len(labels), dtype=np.int64),
    )


@given(sizes=st.lists(st.integers(1, 5), min_size=1, max_size=40), seed=st.integers(0, 9), classes=st.integers(1, 6))
def test_observations_stay_together_and_classes_are_spread(sizes: list[int], seed: int, classes: int) -> None:
    owners = [at for at, size in enumerate(sizes) for _ in range(size)]
    photos = photos_of([owner % classes for owner in owners])
    folds = folds_of(photos, observations=[f"o{owner}" for owner in owners], seed=seed)
    by_owner = {owner: {int(fold) for fold, of in zip(folds, owners, strict=True) if of == owner} for owner in owners}
    assert all(len(found) == 1 for found in by_owner.values())
    for label in range(classes):
        counts = np.bincount([min(by_owner[owner]) for owner in by_owner if owner % classes == label], minlength=3)
        assert counts.max() - counts.min() <= 1


def test_observations_come_from_the_tables(world: World, tmp_path: Path) -> None:
    split, rare = tmp_path / "split.parquet", tmp_path / "rare.parquet"
    pq.write_table(pa.table({"photo_id": ["0", "2"], "observation_id": ["x", None]}), split)
    pq.write_table(pa.table({"photo_id": ["1"], "observation_id": ["x"]}), rare)
    spec = world.spec(tmp_path, split=split, rare_photos=rare)
    assert observations_of(photos_of([0, 0, 0, 0]), spec=spec) == ["x", "x", "photo 2", "photo 3"]
    assert observations_of(photos_of([0]), spec=spec.model_copy(update={"rare_photos": None})) == ["x"]
    with pytest.raises(DataError, match=r"nothing\.parquet"):
        observations_of(photos_of([0]), spec=spec.model_copy(update={"split": tmp_path / "nothing.parquet"}))


def test_the_value_of_least_held_out_loss_is_chosen_and_no_head_sees_what_judges_it() -> None:
    drawn = torch.Generator().manual_seed(0)
    held = Held(torch.randn(30, 4, generator=drawn), torch.arange(30) % 2, torch.arange(30) % 3)
    fitted: list[tuple[float, str]] = []

    def fit(rows: Rows, value: float, begin: nn.Linear | None, name: str) -> nn.Linear:
        assert isinstance(rows, Held)
        assert (begin is None) == (value == 3.0), "the weaker begin where the stronger ended"
        fold = int(name.split()[1].rstrip(",")) - 1
        assert fold not in rows.folds
        fitted.append((value, name))
        head = nn.Linear(4, 3)
        with torch.no_grad():
            head.weight.zero_()
            # The middle value tells the classes as often as they are; the others are sure of the wrong one.
            head.bias.copy_(torch.tensor([0.0, 0.0, -9.0]) if value == 2.0 else torch.tensor([0.0, 0.0, 9.0]))
        return head

    assert choose((1.0, 2.0, 3.0), rows=held, folds=range(3), fit=fit, classes=3, device=PROCESSOR) == 2.0
    assert len(fitted) == 9
    alone = Held(torch.eye(3), torch.arange(3), torch.arange(3))
    assert choose((1.0, 3.0), rows=alone, folds=range(3), fit=fit_nothing, classes=3, device=PROCESSOR) == 3.0


def fit_nothing(rows: Rows, value: float, begin: nn.Linear | None, name: str) -> nn.Linear:
    del rows, value, begin, name
    return nn.Linear(3, 3)
