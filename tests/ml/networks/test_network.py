"""Networks: one output per leaf, described by a file, the same after a round trip."""

from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from timm.layers.norm_act import convert_sync_batchnorm
from timm.utils.model_ema import ModelEmaV3

from ml.errors import NetworkError, WeightsError
from ml.networks.backbones import find
from ml.networks.description import NetworkSpec
from ml.networks.network import build, count_parameters, create, load, save
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
    assert find(backbone).mean == mean


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


def with_counters(state: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    counters = {
        name.replace("running_mean", "num_batches_tracked"): torch.tensor(7)
        for name in state
        if name.endswith("running_mean")
    }
    assert counters
    return state | counters


@pytest.mark.parametrize("backbone", ["tf_efficientnet_lite0", "inception_resnet_v2", "densenet121"])
def test_no_batches_are_counted(backbone: str) -> None:
    spec = NetworkSpec(backbone=backbone, classes=2, image_size=75, views=(1.0, 0.5))
    network = build(spec.model_copy(update={"auxiliary": backbone == "inception_resnet_v2"}))
    assert not [name for name in network.state_dict() if "num_batches_tracked" in name]
    norms = [module for module in network.modules() if isinstance(module, torch.nn.BatchNorm2d)]
    assert all(norm.momentum is not None and norm.num_batches_tracked is None for norm in norms)
    network.train().outputs(torch.rand(2, 2, 3, 75, 75))
    assert all(norm.running_mean is not None and norm.running_mean.any() for norm in norms), "statistics go on"


def test_weights_with_and_without_counters_load_and_others_do_not(tmp_path: Path) -> None:
    network = build(LITE.model_copy(update={"classes": 2}))
    again = build(network.spec)
    plain = dict(network.state_dict())
    description, weights = save(network, folder=tmp_path)
    for state in (plain, with_counters(plain), network.state_dict()):
        again.load_state_dict(state)
        again.backbone.load_state_dict(
            {name.removeprefix("backbone."): state[name] for name in state if name.startswith("backbone.")}
        )
        save_file(dict(state), weights)
        assert torch.equal(load(description, weights).head.weight, network.head.weight)
    with pytest.raises(RuntimeError, match=r"(?s)Unexpected key.*stranger"):
        again.load_state_dict(plain | {"stranger": torch.zeros(1)})
    with pytest.raises(RuntimeError, match=r"(?s)Missing key.*running_var"):
        again.load_state_dict({name: tensor for name, tensor in plain.items() if "running_var" not in name})


def test_batch_norms_shared_by_processes_load_the_same_weights() -> None:
    network = build(LITE.model_copy(update={"classes": 2}))
    state = dict(network.state_dict())
    convert_sync_batchnorm(network)  # type: ignore[no-untyped-call]
    assert any(isinstance(module, torch.nn.SyncBatchNorm) for module in network.modules())
    network.load_state_dict(state)
    assert set(network.state_dict()) == set(state)


@pytest.mark.parametrize("precision", [torch.bfloat16, torch.float16])
def test_logits_are_of_full_precision_within_autocast(precision: torch.dtype) -> None:
    network = build(NetworkSpec(backbone="inception_resnet_v2", classes=300, image_size=75, auxiliary=True))
    pixels = torch.rand(2, 3, 75, 75)
    seen: list[tuple[torch.Tensor, torch.Tensor]] = []
    for head in network.heads():
        head.register_forward_hook(lambda _, inputs, result: seen.append((inputs[0], result)))
    for mode in (True, False):
        network.train(mode)
        seen.clear()
        with torch.autocast("cpu", dtype=precision):
            assert network.features(pixels).dtype == precision
            answers = [*network.outputs(pixels), network(pixels)]
            assert torch.mm(torch.ones(1, 1), torch.ones(1, 1)).dtype == precision, "autocast goes on"
        assert all(logits is not None and logits.dtype == torch.float32 for logits in answers)
        for head, (inputs, result) in zip([*reversed(network.heads()), network.head], seen, strict=True):
            assert inputs.dtype == torch.float32
            assert torch.equal(result, torch.nn.functional.linear(inputs, head.weight, head.bias))


@pytest.mark.parametrize("backbone", ["test_resnet", "vit_small_patch16_dinov3"])
def test_timms_average_of_weights_is_a_network_of_its_own(backbone: str) -> None:
    arguments = {"depth": 6, "embed_dim": 64, "num_heads": 2} if "vit" in backbone else {}
    spec = NetworkSpec(backbone=backbone, arguments=arguments, classes=3, image_size=64, views=(1.0, 0.5))
    network = build(spec)
    network.recompute = True
    before = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    average = ModelEmaV3(network, decay=0.75)
    with torch.no_grad():
        for tensor in network.state_dict().values():
            tensor.add_(1)
    average.update(network)
    for name, tensor in average.module.state_dict().items():
        torch.testing.assert_close(tensor, before[name] + 0.25)
    alone = build(spec).eval()
    alone.load_state_dict(average.module.state_dict())
    pixels = torch.rand(1, 2, 3, 64, 64)
    for rope in (module for name, module in network.named_modules() if name == "backbone.rope"):
        for buffer in rope.buffers():
            buffer.zero_()
    with torch.no_grad():
        assert torch.equal(average.module(pixels), alone(pixels)), "nothing of it is shared with the other network"


def test_the_papers_network_has_its_published_size() -> None:
    network = build(NetworkSpec(backbone="inception_resnet_v2", classes=19_027, image_size=299))
    assert network.head.in_features == 1536
    assert count_parameters(network.head) == 29_244_499
    assert count_parameters(network) == pytest.approx(83.6e6, rel=0.01)
