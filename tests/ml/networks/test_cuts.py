"""Several views: stem shared, branches apart, joined again; for every architecture of the table."""

from typing import Any

import pytest
import timm
import torch
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from ml.errors import NetworkError
from ml.networks.cuts import run, step_of
from ml.networks.description import NetworkSpec
from ml.networks.network import build, count_parameters
from ml.networks.pretrained import initialise

BACKBONES = {
    "tf_efficientnet_lite0": 64,
    "convnext_atto": 64,
    "resnet18": 64,
    "vit_tiny_patch16_224": 64,
    "inception_resnet_v2": 96,
    "convnextv2_atto": 64,
    "mobilenetv3_small_050": 64,
    "mobilenetv4_conv_small_035": 64,
    "regnetx_002": 64,
    "resnetv2_50": 64,
    "densenet121": 64,
    "maxvit_rmlp_pico_rw_256": 64,
    "caformer_s18": 64,
    "swin_tiny_patch4_window7_224": 64,
    "swinv2_tiny_window8_256": 64,
    "eva02_tiny_patch14_224": 56,
    "vit_small_patch16_dinov3": 64,
}
"""One or more of each family of the table, with an input that it takes."""
NARROW = {"depths": [1, 1, 2, 1], "embed_dim": 32, "num_heads": [1, 2, 4, 8]}
ARGUMENTS: dict[str, dict[str, Any]] = {
    "densenet121": {"block_config": [2, 2, 4, 2], "growth_rate": 16},
    "eva02_tiny_patch14_224": {"depth": 6},
    "resnetv2_50": {"layers": [1, 1, 2, 1], "channels": [32, 64, 96, 128]},
    "swin_tiny_patch4_window7_224": NARROW,
    "swinv2_tiny_window8_256": NARROW,
    "vit_small_patch16_dinov3": {"depth": 6, "embed_dim": 128, "num_heads": 2},
}
"""What makes a small one of a family that has none."""
SPECIES = 19_027


def views(name: str, *shares: float, **changes: object) -> NetworkSpec:
    values = {"backbone": name, "classes": 5, "image_size": BACKBONES[name], "views": (1.0, *shares)}
    values |= {"arguments": ARGUMENTS.get(name, {})}
    return NetworkSpec.model_validate(values | changes)


def pixels_of(spec: NetworkSpec, *, photos: int = 2) -> Tensor:
    torch.manual_seed(0)
    return torch.rand(photos, len(spec.views), 3, spec.image_size, spec.image_size) * 2 - 1


@pytest.mark.parametrize("name", BACKBONES)
def test_one_view_equals_timm(name: str) -> None:
    spec = views(name)
    network = build(spec).eval()
    known = timm.get_pretrained_cfg(name)
    assert known is not None
    arguments: dict[str, Any] = {**spec.arguments, **({"img_size": spec.image_size} if known.fixed_input_size else {})}
    timms: Any = timm.create_model(name, num_classes=5, **arguments).eval()
    classifier = timms.get_classifier()
    timms.load_state_dict(network.backbone.state_dict(), strict=False)
    pixels = pixels_of(spec)
    with torch.no_grad():
        theirs = timms.forward_head(timms.forward_features(pixels[:, 0]), pre_logits=True)
        assert torch.equal(network.features(pixels), theirs)
        if isinstance(classifier, nn.Linear):
            classifier.load_state_dict(network.head.state_dict())
            assert torch.equal(network(pixels), timms(pixels[:, 0]))
        assert torch.equal(network(pixels[:, 0]), network(pixels)), "one view may be given without its axis"


@pytest.mark.parametrize("name", BACKBONES)
def test_fused_features_are_of_the_kind_that_the_layers_around_them_give(name: str) -> None:
    network = build(views(name, 0.5))
    assert network.plan is not None
    assert network.fusion is not None
    steps = [step_of(network.backbone, step) for step in network.plan.stem + network.plan.branch]
    with torch.no_grad():
        merged = run(steps, pixels_of(network.spec)[:, 0])
    assert network.plan.architecture.fusion_relu == (merged.min().item() >= 0)
    assert isinstance(network.fusion.act, nn.ReLU) == (merged.min().item() >= 0)
    kinds = {type(module).__name__ for branch in network.branches for module in branch.modules()}
    assert isinstance(network.fusion.norm, nn.BatchNorm2d) == any(kind.startswith("BatchNorm") for kind in kinds)


@pytest.mark.parametrize("name", BACKBONES)
@pytest.mark.parametrize("shares", [(0.5,), (0.7, 0.4)])
def test_an_identity_fusion_starts_as_the_one_view_network(name: str, shares: tuple[float, ...]) -> None:
    several = build(views(name, *shares, fusion="identity")).eval()
    single = build(views(name)).eval()
    missing, _ = single.load_state_dict(several.state_dict(), strict=False)
    assert not missing
    pixels = pixels_of(several.spec)
    with torch.no_grad():
        torch.testing.assert_close(several(pixels), single(pixels[:, :1]))


def test_an_average_fusion_of_like_branches_starts_as_the_one_view_network_on_like_views() -> None:
    several = build(views("tf_efficientnet_lite0", 0.7, 0.4, fusion="average")).eval()
    initialise(several, source="none", branches="pretrained")
    single = build(views("tf_efficientnet_lite0")).eval()
    single.load_state_dict(several.state_dict(), strict=False)
    pixels = pixels_of(single.spec)
    with torch.no_grad():
        torch.testing.assert_close(several(pixels.expand(-1, 3, -1, -1, -1)), single(pixels))


@pytest.mark.parametrize("name", BACKBONES)
def test_every_view_reaches_the_logits_and_every_layer_the_gradient(name: str) -> None:
    network = build(views(name, 0.5))
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d | nn.LayerNorm):
            # ResNets and Swin V2 start with residual branches switched off by a scale of nought.
            nn.init.ones_(module.weight)
    pixels = pixels_of(network.spec)
    network.outputs(pixels).logits.square().sum().backward()  # type: ignore[no-untyped-call]
    untouched = [each for each, weight in network.named_parameters() if weight.grad is None or not weight.grad.any()]
    # Biases of keys shift all scores of a softmax alike: their gradient is nought by construction.
    assert [each for each in untouched if "qkv.bias" not in each and "cls_token" not in each] == []
    network.eval()
    other = pixels.clone()
    other[:, 1] = -other[:, 1]
    with torch.no_grad():
        assert not torch.allclose(network(pixels), network(other))


def test_the_stem_is_shared_and_the_branches_are_not() -> None:
    network = build(views("inception_resnet_v2", 0.5, auxiliary=True))
    assert network.plan is not None
    convolutions = [name for name in network.plan.stem if name.startswith("conv2d")]
    assert len(convolutions) == 5, "paper: the first five convolution layers act as a shared feature extractor"
    assert network.plan.branch == ("mixed_5b", "repeat", "mixed_6a", "repeat_1")
    assert network.plan.trunk == ("mixed_7a", "repeat_2", "block8", "conv2d_7b")
    (crop,) = network.branches
    own = {id(weight) for weight in crop.parameters()}
    assert not own & {id(weight) for weight in network.backbone.parameters()}


def test_the_crop_branch_is_random_and_may_be_pretrained() -> None:
    network = build(views("tf_efficientnet_lite0", 0.5))
    theirs, own = (
        network.backbone.get_submodule("blocks.3").state_dict(),
        network.branches[0].get_submodule("blocks_3").state_dict(),
    )
    assert not torch.equal(theirs["0.conv_pw.weight"], own["0.conv_pw.weight"])
    initialise(network, source="package")
    assert not torch.equal(theirs["0.conv_pw.weight"], own["0.conv_pw.weight"])
    initialise(network, source="package", branches="pretrained")
    assert all(torch.equal(theirs[name], own[name]) for name in theirs)


def test_new_layers_of_the_papers_network_are_xaviers() -> None:
    network = build(views("inception_resnet_v2", 0.5, auxiliary=True))
    assert network.fusion is not None
    for layer in (network.fusion.mix, network.branches[0].get_submodule("repeat.0.conv2d")):
        weight = layer.weight
        assert isinstance(weight, Tensor)
        fan_out, fan_in = weight.shape[0], weight.shape[1]
        assert weight.abs().max().item() <= (6 / (fan_in + fan_out)) ** 0.5
        assert weight.std().item() == pytest.approx((2 / (fan_in + fan_out)) ** 0.5, rel=0.05)


def test_the_merge_point_can_be_moved() -> None:
    early = build(views("tf_efficientnet_lite0", 0.5, split_after="bn1", merge_after="blocks.2"))
    late = build(views("tf_efficientnet_lite0", 0.5, merge_after="bn2"))
    assert early.fusion is not None
    assert late.fusion is not None
    assert early.fusion.mix.weight.shape == (40, 80, 1, 1)
    assert late.fusion.mix.weight.shape == (1280, 2560, 1, 1)
    assert early(pixels_of(early.spec)).shape == (2, 5)


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"merge_after": "blocks.9"}, "has no step 'blocks.9'; its steps are conv_stem, bn1, blocks.0"),
        ({"merge_after": "bn1"}, "joined after bn1 before they are apart after blocks.2"),
        ({"backbone": "inception_v3"}, "a InceptionV3 cannot be cut into stem, branch and trunk, so that it takes one"),
        ({"backbone": "regnetz_005"}, "this RegNet cannot be cut into stem, branch and trunk, so that it takes one"),
        ({"backbone": "vit_tiny_patch16_224", "auxiliary": True}, "has no feature maps"),
    ],
)
def test_cuts_that_cannot_be_made_are_refused(changes: dict[str, object], reason: str) -> None:
    with pytest.raises(NetworkError, match=reason):
        build(views("tf_efficientnet_lite0", 0.5, **changes))


def test_one_view_needs_no_cut() -> None:
    short = views("tf_efficientnet_lite0", backbone="test_efficientnet", image_size=64)
    assert build(short).plan is not None, "its five groups of blocks end before the default merge point"
    with pytest.raises(NetworkError, match=r"has no step 'blocks\.5'"):
        build(short.model_copy(update={"views": (1.0, 0.5)}))


def test_views_are_counted() -> None:
    network = build(views("tf_efficientnet_lite0", 0.5))
    with pytest.raises(NetworkError, match="takes 2 views, but was given 1"):
        network(torch.zeros(1, 3, 64, 64))
    with pytest.raises(ValueError, match=r"views must be 1.0 and then shares"):
        views("tf_efficientnet_lite0", 1.5)


@pytest.mark.parametrize(("shares", "parameters", "operations"), [((), 83.6e6, 13.2e9), ((0.5,), 112.6e6, 24.9e9)])
def test_the_papers_networks_have_their_size(shares: tuple[float, ...], parameters: float, operations: float) -> None:
    spec = NetworkSpec(
        backbone="inception_resnet_v2", classes=SPECIES, image_size=299, views=(1.0, *shares), auxiliary=True
    )
    network = build(spec).eval()
    assert network.auxiliary is not None
    auxiliary = count_parameters(network.auxiliary)
    assert auxiliary == 17_230_419
    assert count_parameters(network) - auxiliary == pytest.approx(parameters, abs=0.05e6)
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        network.to("meta")(torch.empty(1, len(spec.views), 3, 299, 299, device="meta"))
    assert counter.get_total_flops() / 2 == pytest.approx(operations, rel=0.01)


def test_a_step_of_the_papers_two_view_network_at_full_size() -> None:
    spec = NetworkSpec(
        backbone="inception_resnet_v2", classes=SPECIES, image_size=299, views=(1.0, 0.5), auxiliary=True
    )
    network = build(spec)
    logits, auxiliary = network.outputs(torch.rand(2, 2, 3, 299, 299))
    assert auxiliary is not None
    assert logits.shape == auxiliary.shape == (2, SPECIES)
    labels = torch.tensor([0, SPECIES - 1])
    loss = nn.functional.cross_entropy(logits, labels) + 0.4 * nn.functional.cross_entropy(auxiliary, labels)
    loss.backward()  # type: ignore[no-untyped-call]
    assert all(weight.grad is not None and weight.grad.isfinite().all() for weight in network.parameters())
