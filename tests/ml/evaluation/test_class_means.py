"""Class means: what batches add up to is what all photographs at once give."""

from pathlib import Path

import numpy as np
import pytest
import torch

from ml.errors import DataError
from ml.evaluation.class_means import ClassMeans, ClassSums


def test_means_and_covariance_do_not_depend_on_batches(tmp_path: Path) -> None:
    generator = np.random.default_rng(1)
    # Far from zero: in single precision the covariance would drown.
    numbers = (generator.normal(size=(30, 4)) + 300).astype(np.float32)
    labels = generator.integers(0, 3, 30)
    sums = ClassSums(5)
    for begin in range(0, 30, 7):
        sums.add(torch.from_numpy(numbers[begin : begin + 7]), torch.from_numpy(labels[begin : begin + 7]))
    found = ClassMeans.read(sums.means().write(tmp_path / "prototypes.safetensors"))
    means = np.stack([numbers[labels == species].mean(axis=0, dtype=np.float64) for species in range(3)])
    scatter = numbers - means[labels]
    assert np.allclose(found.means[:3], means, rtol=1e-6)
    assert np.allclose(found.covariance, scatter.T @ scatter / 30, atol=1e-6)
    assert found.photos.tolist() == [*np.bincount(labels), 0, 0]
    assert not found.means[3:].any()


def test_nothing_and_damage_are_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no embeddings"):
        ClassSums(2).means()
    (tmp_path / "prototypes.safetensors").write_bytes(b"no tensors")
    with pytest.raises(DataError, match="train again"):
        ClassMeans.read(tmp_path / "prototypes.safetensors")
