"""A trained network goes on under another taxonomy: its layers as they are, its heads' rows moved to the new classes.

Which row goes where is said by `ml.networks.class_moves`. Source of the mixture with chance: paper section 3.2.
"""

import torch
from torch import Tensor, nn

from ml.errors import WarmStartError
from ml.networks.class_moves import ClassMoves
from ml.networks.description import NetworkSpec
from ml.networks.heads import CosineHead
from ml.networks.network import Network
from ml.networks.transfer import mix

MAY_DIFFER = frozenset({"classes", "dropout", "batch_norm_momentum", "precision", "test_time"})
"""What of a description a network may change and still go on from its weights."""


def refuse_others(trained: NetworkSpec, wanted: NetworkSpec) -> None:
    """Raise a WarmStartError that names all differences, where `wanted` is another network than `trained`."""
    different = [
        f"{name} {getattr(trained, name)!r} instead of {getattr(wanted, name)!r}"
        for name in NetworkSpec.model_fields
        if name not in MAY_DIFFER and getattr(trained, name) != getattr(wanted, name)
    ]
    if different:
        raise WarmStartError(
            f"the trained network is another one, with {', '.join(different)}; train from nothing instead"
        )


@torch.no_grad()
def continue_from(old: Network, new: Network, *, moves: ClassMoves, mixing: float) -> None:
    """Give `new` what `old` has learnt; the random part of mixtures is what the heads of `new` hold before.

    Of classes that are what they were, logits are the same to the last bit.

    Args:
        old: A trained network.
        new: The same network with other classes; changed in place.
        moves: Where the rows of the heads go.
        mixing: The paper's a for parts of split classes and for new ones, in [0, 1].

    Raises:
        WarmStartError: the networks differ in more than their classes, or `moves` are those of other classes.
    """
    refuse_others(old.spec, new.spec)
    if len(moves.kept) != new.head.out_features or moves.old.max(initial=-1) >= old.head.out_features:
        raise WarmStartError("the class map belongs to other networks than the trained and the new one")
    by_class = {f"{name}.{part}" for name in ("head", "auxiliary.head") for part in ("weight", "bias")}
    body = {name: tensor for name, tensor in old.state_dict().items() if name not in by_class}
    missing, unexpected = new.load_state_dict(body, strict=False)
    if different := [*unexpected, *sorted(set(missing) - by_class)]:
        raise WarmStartError(f"only one of the two networks has {', '.join(different)}; train from nothing instead")
    for theirs, own in zip(old.heads(), new.heads(), strict=True):
        move_rows(theirs, own, moves=moves, mixing=mixing)


@torch.no_grad()
def move_rows(old: nn.Linear, new: nn.Linear, *, moves: ClassMoves, mixing: float) -> None:
    """Fill the rows of the head `new`; what it holds before is the random part of mixtures.

    Args:
        old: The trained head.
        new: A head of the same features; changed in place.
        moves: Where the rows go.
        mixing: The paper's a, in [0, 1].
    """
    to, of, shares = (torch.from_numpy(array) for array in (moves.new, moves.old, moves.shares))
    kept, mixed, known = (torch.from_numpy(array) for array in (moves.kept, moves.mixed, moves.known))
    rows = _comparable(old)
    parent = nn.Linear(new.in_features, new.out_features)
    parent.weight.zero_().index_add_(0, to, shares[:, None] * rows[of])
    parent.bias.zero_().index_add_(0, to, shares * old.bias[of])
    # Chance is as large as what was learnt: a mixture keeps the variance only where both have the same. That holds for
    # each feature by itself: one that hardly varies has large weights, and as large ones would swamp the others.
    new.weight.mul_(_sizes(rows) / _size(new.weight))
    chance = new.weight.clone(), new.bias.clone()
    mix(parent, new, parent_of=torch.arange(new.out_features), mixing=mixing)
    for own, made, drawn, learnt in zip(_parts(new), _parts(parent), chance, _parts(old), strict=True):
        own[~mixed] = made[~mixed]
        own[~known] = drawn[~known]
        # Where a class has one origin, its share is one; but directions were normalised.
        own[to[kept[to]]] = learnt[of[kept[to]]]


def _parts(head: nn.Linear) -> tuple[Tensor, Tensor]:
    return head.weight, head.bias


def _comparable(head: nn.Linear) -> Tensor:
    """Rows that may be averaged: the length of a direction says nothing."""
    return head.directions() if isinstance(head, CosineHead) else head.weight


def _sizes(rows: Tensor) -> Tensor:
    """Root of the mean square of the rows' numbers, by feature; 1 where all are zero."""
    sizes = rows.square().mean(dim=0).sqrt()
    return sizes if sizes.any() else torch.ones_like(sizes)


def _size(rows: Tensor) -> Tensor:
    """Root of the mean square of all numbers; 1 where all are zero."""
    size = rows.square().mean().sqrt()
    return torch.where(size > 0, size, torch.ones_like(size))
