"""Hierarchical knowledge transfer: a network that knows genera becomes one that is to learn species.

Source: paper section 3.2. Which rank is learnt when is said by `ml.training.recipes`.
"""

import math

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from ml.errors import NetworkError
from ml.networks.network import Network
from ml.spec import RANKS
from ml.taxonomy import Taxonomy


def parents(taxonomy: Taxonomy, *, rank: str, above: str) -> NDArray[np.int64]:
    """The paper's translation t_d, skipping ranks if asked: for each taxon of `rank` its ancestor's position.

    Args:
        taxonomy: The tree.
        rank: What the child network's classes are.
        above: What the parent network's classes are.

    Returns:
        For each class of `rank` the class of `above` that it belongs to.

    Raises:
        NetworkError: `above` is not a rank above `rank`.
    """
    depth, higher = RANKS.index(rank) + 1, RANKS.index(above) + 1
    if higher >= depth:
        raise NetworkError(f"knowledge is transferred down the hierarchy: {above} is not above {rank}")
    own, of_class = taxonomy.taxa_at(depth), taxonomy.labels_at(depth)
    found = np.empty(len(own), dtype=np.int64)
    found[of_class] = taxonomy.labels_at(higher)
    return found


def rare_labels(taxonomy: Taxonomy, *, depth: int) -> dict[int, int]:
    """For each genus (by node id) its class at `depth`: species too rare to be classes are known by their genus."""
    genus = RANKS.index("genus") + 1
    of_class, ancestors = taxonomy.labels_at(depth), taxonomy.ancestors[:, genus]
    return {int(node): int(label) for node, label in zip(ancestors, of_class, strict=True)} if depth <= genus else {}


@torch.no_grad()
def transfer(parent: Network, child: Network, *, parent_of: NDArray[np.int64], mixing: float) -> None:
    """Give `child` what `parent` has learnt: all layers as they are, the heads' rows by `mix`.

    The random part of the mixture is what the child's heads hold when this is called.

    Args:
        parent: A trained network of a higher rank.
        child: A new network of the same parts, changed in place.
        parent_of: For each class of the child its class in the parent.
        mixing: The paper's a: 1 copies the parent's rows, 0 keeps the child's random ones.

    Raises:
        NetworkError: the two differ in more than their classes.
    """
    heads = {f"{name}.{part}" for name in ("head", "auxiliary.head") for part in ("weight", "bias")}
    body = {name: tensor for name, tensor in parent.state_dict().items() if name not in heads}
    missing, unexpected = child.load_state_dict(body, strict=False)
    different = [*unexpected, *sorted(set(missing) - heads)]
    if different:
        raise NetworkError(f"knowledge cannot be transferred: only one of the two networks has {', '.join(different)}")
    for theirs, own in zip(parent.heads(), child.heads(), strict=True):
        mix(theirs, own, parent_of=torch.from_numpy(parent_of), mixing=mixing)


@torch.no_grad()
def mix(parent: nn.Linear, child: nn.Linear, *, parent_of: Tensor, mixing: float) -> None:
    """Mix a head's rows: w = sqrt(a) * parent + sqrt(1 - a) * random, for weights and biases.

    Where both have the same variance, the mixture keeps it (paper section 3.2, "Weight vector randomization").

    Args:
        parent: The trained head.
        child: The freshly drawn head, changed in place; it is the random part.
        parent_of: (child classes) positions among the parent's rows.
        mixing: The paper's a, in [0, 1].

    Raises:
        NetworkError: `mixing` is outside [0, 1].
    """
    if not 0 <= mixing <= 1:
        raise NetworkError(f"the mixing factor must lie in [0, 1], not {mixing}")
    for theirs, own in ((parent.weight, child.weight), (parent.bias, child.bias)):
        own.mul_(math.sqrt(1 - mixing)).add_(theirs[parent_of], alpha=math.sqrt(mixing))
