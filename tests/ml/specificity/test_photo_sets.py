"""Sets of photographs: of one observation, or of one species and different observations; no photograph is in two."""

import numpy as np
import numpy.typing as npt
from hypothesis import given, settings
from hypothesis import strategies as st

from ml.specificity.photo_sets import LARGEST, Basis, Bundles, draw
from ml.taxonomy import Integers


def world(seed: int, photos: int = 120) -> tuple[Integers, npt.NDArray[np.object_], npt.NDArray[np.bool_]]:
    """Labels, observations of one to seven photographs, and which photographs may take part."""
    generator = np.random.default_rng(seed)
    observation = np.repeat(np.arange(photos), generator.integers(1, 8, size=photos))[:photos]
    labels = generator.integers(9, size=photos)[observation].astype(np.int32)
    order = generator.permutation(photos)
    # A whole observation takes part, or none of it.
    chosen = generator.random(photos)[observation] < 0.6
    return labels[order], np.array([f"o{row}" for row in observation[order]], dtype=object), chosen[order]


@settings(max_examples=50, deadline=None)
@given(seed=st.integers(0, 2**32 - 1), basis=st.sampled_from(["observation", "species"]))
def test_sets_have_one_species_and_never_share_a_photograph(seed: int, basis: Basis) -> None:
    labels, observations, chosen = world(seed)
    bundles = draw(labels, observations, chosen, basis=basis, seed=seed)
    for photos in range(2, LARGEST + 1):
        sets = bundles.sets(photos)
        assert sets.shape[1] == photos
        assert len(np.unique(sets)) == sets.size
        assert chosen[sets].all()
        assert (labels[sets] == labels[sets[:, :1]]).all()
        if basis == "observation":
            assert all(len(set(row)) == 1 for row in observations[sets])
            assert len(set(observations[sets[:, 0]])) == len(sets)
        else:
            used = observations[sets.ravel()]
            assert len(set(used)) == len(used)


@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 2**32 - 1))
def test_every_observation_with_enough_photographs_gives_one_set(seed: int) -> None:
    labels, observations, chosen = world(seed)
    bundles = draw(labels, observations, chosen, basis="observation", seed=1)
    _, counts = np.unique(observations[chosen], return_counts=True)
    for photos in range(2, LARGEST + 1):
        assert len(bundles.sets(photos)) == (counts >= photos).sum()


def test_a_species_gives_as_many_sets_as_its_photographs_allow() -> None:
    labels = np.repeat([0, 1, 2], [11, 4, 1]).astype(np.int32)
    bundles = draw(labels, None, np.ones(16, dtype=bool), basis="species", seed=2)
    # Eleven photographs are bundles of five, five and one; the one is none.
    assert sorted(bundles.sizes.tolist()) == [4, 5, 5]
    assert [len(bundles.sets(photos)) for photos in (2, 3, 4, 5)] == [2 * 2 + 2, 3, 3, 2]


def test_photographs_without_observations_have_none_in_common() -> None:
    labels = np.zeros(10, dtype=np.int32)
    assert len(draw(labels, None, np.ones(10, dtype=bool), basis="observation", seed=1).sizes) == 0


def test_an_observation_with_two_names_is_two() -> None:
    labels = np.array([0, 0, 1, 1], dtype=np.int32)
    observations = np.array(["a"] * 4, dtype=object)
    bundles = draw(labels, observations, np.ones(4, dtype=bool), basis="observation", seed=1)
    assert (labels[bundles.sets(2)] == [[0, 0], [1, 1]]).all() or (labels[bundles.sets(2)] == [[1, 1], [0, 0]]).all()


def test_the_draw_is_that_of_the_seed_and_bundles_may_be_limited() -> None:
    labels, observations, chosen = world(3)
    first, same, other = (
        draw(labels, observations, chosen, basis="species", seed=seed).rows.tolist() for seed in (1, 1, 2)
    )
    assert first == same != other
    bundles: Bundles = draw(labels, observations, chosen, basis="observation", seed=1).within(10)
    assert 0 < bundles.sizes.sum() <= 10
