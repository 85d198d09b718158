"""Losses for many classes of which most are rare: logits adjusted by the prior, and taxa of higher ranks learnt too.

Every loss takes logits (N, classes) in float32 and targets, class ids (N) or a share of each class (N, classes), and
returns the mean over photographs. None copies between a device and the processor, nor has shapes that depend on data:
a step can be recorded as a CUDA graph.
"""

from collections.abc import Mapping
from typing import cast

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from ml.errors import TrainingError
from ml.spec import RANKS, Rank
from ml.taxonomy import Taxonomy
from ml.training.recipes import Recipe


def create(recipe: Recipe, *, counts: NDArray[np.integer], taxonomy: Taxonomy | None, rank: Rank) -> nn.Module:
    """The loss that `recipe` asks for: cross entropy, or with `logit_adjustment` or `hierarchy` a `TaxonLoss`.

    Args:
        recipe: How the network is trained.
        counts: Training photographs of each class. Shape: classes.
        taxonomy: The tree; None will do without `hierarchy`.
        rank: What the classes are.

    Raises:
        TrainingError: the hierarchy has a rank that is not above `rank`, or there is no taxonomy for it.
    """
    if not recipe.logit_adjustment and not recipe.hierarchy:
        return nn.CrossEntropyLoss(label_smoothing=recipe.label_smoothing)
    levels: list[Level] = []
    if recipe.hierarchy:
        if taxonomy is None or any(RANKS.index(each) >= RANKS.index(rank) for each in recipe.hierarchy):
            raise TrainingError(
                f"the loss at {', '.join(recipe.hierarchy)} needs a taxonomy in which these ranks are above {rank}"
            )
        levels = levels_above(taxonomy, rank=rank, weights=recipe.hierarchy)
    return TaxonLoss(
        adjustment=recipe.logit_adjustment * log_prior(counts, sampling=recipe.sampling),
        levels=levels,
        label_smoothing=recipe.label_smoothing,
    )


def log_prior(counts: NDArray[np.integer], *, sampling: float = 1.0) -> Tensor:
    """The logarithm of each class's share among the training photographs as they are drawn, in float32.

    A class without training photographs counts as if it had one: the logarithm of nothing would leave no gradient.

    Args:
        counts: Training photographs of each class. Shape: classes.
        sampling: As in `ml.training.recipes.Recipe`.
    """
    drawn = torch.from_numpy(np.maximum(counts, 1).astype(np.float64)) ** sampling
    return (drawn / drawn.sum()).log().float()


def prior_taken(recipe: Recipe, *, counts: NDArray[np.integer]) -> Tensor:
    """What `recipe` takes from the logits, compared with cross entropy over each photograph once per epoch.

    Cross entropy teaches log p(x | class) + log(prior as drawn), of which the adjustment leaves 1 - tau parts; a class
    with n photographs is drawn in proportion to n ** q. So 1 - q + tau * q parts of log(n) are missing in the logits.
    A constant for all classes changes no probability.

    Returns:
        (classes) float32; zeros without `logit_adjustment` and with a `sampling` of 1.
    """
    missing = 1 - recipe.sampling + recipe.logit_adjustment * recipe.sampling
    return missing * log_prior(counts)


@torch.no_grad()
def move_bias(head: nn.Linear, by: Tensor) -> None:
    """Add `by` (classes) to the bias of `head`: the answers' prior becomes another.

    With minus `prior_taken`, a head that was fitted by cross entropy becomes the one that the loss of training would
    have found, since its bias has no penalty; with plus `prior_taken` it becomes the former again.
    """
    head.bias.add_(by.to(head.bias.device))


class TaxonLoss(nn.Module):
    """Cross entropy over classes, and over taxa of higher ranks, of logits to which a prior was added.

    Logit adjustment (Menon et al. 2021, "Long-tail learning via logit adjustment", equation 10): the softmax of
    logits + tau * log(prior) is fitted, the softmax of the logits alone is the answer. With tau = 1 it is that of a
    world where all classes are as frequent, so that mean accuracy over classes is best. Of photographs as they come
    such probabilities are not calibrated before thresholds are chosen on them: they are chosen on the numbers that are
    served, and hold for these.

    At each rank with a weight, the probability of the true taxon is the sum over the classes below it, and its negative
    logarithm is added (the marginal likelihood of Deng et al. 2014, "Large-Scale Object Classification Using Label
    Relation Graphs", and of Valmadre 2022, "Hierarchical classification at multiple operating points"; weights as in
    Bertinetto et al. 2020, "Making Better Mistakes"). That is cross entropy over the taxa of the rank: the logit of a
    taxon is the log-sum-exp of those below it. Smoothed labels are summed in the same way: what is spread evenly over
    the classes reaches a taxon in proportion to the classes that it has.
    """

    adjustment: Tensor

    def __init__(self, *, adjustment: Tensor, levels: "list[Level]", label_smoothing: float = 0.0) -> None:
        """Add up the losses.

        Args:
            adjustment: Added to the logits (classes).
            levels: The ranks above the classes' own, from the lowest up to the highest with a weight.
            label_smoothing: Share of the target that is spread evenly over all classes.
        """
        super().__init__()
        self.register_buffer("adjustment", adjustment)
        self.levels = nn.ModuleList(levels)
        self.label_smoothing = label_smoothing

    def forward(self, logits: Tensor, targets: Tensor) -> Tensor:
        """The mean loss, a scalar.

        Args:
            logits: (N, classes) float32.
            targets: Class ids (N) int64, or a share of each class (N, classes) float32.
        """
        logits = logits + self.adjustment
        loss = cross_entropy(logits, targets, label_smoothing=self.label_smoothing)
        # Taxa lie in the first dimension, where those of one parent are rows that follow one another.
        nodes, shares = logits.T, targets.T if targets.dim() == 2 else None
        for module in self.levels:
            level = cast("Level", module)
            nodes = level.log_sum_exp(nodes)
            shares = level.sum(shares) if shares is not None else None
            if level.weight:
                wanted = shares.T if shares is not None else level.of_class[targets]
                loss = loss + level.weight * self._at(level, nodes.T, wanted)
        return loss

    def _at(self, level: "Level", logits: Tensor, targets: Tensor) -> Tensor:
        """Cross entropy over the taxa of a rank: logits (N, taxa), targets (N) or (N, taxa)."""
        loss = cross_entropy(logits, targets)
        if self.label_smoothing:
            # Not a matrix product, which would be computed in half precision where the network is.
            spread = -(logits.log_softmax(1) * level.spread).sum(1).mean()
            loss = (1 - self.label_smoothing) * loss + self.label_smoothing * spread
        return loss


class Level(nn.Module):
    """The taxa of one rank, as sums over the taxa of the rank below it.

    Taxa are in preorder: those below one taxon follow one another. Sums over such segments are taken without atomic
    additions, so that a GPU repeats them to the same bits.
    """

    parent: Tensor
    sizes: Tensor
    of_class: Tensor
    spread: Tensor

    def __init__(self, *, parent: NDArray[np.intp], of_class: NDArray[np.intp], weight: float) -> None:
        """Sum up taxa.

        Args:
            parent: For each taxon of the rank below its place in this one, rising.
            of_class: For each class its place in this rank.
            weight: Of the loss at this rank; 0 where it is only a step towards a higher one.
        """
        super().__init__()
        self.weight = weight
        self.register_buffer("parent", torch.from_numpy(parent))
        self.register_buffer("sizes", torch.from_numpy(np.bincount(parent)))
        self.register_buffer("of_class", torch.from_numpy(of_class))
        self.register_buffer("spread", torch.from_numpy(np.bincount(of_class) / len(of_class)).float())

    def sum(self, below: Tensor) -> Tensor:
        """Sums (taxa, N) of numbers of the rank below (taxa below, N)."""
        # Without `unsafe`, the sizes are copied to the processor and looked at.
        return torch.segment_reduce(below.contiguous(), "sum", lengths=self.sizes, axis=0, unsafe=True)

    def log_sum_exp(self, below: Tensor) -> Tensor:
        """Logarithms (taxa, N) of the sums of exponentials, relative to each sum's largest: no sum is ever 0."""
        below = below.contiguous()
        with torch.no_grad():
            largest = torch.segment_reduce(below, "max", lengths=self.sizes, axis=0, unsafe=True)
        return self.sum((below - largest[self.parent]).exp()).log() + largest


def levels_above(taxonomy: Taxonomy, *, rank: Rank, weights: Mapping[Rank, float]) -> list[Level]:
    """The ranks above `rank`, from the lowest up to the highest that has a weight.

    Args:
        taxonomy: The tree.
        rank: What the classes are.
        weights: Of the losses at higher ranks.
    """
    lineages = taxonomy.lineages_at(RANKS.index(rank) + 1)
    weight_at = {RANKS.index(each): weight for each, weight in weights.items()}
    levels, below = [], np.arange(len(lineages))
    for index in range(RANKS.index(rank) - 1, min(weight_at) - 1, -1):
        # The root has no rank: a rank's depth is one more than its place among the ranks.
        _, of_class = np.unique(lineages[:, index + 1], return_inverse=True)
        _, first = np.unique(below, return_index=True)
        levels.append(Level(parent=of_class[first], of_class=of_class, weight=weight_at.get(index, 0.0)))
        below = of_class
    return levels
