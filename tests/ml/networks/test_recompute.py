"""Recomputing: the same gradients and running statistics from fewer kept features, for every family."""

import copy

import pytest
import torch
from torch import Tensor, nn

from ml.networks.description import NetworkSpec
from ml.networks.network import Network, build
from ml.networks.trainable import freeze, set_training_mode
from tests.ml.networks.test_cuts import BACKBONES, pixels_of, views

NOT_IN_THE_TABLE = {"regnetz_005": 64, "ghostnet_050": 64}


def kept(network: Network, pixels: Tensor) -> float:
    """Run forward and backward; bytes that the forward pass keeps beside parameters and pixels."""
    own = {tensor.untyped_storage().data_ptr() for tensor in (*network.parameters(), *network.buffers(), pixels)}
    seen: dict[int, int] = {}

    def note(tensor: Tensor) -> Tensor:
        storage = tensor.untyped_storage()
        if storage.data_ptr() not in own:
            seen[storage.data_ptr()] = storage.nbytes()
        return tensor

    torch.manual_seed(1)
    with torch.autograd.graph.saved_tensors_hooks(note, lambda tensor: tensor):
        logits = network.outputs(pixels).logits
    logits.square().sum().backward()  # type: ignore[no-untyped-call]
    return sum(seen.values())


@pytest.mark.parametrize("frozen", [False, True], ids=["norms of the batch", "frozen norms"])
@pytest.mark.parametrize("name", [*BACKBONES, *NOT_IN_THE_TABLE])
def test_recomputing_gives_the_same_gradients_and_statistics_from_less(name: str, *, frozen: bool) -> None:
    spec = (
        views(name, 0.5)
        if name in BACKBONES
        else NetworkSpec(backbone=name, classes=5, image_size=NOT_IN_THE_TABLE[name])
    )
    plain = build(spec)
    thrifty = copy.deepcopy(plain)
    thrifty.recompute = True
    bytes_kept = []
    for network in (plain, thrifty):
        freeze(network, trainable=0.9, branches="random")
        set_training_mode(network, branches="random", batch_norm_frozen=frozen)
        bytes_kept.append(kept(network, pixels_of(spec, photos=3)))
    assert bytes_kept[1] < 0.75 * bytes_kept[0]
    for (own, weight), again in zip(plain.named_parameters(), thrifty.parameters(), strict=True):
        if weight.grad is None:
            assert again.grad is None, own
        else:
            torch.testing.assert_close(again.grad, weight.grad, msg=own)
    for (own, buffer), same in zip(plain.named_buffers(), thrifty.buffers(), strict=True):
        torch.testing.assert_close(same, buffer, msg=own)


def test_what_is_left_out_at_random_is_left_out_again() -> None:
    spec = views("convnext_atto").model_copy(update={"arguments": {"drop_path_rate": 0.5}})
    plain = build(spec).train()
    thrifty = copy.deepcopy(plain)
    thrifty.recompute = True
    for network in (plain, thrifty):
        kept(network, pixels_of(spec, photos=4))
    for (name, weight), again in zip(plain.named_parameters(), thrifty.parameters(), strict=True):
        torch.testing.assert_close(again.grad, weight.grad, msg=name)


def test_recomputing_can_be_turned_off_and_computes_nothing_twice_in_evaluation() -> None:
    network = build(views("resnet18", 0.5))
    names = set(network.state_dict())
    calls: list[nn.Module] = []
    block = network.backbone.get_submodule("layer1.0")
    network.backbone.get_submodule("layer1.0.conv1").register_forward_pre_hook(lambda *_: calls.append(block))
    pixels = pixels_of(network.spec)
    for recompute, expected in ((True, 2), (False, 1)):
        network.train().recompute = recompute
        assert set(network.state_dict()) == names
        calls.clear()
        network(pixels).sum().backward()
        assert len(calls) == expected
    network.eval().recompute = True
    calls.clear()
    network(pixels).sum().backward()
    assert len(calls) == 1
