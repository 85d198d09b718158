"""Rates by layer and weight decay by kind of parameter: TF-slim's rule for its recipe, timm's for the others."""

from typing import Any

import pytest
import timm
import torch
from timm.optim._param_groups import param_groups_layer_decay
from torch import nn

from ml.networks.description import NetworkSpec
from ml.networks.network import Network, build
from ml.networks.trainable import freeze
from ml.training.parameter_groups import groups
from ml.training.recipes import SAMPLE, Recipe
from tests.ml.networks.test_cuts import BACKBONES, views
from tests.ml.world import STEADY

TINY = {"depth": 6, "embed_dim": 32, "num_heads": 2}
FINE = SAMPLE.model_copy(update={"layer_decay": 0.75, "weight_decay": 0.05, "head_scale": 1.0})


def by_name(network: Network, recipe: Recipe) -> dict[str, tuple[float, float]]:
    """The rate's factor and the weight decay of each trainable parameter."""
    names = {id(parameter): name for name, parameter in network.named_parameters()}
    found = [
        (names[id(parameter)], (group["scale"], group["weight_decay"]))
        for group in groups(network, recipe)
        for parameter in group["params"]
    ]
    assert len(found) == len(dict(found)), "each parameter is in one group"
    return dict(found)


@pytest.mark.parametrize(
    ("backbone", "arguments", "size"),
    [
        ("vit_tiny_patch16_224", TINY, 64),
        ("convnext_atto", {}, 64),
        ("tf_efficientnet_lite0", {}, 64),
        ("eva02_tiny_patch14_224", TINY, 56),
        ("inception_resnet_v2", {}, 96),
    ],
)
def test_rates_and_decay_are_those_of_timm_parameter_by_parameter(
    backbone: str, arguments: dict[str, Any], size: int
) -> None:
    network = build(NetworkSpec(backbone=backbone, arguments=arguments, classes=7, image_size=size))
    if "patch" in backbone:
        arguments = {**arguments, "img_size": size}
    timms: Any = timm.create_model(backbone, num_classes=7, **arguments)
    listed = timms.no_weight_decay() if hasattr(timms, "no_weight_decay") else ()
    theirs = param_groups_layer_decay(timms, weight_decay=0.05, layer_decay=0.75, no_weight_decay_list=listed)
    names = {id(parameter): name for name, parameter in timms.named_parameters()}
    (classifier,) = [name for name, module in timms.named_modules() if module is timms.get_classifier()]
    expected = {
        f"head.{name.removeprefix(classifier + '.')}" if name.startswith(f"{classifier}.") else f"backbone.{name}": (
            group["lr_scale"],
            group["weight_decay"],
        )
        for group in theirs
        for name in (names[id(parameter)] for parameter in group["params"])
    }
    found = by_name(network, FINE)
    assert found.keys() == expected.keys()
    for name, (scale, decay) in expected.items():
        assert found[name][0] == pytest.approx(scale), name
        assert found[name][1] == decay, name
    assert len({scale for scale, _ in found.values()}) > 5


@pytest.mark.parametrize("name", ["inception_resnet_v2", "vit_tiny_patch16_224"])
def test_slims_recipe_decays_all_but_batch_norms(name: str) -> None:
    network = build(views(name, 0.5, auxiliary=name.startswith("inception")))
    expected = {
        f"{path}.{own}": 0.0 if isinstance(module, nn.BatchNorm2d) else 4e-5
        for path, module in network.named_modules()
        for own, _ in module.named_parameters(recurse=False)
    }
    found = by_name(network, STEADY)
    assert {own: decay for own, (_, decay) in found.items()} == expected
    assert {scale for scale, _ in found.values()} == {1.0}
    if name.startswith("inception"):
        assert found["head.bias"][1] == 4e-5, "slim regularises biases, too"
        assert 0.0 in expected.values()


def test_tokens_and_position_embeddings_are_spared() -> None:
    spec = NetworkSpec(backbone="vit_small_patch16_dinov3", arguments=TINY, classes=2, image_size=64)
    found = by_name(build(spec), FINE)
    assert {name for name, (_, decay) in found.items() if decay == 0} >= {"backbone.cls_token", "backbone.reg_token"}
    registers = {**TINY, "reg_tokens": 4}
    spec = NetworkSpec(backbone="vit_tiny_patch16_224", arguments=registers, classes=2, image_size=64)
    found = by_name(build(spec), FINE)
    for name in ("cls_token", "reg_token", "pos_embed", "blocks.0.norm1.weight", "blocks.0.attn.qkv.bias"):
        assert found[f"backbone.{name}"][1] == 0, name
    assert found["backbone.blocks.0.attn.qkv.weight"][1] == 0.05
    swin = by_name(build(views("swin_tiny_patch4_window7_224", 0.5)), FINE)
    tables = {name for name in swin if name.endswith("relative_position_bias_table")}
    assert any(name.startswith("branches.") for name in tables)
    assert all(swin[name][1] == 0 for name in tables)


@pytest.mark.parametrize("name", [name for name in BACKBONES if not name.startswith("inception")])
def test_a_branch_learns_as_the_layers_that_it_copies_or_at_the_full_rate(name: str) -> None:
    network = build(views(name, 0.5))
    recipe = FINE.model_copy(update={"head_scale": 10.0})
    copied = by_name(network, recipe.model_copy(update={"branches": "pretrained"}))
    random = by_name(network, recipe.model_copy(update={"branches": "random"}))
    beside = {own: f"backbone.{network.place_in_backbone(own)}" for own in copied if own.startswith("branches.")}
    assert beside
    for own, whole in beside.items():
        assert copied[own] == copied[whole], own
        assert random[own] == (1.0, copied[own][1]), own
    assert all(copied[own][0] == 1.0 for own in copied if own.startswith("fusion."))
    assert copied["head.weight"][0] == 10.0
    scales = {scale for own, (scale, _) in copied.items() if own.startswith("backbone.")}
    assert len(scales) > 3
    assert max(scales) <= 1


def test_the_rate_falls_from_the_head_down() -> None:
    network = build(NetworkSpec(backbone="vit_tiny_patch16_224", arguments=TINY, classes=2, image_size=64))
    found = by_name(network, FINE)
    assert found["head.weight"][0] == 1
    assert found["backbone.blocks.5.attn.qkv.weight"][0] == pytest.approx(0.75)
    assert found["backbone.blocks.0.attn.qkv.weight"][0] == pytest.approx(0.75**6)
    assert found["backbone.patch_embed.proj.weight"][0] == pytest.approx(0.75**7)


def test_what_is_frozen_is_in_no_group_and_a_factor_of_one_changes_nothing() -> None:
    network = build(NetworkSpec(backbone="tf_efficientnet_lite0", classes=2, image_size=32))
    freeze(network, trainable=0.3, branches="random")
    trained = {name for name, parameter in network.named_parameters() if parameter.requires_grad}
    assert by_name(network, FINE).keys() == trained
    alike = groups(network, FINE.model_copy(update={"layer_decay": 1.0}))
    assert {group["scale"] for group in alike} == {1.0}
    assert len(alike) == 4, "weights and what is spared, of the backbone and of the head"
    assert all(isinstance(parameter, torch.nn.Parameter) for group in alike for parameter in group["params"])
