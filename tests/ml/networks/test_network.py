"""Networks: one output per leaf, described by a file, the same after a round trip."""

from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from ml.errors import NetworkError, WeightsError
from ml.networks.description import NetworkSpec
from ml.networks.network import build, count_parameters, create, load, normalisation
from ml.taxonomy import Taxonomy
from tests.ml.world import SPECIES, World

LITE = NetworkSpec(backbone="tf_efficientnet_lite0", image_size=32)


def test_the_taxonomys_leaves_give_the_outputs(world: World) -> None:
    network = create(LITE, Taxonomy.read(world.taxonomy))
    assert network.head.out_features == SPECIES
    assert network.spec.classes == SPECIES
    pixels = torch.zeros(2, 3, 32, 32)
    network.eval()
    assert network(pixels).shape == (2, SPECIES)
    assert torch.equal(network(pixels), network.head(network.features(pixels)))


def test_a_description_of_other_classes_is_refused(world: World) -> None:
    with pytest.raises(NetworkError, match="4 classes, but the taxonomy has 3 of rank species"):
        create(LITE.model_copy(update={"classes": 4}), Taxonomy.read(world.taxonomy))
    with pytest.raises(NetworkError, match="number of classes is not set"):
        build(LITE)
    with pytest.raises(NetworkError, match="no backbone named 'resnet_of_dreams'"):
        build(NetworkSpec(backbone="resnet_of_dreams", classes=2, image_size=32))


def test_a_network_comes_back_from_its_two_files(tmp_path: Path) -> None:
    network = build(LITE.model_copy(update={"classes": 2})).eval()
    network.spec.write(tmp_path / "network.json")
    save_file(network.state_dict(), tmp_path / "weights.safetensors")
    again = load(tmp_path / "network.json", tmp_path / "weights.safetensors")
    pixels = torch.rand(1, 3, 32, 32)
    assert not again.training
    assert torch.equal(network(pixels), again(pixels))
    save_file({"x": torch.zeros(1)}, tmp_path / "weights.safetensors")
    with pytest.raises(WeightsError, match="are not the weights of"):
        load(tmp_path / "network.json", tmp_path / "weights.safetensors")


@pytest.mark.parametrize(
    ("backbone", "mean"),
    [
        ("inception_resnet_v2", (0.5, 0.5, 0.5)),
        ("tf_efficientnet_lite0", (0.5, 0.5, 0.5)),
        ("resnet50.a1_in1k", (0.485, 0.456, 0.406)),
    ],
)
def test_pixels_are_normalised_as_the_pretrained_weights_expect(
    backbone: str, mean: tuple[float, float, float]
) -> None:
    assert normalisation(backbone)[0] == mean


def test_the_new_head_is_xavier_uniform() -> None:
    head = build(LITE.model_copy(update={"classes": 40})).head
    bound = (6 / (1280 + 40)) ** 0.5
    assert head.weight.abs().max() <= bound
    assert head.weight.std().item() == pytest.approx(bound / 3**0.5, rel=0.02)
    assert not head.bias.any()


def test_slims_batch_norm_for_the_paper() -> None:
    spec = LITE.model_copy(update={"classes": 2, "batch_norm_momentum": 0.0003, "batch_norm_eps": 1e-3})
    norms = [module for module in build(spec).modules() if isinstance(module, torch.nn.BatchNorm2d)]
    assert {(norm.momentum, norm.eps) for norm in norms} == {(0.0003, 1e-3)}


def test_the_papers_network_has_its_published_size() -> None:
    network = build(NetworkSpec(backbone="inception_resnet_v2", classes=19_027, image_size=299))
    assert network.head.in_features == 1536
    assert count_parameters(network.head) == 29_244_499
    assert count_parameters(network) == pytest.approx(83.6e6, rel=0.01)
