"""What a training starts from: the labelled photographs of both sides, and the network with its first weights."""

import torch

from ml.errors import DataError
from ml.images.pack import Pack, Photos, read_rare, read_split
from ml.networks import pretrained
from ml.networks.backbones import find
from ml.networks.class_moves import read_moves
from ml.networks.description import NetworkSpec, Shape
from ml.networks.network import Network, create, has_auxiliary, load
from ml.networks.surgery import continue_from, refuse_others
from ml.networks.transfer import parents, rare_labels, transfer
from ml.spec import RANKS, TrainResult, TrainSpec, WarmStart
from ml.taxonomy import Taxonomy
from ml.training.recipes import Recipe
from ml.training.seeds import seed_of


def read_sides(spec: TrainSpec, *, recipe: Recipe, taxonomy: Taxonomy, pack: Pack) -> tuple[Photos, Photos]:
    """Training and validation photographs, labelled by the taxa of the recipe's rank.

    A stage of a higher rank also learns the photographs of species that are too rare to be classes.

    Raises:
        DataError: a table or a photograph is missing, or the labels are not those of the taxonomy.
    """
    train, validation = (read_split(spec.split, pack=pack, side=side) for side in ("train", "validation"))
    for side in (train, validation):
        low, high = int(side.labels.min()), int(side.labels.max())
        if low < 0 or high >= taxonomy.class_count:
            raise DataError(
                f"the split has class ids from {low} to {high}, but the taxonomy has {taxonomy.class_count} leaves; "
                "materialise taxonomy and split again"
            )
    depth = RANKS.index(recipe.rank) + 1
    labels = taxonomy.labels_at(depth)
    train, validation = train.relabelled(labels), validation.relabelled(labels)
    if recipe.rank != "species" and spec.rare_photos is not None:
        train = train.joined(read_rare(spec.rare_photos, pack=pack, taxa=rare_labels(taxonomy, depth=depth)))
    return train, validation


def first_network(spec: TrainSpec, *, recipe: Recipe, taxonomy: Taxonomy) -> Network:
    """The network before its first step: with pretrained weights, or with what the stage or network before has learnt.

    Raises:
        WarmStartError: the network to go on from is another one, or its class map is one of other trees.
        MlError: the weights cannot be had, or the stage before does not fit.
    """
    torch.manual_seed(seed_of(spec.seed, recipe.stage))
    backbone = find(spec.backbone)
    description = NetworkSpec(
        **backbone.described(),
        rank=recipe.rank,
        image_size=spec.image_size,
        test_time=spec.test_time,
        auxiliary=recipe.auxiliary_weight > 0 and has_auxiliary(backbone, image_size=spec.image_size),
        **recipe.model_dump(include=set(Shape.model_fields)),
    )
    network = create(description, taxonomy)
    if spec.warm_start is not None:
        _go_on(network, spec.warm_start, taxonomy=taxonomy)
        return network
    if spec.parent is None:
        pretrained.initialise(network, source=spec.weights, branches=recipe.branches)
        return network
    before = TrainResult.read(spec.parent)
    parent = load(before.network, before.weights)
    parent_of = parents(taxonomy, rank=recipe.rank, above=parent.spec.rank)
    transfer(parent, network, parent_of=parent_of, mixing=spec.mixing)
    return network


def _go_on(network: Network, start: WarmStart, *, taxonomy: Taxonomy) -> None:
    """Give `network` what the trained network of `start` has learnt."""
    refuse_others(NetworkSpec.read(start.network), network.spec)
    before = load(start.network, start.weights)
    moves = read_moves(start.class_map, old=Taxonomy.read(start.taxonomy), new=taxonomy)
    continue_from(before, network, moves=moves, mixing=start.mixing)
