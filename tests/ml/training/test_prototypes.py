"""Class means as a head: the formulas by hand, relatives where photographs are few, nothing for classes without any."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor, nn

from ml.networks.heads import COSINE_SCALE, CosineHead
from ml.training.feature_rows import Held
from ml.training.prototypes import Sums, fit_prototypes, means
from tests.ml.world import PROCESSOR

ABOVE = np.array([0, 0, 1, 1])
"""Two genera of two species each."""


def rows(features: Tensor, labels: list[int]) -> Held:
    return Held(features, torch.tensor(labels), torch.arange(len(labels)) % 3)


def sums_of(held: Held, *, folds: int = 1) -> Sums:
    return Sums.of(held, classes=4, columns=held.features.shape[1], folds=folds, device=PROCESSOR)


@pytest.fixture
def held() -> Held:
    drawn = torch.Generator().manual_seed(0)
    return rows(torch.randn(12, 6, generator=drawn), [0, 0, 0, 0, 0, 0, 1, 2, 2, 2, 2, 3])


def test_a_prototype_is_the_mean_of_normalised_features(held: Held) -> None:
    found = sums_of(held)
    own = means(found.directions[0], found.photos[0], above=ABOVE, shrink=0)
    for label in range(4):
        chosen = held.features[held.labels == label]
        torch.testing.assert_close(own[label], (chosen / chosen.norm(dim=1, keepdim=True)).mean(0))
    folded = sums_of(held, folds=3)
    torch.testing.assert_close(folded.directions.sum(0), found.directions[0])
    assert folded.photos.sum(0).tolist() == found.photos[0].tolist() == [6, 1, 4, 1]


@given(shrink=st.floats(0.1, 100))
def test_a_class_of_n_photographs_keeps_n_of_n_plus_k_of_its_own_mean(shrink: float) -> None:
    features = torch.randn(12, 6, generator=torch.Generator().manual_seed(0))
    found = sums_of(rows(features, [0, 0, 0, 0, 0, 0, 1, 2, 2, 2, 2, 3]))
    directions, photos = found.directions[0], found.photos[0]
    own = means(directions, photos, above=ABOVE, shrink=0)
    shrunken = means(directions, photos, above=ABOVE, shrink=shrink)
    for label, count in enumerate([6, 1, 4, 1]):
        genus = directions[ABOVE[label] == ABOVE].sum(0) / photos[ABOVE[label] == ABOVE].sum()
        share = count / (count + shrink)
        torch.testing.assert_close(shrunken[label], share * own[label] + (1 - share) * genus)


def test_relatives_help_where_photographs_are_few() -> None:
    # Species lie around their genera. Of each there are three noisy photographs to learn from, and many to judge by.
    drawn = torch.Generator().manual_seed(3)
    genera = torch.randn(10, 40, generator=drawn) * 1.5
    above = np.repeat(np.arange(10), 4)
    species = genera[torch.from_numpy(above)] + 0.5 * torch.randn(40, 40, generator=drawn)

    def photographs(count: int) -> Held:
        labels = torch.arange(40).repeat(count)
        features = species[labels] + 2.0 * torch.randn(len(labels), 40, generator=drawn)
        return Held(features, labels, torch.arange(count).repeat_interleave(40) % 3)

    known, unknown = photographs(3), photographs(50)
    found: dict[float, tuple[float, float]] = {}
    for shrinks in ((0.0,), (0.0, 1.0, 4.0)):
        head = CosineHead(features=40, classes=40)
        chosen = fit_prototypes(head, known, folds=3, shrinks=shrinks, scale=None, above=above, device=PROCESSOR)
        with torch.no_grad():
            logits = head(unknown.features)
        loss = float(nn.functional.cross_entropy(logits, unknown.labels))
        genus = torch.from_numpy(above)
        found[chosen] = loss, float((genus[logits.argmax(1)] == genus[unknown.labels]).float().mean())
    (plain, right), (shrunken, more) = found.pop(0.0), next(iter(found.values()))
    assert shrunken < plain
    assert more > right


def test_the_scale_is_that_of_least_loss_on_held_out_photographs(held: Held) -> None:
    head = CosineHead(features=6, classes=4)
    fit_prototypes(head, held, folds=3, shrinks=(0.0,), scale=None, above=None, device=PROCESSOR)
    fixed = CosineHead(features=6, classes=4)
    fit_prototypes(fixed, held, folds=3, shrinks=(0.0,), scale=7.0, above=None, device=PROCESSOR)
    assert fixed.scale.item() == 7.0
    # Noise tells nothing: the least scale is the best.
    assert head.scale.item() == 2.0
    torch.testing.assert_close(head.directions(), fixed.directions())


def test_a_class_without_photographs_is_never_the_answer() -> None:
    features = torch.eye(3, 6) - 0.1
    held = rows(torch.cat([features, features]), [0, 1, 3, 0, 1, 3])
    for shrink in (0.0, 1.0):
        head = CosineHead(features=6, classes=4)
        fit_prototypes(head, held, folds=3, shrinks=(shrink,), scale=None, above=ABOVE, device=PROCESSOR)
        with torch.no_grad():
            logits = head(torch.randn(1000, 6, generator=torch.Generator().manual_seed(1)))
        assert logits.isfinite().all()
        assert 2 not in logits.argmax(1)


def test_where_no_photograph_can_be_judged_the_strongest_is_taken() -> None:
    head = CosineHead(features=6, classes=4)
    alone = rows(torch.eye(4, 6), [0, 1, 2, 3])
    chosen = fit_prototypes(head, alone, folds=3, shrinks=(0.0, 2.0), scale=None, above=ABOVE, device=PROCESSOR)
    assert (chosen, head.scale.item()) == (2.0, COSINE_SCALE)
