"""Novelty: the distance is what its formula says, and the share of known species that is served is what happens."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import roc_auc_score

from ml.errors import DataError
from ml.specificity.novelty import (
    SHRINKAGE,
    Novelty,
    Prototypes,
    Singles,
    auroc,
    calibrate_novelty,
    distances_of,
)
from ml.taxonomy import Taxonomy
from tests.ml.specificity_fixtures import BIRDS, Nested, rows_of

SIZE = 5


def embeddings(count: int, *, seed: int, size: int = SIZE) -> Singles:
    return np.random.default_rng(seed).normal(size=(count, size)).astype(np.float32)


@pytest.fixture
def prototypes() -> Prototypes:
    """Of the four species of BIRDS; the second has no photographs."""
    spread = embeddings(20, seed=2)
    photos = np.array([3, 0, 5, 2])
    covariance = (spread.T @ spread / 20).astype(np.float32)
    return Prototypes.of(means=embeddings(4, seed=1) * 2, photos=photos, covariance=covariance)


def test_the_distance_is_the_cosine_of_mahalanobis(prototypes: Prototypes) -> None:
    """cos(a, b) with a'S b as the product of a and b, S the inverse of the shrunk covariance within classes."""
    means, spread, photos = embeddings(4, seed=1) * 2, embeddings(20, seed=2), np.array([3, 0, 5, 2])
    covariance = spread.T @ spread / 20
    sphere = np.trace(covariance) / SIZE * np.eye(SIZE)
    inverse = np.linalg.inv((1 - SHRINKAGE) * covariance + SHRINKAGE * sphere)
    centre = (3 * means[0] + 5 * means[2] + 2 * means[3]) / 10
    for photo, found in zip(embeddings(6, seed=3), prototypes.distances(embeddings(6, seed=3)), strict=True):
        a = photo - centre
        cosines = []
        for species in np.flatnonzero(photos):
            b = means[species] - centre
            cosines.append(a @ inverse @ b / np.sqrt((a @ inverse @ a) * (b @ inverse @ b)))
        # Directions are kept as float16.
        assert found == pytest.approx(1 - max(cosines), abs=2e-3)
    assert prototypes.classes.tolist() == [0, 2, 3]


def test_a_photograph_of_a_genus_that_is_left_out_is_compared_with_the_others_alone(prototypes: Prototypes) -> None:
    tree = Taxonomy.of_rows(rows_of(BIRDS))
    photos, labels = embeddings(8, seed=4), np.array([0, 1, 2, 3, 0, 1, 2, 3], dtype=np.int32)
    rows = np.array([1, 2, 7])
    known, left_out = distances_of(photos, labels, prototypes, tree, rows=rows)
    assert known.tolist() == prototypes.distances(photos[rows]).tolist()
    # The two parrots are of one genus, so the second is not compared with the first either.
    for row, found, kept in zip(rows, left_out, ([1, 2], [0, 2], [0, 1]), strict=True):
        others = Prototypes(
            centre=prototypes.centre, whitening=prototypes.whitening, directions=prototypes.directions[kept],
            classes=prototypes.classes[kept],
        )  # fmt: skip
        assert found == pytest.approx(others.distances(photos[row : row + 1])[0], rel=1e-5)
    assert (left_out >= known).all()


def test_where_there_is_one_genus_none_can_be_left_out() -> None:
    genus: Nested = {
        "Animalia": {"Chordata": {"Aves": {"P": {"S": {"Nestor": {"Nestor notabilis": {}, "N. m.": {}}}}}}}
    }
    tree = Taxonomy.of_rows(rows_of(genus))
    lone = Prototypes.of(
        means=embeddings(2, seed=1), photos=np.array([1, 1]), covariance=np.zeros((SIZE, SIZE), np.float32)
    )
    distances = distances_of(embeddings(4, seed=2), np.zeros(4, np.int32), lone, tree, rows=np.arange(4))
    novelty, quality = calibrate_novelty(lone, calibration=distances, evaluation=distances)
    assert quality.auroc is None
    assert {alarm.found for alarm in quality.alarms} == {None}
    assert novelty.judge(embeddings(1, seed=3))[0]["novel"] is None


@given(
    calibration=st.lists(st.integers(0, 30), min_size=1, max_size=60),
    level=st.sampled_from([0.01, 0.05, 0.1, 0.2]),
)
def test_whichever_photograph_comes_last_at_most_that_share_raises_the_alarm(
    calibration: list[int], level: float
) -> None:
    """The finite-sample law of conformal p-values: of n + 1 photographs in any order, each may be the one of use."""
    values = np.array(calibration, dtype=np.float32)
    raised = 0
    for last in range(len(values)):
        rest = np.sort(np.delete(values, last))
        novelty = Novelty(prototypes=Prototypes.of(
            means=np.ones((1, 1), np.float32), photos=np.ones(1, np.int64), covariance=np.ones((1, 1), np.float32)
        ), known=rest, left_out=rest)  # fmt: skip
        raised += int(novelty.p_values(values[last : last + 1])[0] <= level)
    assert raised <= level * len(values)


def test_the_shares_are_counts(prototypes: Prototypes) -> None:
    distances = prototypes.distances(embeddings(3, seed=5))
    novelty = Novelty(
        prototypes=prototypes, known=np.sort(distances), left_out=np.array([0.0, distances.max()], np.float32)
    )
    answers = novelty.judge(embeddings(3, seed=5))
    ranks = (distances[:, None] <= distances[None]).sum(axis=1)
    assert [answer["known"] for answer in answers] == [(1 + rank) / 4 for rank in ranks]
    assert [answer["novel"] for answer in answers] == [0.5] * 3
    assert [answer["distance"] for answer in answers] == distances.tolist()


def test_alarms_are_judged_on_photographs_that_did_not_calibrate(prototypes: Prototypes) -> None:
    generator = np.random.default_rng(6)
    calibration, evaluation = (
        (generator.uniform(0, 1, n).astype(np.float32), generator.uniform(0.5, 1.5, n).astype(np.float32))
        for n in (399, 1000)
    )
    _, quality = calibrate_novelty(prototypes, calibration=calibration, evaluation=evaluation)
    at_5 = next(alarm for alarm in quality.alarms if alarm.level == 0.05)
    # The alarm's distance is the 20th greatest of 399, near 0.95.
    limit = np.sort(calibration[0])[-20]
    assert at_5.false_alarms == (evaluation[0] > limit).mean()
    assert at_5.low < 0.05 < at_5.high
    assert at_5.found == (evaluation[1] > limit).mean()
    assert (quality.calibration_photos, quality.evaluation_photos) == (399, 1000)


def test_auroc_counts_ties_half() -> None:
    generator = np.random.default_rng(1)
    known, novel = generator.integers(0, 6, 50) / 6, generator.integers(2, 9, 30) / 6
    truth = np.repeat([0, 1], [50, 30])
    assert auroc(known, novel) == pytest.approx(roc_auc_score(truth, np.concatenate([known, novel])))


def test_what_is_written_is_read(prototypes: Prototypes, tmp_path: Path) -> None:
    novelty = Novelty(prototypes=prototypes, known=embeddings(9, seed=1)[:, 0], left_out=np.empty(0, np.float32))
    again = Novelty.read(novelty.write(tmp_path / "novelty.safetensors"))
    assert again.judge(embeddings(5, seed=2)) == novelty.judge(embeddings(5, seed=2))
    (tmp_path / "novelty.safetensors").write_bytes(b"no tensors")
    with pytest.raises(DataError, match="calibrate again"):
        Novelty.read(tmp_path / "novelty.safetensors")


def test_means_that_are_no_numbers_are_refused() -> None:
    numbers = {"photos": np.array([1]), "covariance": np.eye(2, dtype=np.float32)}
    with pytest.raises(DataError, match="not finite"):
        Prototypes.of(means=np.full((1, 2), np.nan, np.float32), **numbers)
    with pytest.raises(DataError, match="no photograph"):
        Prototypes.of(means=np.ones((1, 2), np.float32), **(numbers | {"photos": np.array([0])}))
