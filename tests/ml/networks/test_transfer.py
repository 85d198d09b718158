"""Knowledge transfer: what a network of genera knows, a network of species starts with."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from ml.errors import NetworkError
from ml.networks.description import NetworkSpec
from ml.networks.network import create
from ml.networks.transfer import mix, parents, rare_labels, transfer
from ml.taxonomy import Taxonomy
from tests.ml.specificity_fixtures import random_tree

LITE = NetworkSpec(backbone="tf_efficientnet_lite0", image_size=32, dropout=0)


@pytest.fixture
def taxonomy() -> Taxonomy:
    """Species below several genera."""
    return random_tree(np.random.default_rng(3), leaves=14)


@pytest.mark.parametrize(("rank", "above"), [("species", "genus"), ("species", "order"), ("genus", "family")])
def test_every_taxon_finds_its_parent(taxonomy: Taxonomy, rank: str, above: str) -> None:
    ranks = ("kingdom", "phylum", "class", "order", "family", "genus", "species")
    depth, higher = ranks.index(rank) + 1, ranks.index(above) + 1
    found = parents(taxonomy, rank=rank, above=above)
    own, theirs = taxonomy.taxa_at(depth), taxonomy.taxa_at(higher)
    assert len(found) == len(own)
    for node, parent in zip(own, found, strict=True):
        assert theirs[parent] in taxonomy.lineage(int(node))


def test_knowledge_goes_down_only(taxonomy: Taxonomy) -> None:
    with pytest.raises(NetworkError, match="species is not above genus"):
        parents(taxonomy, rank="genus", above="species")


def test_rare_photographs_are_labelled_by_their_genus(taxonomy: Taxonomy) -> None:
    genera = rare_labels(taxonomy, depth=6)
    assert [genera[int(node)] for node in taxonomy.taxa_at(6)] == list(range(len(taxonomy.taxa_at(6))))
    families = rare_labels(taxonomy, depth=5)
    for genus, family in families.items():
        assert taxonomy.taxa_at(5)[family] in taxonomy.lineage(genus)


def test_with_nothing_random_a_species_scores_as_its_genus_did(taxonomy: Taxonomy) -> None:
    genus = create(LITE.model_copy(update={"rank": "genus"}), taxonomy).eval()
    species = create(LITE, taxonomy).eval()
    parent_of = parents(taxonomy, rank="species", above="genus")
    transfer(genus, species, parent_of=parent_of, mixing=1.0)
    pixels = torch.rand(2, 3, 32, 32)
    with torch.no_grad():
        torch.testing.assert_close(species(pixels), genus(pixels)[:, torch.from_numpy(parent_of)])


def test_views_fusion_and_auxiliary_classifier_travel_too(taxonomy: Taxonomy) -> None:
    spec = NetworkSpec(
        backbone="inception_resnet_v2", image_size=96, views=(1.0, 0.5), auxiliary=True, rank="genus", dropout=0
    )
    genus, species = create(spec, taxonomy), create(spec.model_copy(update={"rank": "species"}), taxonomy)
    assert species.auxiliary is not None
    assert genus.auxiliary is not None
    fresh = species.auxiliary.head.weight.clone()
    parent_of = parents(taxonomy, rank="species", above="genus")
    transfer(genus, species, parent_of=parent_of, mixing=0.5)
    wanted = 0.5**0.5 * (genus.auxiliary.head.weight[torch.from_numpy(parent_of)] + fresh)
    torch.testing.assert_close(species.auxiliary.head.weight, wanted)
    theirs, own = genus.state_dict(), species.state_dict()
    same = [name for name in own if not name.startswith(("head.", "auxiliary.head."))]
    assert any(name.startswith("branches.0") for name in same)
    assert any(name.startswith("fusion") for name in same)
    assert all(torch.equal(own[name], theirs[name]) for name in same)


def test_other_networks_are_refused(taxonomy: Taxonomy) -> None:
    genus = create(LITE.model_copy(update={"rank": "genus"}), taxonomy)
    species = create(LITE.model_copy(update={"views": (1.0, 0.5)}), taxonomy)
    with pytest.raises(NetworkError, match=r"only one of the two networks has branches\.0"):
        transfer(genus, species, parent_of=parents(taxonomy, rank="species", above="genus"), mixing=0.5)


@settings(max_examples=25)
@given(mixing=st.floats(0, 1), seed=st.integers(0, 2**31))
def test_the_mixture_keeps_the_variance(mixing: float, seed: int) -> None:
    torch.manual_seed(seed)
    parent, child = nn.Linear(256, 40), nn.Linear(256, 400)
    nn.init.xavier_uniform_(parent.weight)
    bound = (6 / (256 + 40)) ** 0.5
    nn.init.uniform_(child.weight, -bound, bound)
    parent_of = torch.arange(400) % 40
    fresh, fresh_bias = child.weight.clone(), child.bias.clone()
    mix(parent, child, parent_of=parent_of, mixing=mixing)
    assert child.weight.var().item() == pytest.approx(parent.weight.var().item(), rel=0.05)
    wanted = mixing**0.5 * parent.weight[parent_of] + (1 - mixing) ** 0.5 * fresh
    torch.testing.assert_close(child.weight, wanted)
    torch.testing.assert_close(child.bias, mixing**0.5 * parent.bias[parent_of] + (1 - mixing) ** 0.5 * fresh_bias)


@pytest.mark.parametrize("mixing", [-0.1, 1.1, float("nan")])
def test_the_mixing_factor_is_a_share(mixing: float) -> None:
    with pytest.raises(NetworkError, match="must lie in"):
        mix(nn.Linear(2, 2), nn.Linear(2, 2), parent_of=torch.zeros(2, dtype=torch.int64), mixing=mixing)


def test_positions_are_integers(taxonomy: Taxonomy) -> None:
    assert parents(taxonomy, rank="species", above="genus").dtype == np.int64
