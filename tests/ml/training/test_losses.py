"""Losses for rare classes and higher ranks, held against their formulas over the whole tree in double precision."""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from pydantic import ValidationError
from torch import Tensor, nn

from ml.errors import TrainingError
from ml.spec import RANKS, Rank
from ml.taxonomy import Taxonomy
from ml.training.losses import create, move_bias, prior_taken
from ml.training.recipes import PAPER, SAMPLE, Recipe
from tests.ml.world import STEADY


def taxonomy_of(sizes: Sequence[Sequence[Sequence[int]]]) -> Taxonomy:
    """One class of several orders: `sizes[order][family][genus]` species."""
    lineages = [
        (0, 0, 0, order, family, genus, species)
        for order, families in enumerate(sizes)
        for family, genera in enumerate(families)
        for genus, count in enumerate(genera)
        for species in range(count)
    ]
    found: dict[tuple[int, ...], int] = {(): 0}
    for lineage in lineages:
        for depth in range(1, 8):
            found.setdefault(lineage[:depth], len(found))
    rows = []
    for taxon, node in found.items():
        below = [class_id for class_id, lineage in enumerate(lineages) if lineage[: len(taxon)] == taxon]
        rows.append(
            {"node_id": node, "parent_id": found[taxon[:-1]] if taxon else None, "depth": len(taxon),
             "rank": ("root", *RANKS)[len(taxon)], "name": str(node), "taxon_key": None, "placeholder": False,
             "class_id": below[0] if len(taxon) == 7 else None, "leaf_begin": below[0], "leaf_end": below[-1] + 1}
        )  # fmt: skip
    return Taxonomy.of_rows(rows)


trees = st.lists(
    st.lists(st.lists(st.integers(1, 4), min_size=1, max_size=3), min_size=1, max_size=3), min_size=1, max_size=3
)
TREE = taxonomy_of([[[2, 1], [3]], [[1]], [[4, 1, 2], [2, 2]]])
"""18 species."""
COUNTS = np.array([50, 1, 8, 8, 20, 3, 9, 9, 100, 2, 8, 7, 5, 8, 8, 9, 31, 4])


def recipe(base: Recipe = STEADY, **options: Any) -> Recipe:  # noqa: ANN401 (of any field)
    return Recipe.model_validate(base.model_dump() | options)


def loss_of(taxonomy: Taxonomy = TREE, *, counts: NDArray[np.integer] = COUNTS, **options: Any) -> nn.Module:  # noqa: ANN401 (of any field)
    chosen = recipe(**options)
    return create(chosen, counts=counts, taxonomy=taxonomy, rank=chosen.rank)


def numbers(classes: int = 18, *, photos: int = 5, seed: int = 0, scale: float = 3.0) -> tuple[Tensor, Tensor, Tensor]:
    """Logits, class ids and shares of classes."""
    random = torch.Generator().manual_seed(seed)
    logits = scale * torch.randn(photos, classes, generator=random)
    ids = torch.randint(classes, (photos,), generator=random)
    shares = torch.zeros(photos, classes).scatter_(1, ids[:, None], 0.7)
    shares.scatter_add_(1, ids.flip(0)[:, None], torch.full((photos, 1), 0.3))
    return logits, ids, shares


def by_the_formula(
    logits: Tensor, shares: Tensor, *, taxonomy: Taxonomy, weights: dict[Rank, float], smoothing: float = 0.0
) -> float:
    """-sum over ranks, taxa of weight * share of the taxon * log(sum of the probabilities of its species)."""
    probabilities = logits.double().softmax(1).numpy()
    wanted = (1 - smoothing) * shares.double().numpy() + smoothing / logits.shape[1]
    total = 0.0
    for rank, weight in ({"species": 1.0} | weights).items():
        for node in taxonomy.levels[RANKS.index(rank) + 1]:
            below = slice(taxonomy.leaf_begin[node], taxonomy.leaf_end[node])
            total -= weight * float((wanted[:, below].sum(1) * np.log(probabilities[:, below].sum(1))).sum())
    return total / len(logits)


def test_without_options_it_is_cross_entropy() -> None:
    logits, ids, _ = numbers()
    for base in (PAPER, SAMPLE):
        loss = create(base, counts=COUNTS, taxonomy=None, rank="species")
        expected = nn.functional.cross_entropy(logits, ids, label_smoothing=base.label_smoothing)
        assert torch.equal(loss(logits, ids), expected)


@settings(deadline=None, max_examples=40)
@given(
    sizes=trees,
    weights=st.dictionaries(st.sampled_from(RANKS[:-1]), st.floats(0.1, 2), min_size=1),
    smoothing=st.sampled_from([0.0, 0.1]),
    seed=st.integers(0, 99),
)
def test_the_loss_at_each_rank_is_that_of_the_summed_probabilities(
    sizes: list[list[list[int]]], weights: dict[Rank, float], smoothing: float, seed: int
) -> None:
    taxonomy = taxonomy_of(sizes)
    classes = taxonomy.class_count
    logits, ids, shares = numbers(classes, seed=seed)
    loss = loss_of(taxonomy, counts=np.ones(classes, dtype=int), hierarchy=weights, label_smoothing=smoothing)
    for targets, of_each in ((ids, nn.functional.one_hot(ids, classes)), (shares, shares)):
        expected = by_the_formula(logits, of_each, taxonomy=taxonomy, weights=weights, smoothing=smoothing)
        assert loss(logits, targets).item() == pytest.approx(expected, rel=1e-5)


def test_with_one_species_in_each_genus_the_genus_adds_the_same_again() -> None:
    taxonomy = taxonomy_of([[[1], [1]], [[1, 1, 1]]])
    logits, ids, _ = numbers(5)
    loss = loss_of(taxonomy, counts=np.ones(5, dtype=int), hierarchy={"genus": 0.5})
    assert loss(logits, ids).item() == pytest.approx(1.5 * nn.functional.cross_entropy(logits, ids).item())
    above_all = loss_of(taxonomy, counts=np.ones(5, dtype=int), hierarchy={"kingdom": 3.0})
    assert above_all(logits, ids).item() == pytest.approx(nn.functional.cross_entropy(logits, ids).item(), rel=1e-6)


@pytest.mark.parametrize("smoothing", [0.0, 0.1])
def test_gradients_are_those_of_the_numbers(smoothing: float) -> None:
    loss = loss_of(hierarchy={"genus": 0.5, "order": 0.25}, logit_adjustment=1.0, label_smoothing=smoothing).double()
    logits, ids, shares = numbers(photos=3)
    for targets in (ids, shares.double()):
        assert torch.autograd.gradcheck(lambda logits, targets=targets: loss(logits, targets),
                                        logits.double().requires_grad_())  # fmt: skip


def test_a_network_that_is_sure_and_wrong_has_a_finite_loss_and_a_gradient() -> None:
    """exp(-200) is 0 in single precision: sums are relative to their own largest."""
    logits = torch.zeros(1, 18, requires_grad=True)
    wrong = logits + 200 * torch.eye(18)[17]
    loss = loss_of(hierarchy={"genus": 1.0, "family": 1.0})(wrong, torch.tensor([0]))
    loss.backward()
    assert loss.item() == pytest.approx(200 + (200 - math.log(2)) + (200 - math.log(3)), rel=1e-5)
    assert logits.grad is not None
    assert logits.grad[0, 17].item() == pytest.approx(3, rel=1e-5)
    assert logits.grad[0, :3].tolist() == pytest.approx([-1 - 1 / 2 - 1 / 3, -1 / 2 - 1 / 3, -1 / 3], rel=1e-5)


@pytest.mark.parametrize("rank", ["genus", "family"])
def test_a_stage_of_a_higher_rank_sums_up_what_is_below_its_own_classes(rank: Rank) -> None:
    """A genus' probability is that of the stage's class; the family's is the sum over genera, not over species."""
    depth = RANKS.index(rank) + 1
    classes = len(TREE.taxa_at(depth))
    logits, ids, _ = numbers(classes)
    chosen = recipe(rank=rank, hierarchy={"order": 0.5})
    loss = create(chosen, counts=np.ones(classes, dtype=int), taxonomy=TREE, rank=rank)
    order_of = np.searchsorted(TREE.taxa_at(4), TREE.lineages_at(depth)[:, 4])
    probabilities = logits.double().softmax(1).numpy()
    expected = nn.functional.cross_entropy(logits.double(), ids).item()
    for photo, class_id in enumerate(ids):
        expected -= 0.5 * math.log(probabilities[photo, order_of == order_of[class_id]].sum()) / len(ids)
    assert loss(logits, ids).item() == pytest.approx(expected, rel=1e-5)


def test_ranks_that_are_not_above_the_classes_are_refused_or_left_out() -> None:
    with pytest.raises(ValidationError, match="hierarchy weighs ranks above what is learnt, which is genus; leave out"):
        recipe(rank="genus", hierarchy={"genus": 1.0, "family": 1.0})
    with pytest.raises(ValidationError, match=r"hierarchy weighs .* which is species; leave out species"):
        recipe(hierarchy={"species": 1.0})
    with pytest.raises(ValidationError, match="greater than 0"):
        recipe(hierarchy={"genus": 0.0})
    weighed = recipe(hierarchy={"genus": 0.5, "family": 0.25})
    assert weighed.at("genus").hierarchy == {"family": 0.25}
    assert weighed.at("kingdom").hierarchy == {}
    with pytest.raises(TrainingError, match="the loss at genus, family needs a taxonomy in which these ranks are abo"):
        create(weighed, counts=COUNTS, taxonomy=TREE, rank="family")
    with pytest.raises(TrainingError, match="needs a taxonomy"):
        create(weighed, counts=COUNTS, taxonomy=None, rank="species")


@pytest.mark.parametrize("tau", [0.5, 1.0, 2.0])
def test_logits_are_adjusted_by_the_prior(tau: float) -> None:
    """Menon et al. 2021, equation 10: log(1 + sum over others of (prior of it / prior of y) ** tau * exp(f - f_y))."""
    logits, ids, shares = numbers()
    loss, prior = loss_of(logit_adjustment=tau), COUNTS / COUNTS.sum()

    def of(photo: int, y: int) -> float:
        f = logits[photo].double().tolist()
        ratios = [(prior[other] / prior[y]) ** tau * math.exp(f[other] - f[y]) for other in range(18) if other != y]
        return math.log(1 + sum(ratios))

    expected = np.mean([of(photo, int(y)) for photo, y in enumerate(ids)])
    assert loss(logits, ids).item() == pytest.approx(expected, rel=1e-5)
    mixed = np.mean([sum(float(shares[photo, y]) * of(photo, y) for y in range(18)) for photo in range(5)])
    assert loss(logits, shares).item() == pytest.approx(mixed, rel=1e-5)


def test_a_class_without_training_photographs_leaves_the_loss_finite() -> None:
    counts = COUNTS.copy()
    counts[3] = 0
    logits, ids, _ = numbers()
    assert loss_of(counts=counts, logit_adjustment=1.0)(logits, ids).isfinite()
    assert prior_taken(recipe(logit_adjustment=1.0), counts=counts).isfinite().all()


def fitted(loss: nn.Module, *, photos: Tensor) -> Tensor:
    """The logits, one set for all photographs alike, that the loss over `photos` (classes) of each class is least at.

    Photographs that do not differ leave nothing to learn but the prior.
    """
    logits = torch.zeros(len(photos), requires_grad=True)
    optimiser = torch.optim.LBFGS([logits], max_iter=200, tolerance_grad=1e-9, line_search_fn="strong_wolfe")

    def closure() -> float:
        optimiser.zero_grad()
        value = loss(logits[None], (photos / photos.sum())[None])
        value.backward()
        return float(value.item())

    optimiser.step(closure)  # type: ignore[no-untyped-call]
    return logits.detach()


@pytest.mark.parametrize(("tau", "power"), [(1.0, 1.0), (0.5, 1.0), (0.0, 0.0), (0.0, 0.5), (1.0, 0.5), (0.5, 0.5)])
def test_what_the_options_take_from_the_logits_can_be_given_back(tau: float, power: float) -> None:
    counts = np.array([40, 10, 3, 1])
    chosen = recipe(logit_adjustment=tau, sampling=power)
    loss = create(chosen, counts=counts, taxonomy=None, rank="species")
    # The photographs as they are drawn.
    logits = fitted(loss, photos=torch.tensor(counts**power, dtype=torch.float32))
    if tau == 1:
        assert torch.allclose(logits.softmax(0), torch.full((4,), 0.25), atol=1e-3), "all classes as frequent"
    taken = prior_taken(chosen, counts=counts)
    shares = torch.tensor(counts / counts.sum(), dtype=torch.float32)
    assert torch.allclose((logits + taken).softmax(0), shares, atol=1e-3)
    # A head that cross entropy fitted, and what the loss of training would have found in its place.
    head = nn.Linear(2, 4)
    with torch.no_grad():
        head.bias.copy_(shares.log())
    move_bias(head, by=-taken)
    assert torch.allclose(head.bias.softmax(0), logits.softmax(0), atol=1e-3)
    assert head.bias.requires_grad


def test_without_options_nothing_is_taken() -> None:
    assert prior_taken(STEADY, counts=COUNTS).count_nonzero() == 0


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        ({"sampling": 0.0, "logit_adjustment": 1.0}, "no prior is left for logit_adjustment"),
        ({"restore_prior": True}, "restore_prior has nothing to restore"),
        ({"sampling": 1.5}, "less than or equal to 1"),
        ({"logit_adjustment": -1.0}, "greater than or equal to 0"),
        ({"mixup": 0.2, "reuse_frozen": True}, "set reuse_frozen to false"),
        ({"cutmix": 1.0, "reuse_frozen": True}, "set reuse_frozen to false"),
    ],
)
def test_what_has_no_meaning_together_is_refused(options: dict[str, Any], reason: str) -> None:
    with pytest.raises(ValidationError, match=reason):
        recipe(**options)


OPTIONS: list[dict[str, Any]] = [
    {"logit_adjustment": 1.0},
    {"hierarchy": {"genus": 0.5, "class": 0.1}, "label_smoothing": 0.1},
    {"hierarchy": {"family": 0.5}, "logit_adjustment": 1.0, "sampling": 0.5},
]


@pytest.mark.parametrize("options", OPTIONS)
def test_nothing_is_read_back_from_the_device(options: dict[str, Any]) -> None:
    """On the device `meta` nothing has a value: whatever copies one, or depends on one, fails."""
    away = loss_of(**options).to("meta")
    logits = torch.empty(4, 18, device="meta", requires_grad=True)
    for targets in (torch.zeros(4, dtype=torch.int64, device="meta"), torch.zeros(4, 18, device="meta")):
        value = away(logits, targets)
        value.backward()
        assert value.shape == ()


@pytest.mark.parametrize("options", OPTIONS)
def test_the_loss_compiles_as_one_graph(options: dict[str, Any]) -> None:
    logits, ids, shares = numbers()
    loss = loss_of(**options)
    for targets in (ids, shares):
        compiled = torch.compile(loss, backend="aot_eager", fullgraph=True)
        assert torch.allclose(compiled(logits, targets), loss(logits, targets))


def test_half_precision_around_it_does_not_reach_the_loss() -> None:
    logits, ids, shares = numbers()
    loss = loss_of(hierarchy={"genus": 0.5}, logit_adjustment=1.0, label_smoothing=0.1)
    for targets in (ids, shares):
        with torch.autocast("cpu", dtype=torch.bfloat16):
            value = loss(logits, targets)
        assert torch.equal(value, loss(logits, targets))
