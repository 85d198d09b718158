"""Every option does what it says, is refused with a sentence, or is said to change nothing."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from ml.devices import Device
from ml.errors import TrainingError
from ml.networks.description import NetworkSpec
from ml.networks.network import Network, build
from ml.training.options import remarks
from ml.training.recipes import SAMPLE, Recipe
from tests.ml.world import PROCESSOR, STEADY, World

LIVELY = STEADY.model_copy(update={"batch": 16, "batch_norm_frozen": False})
CUDA = replace(PROCESSOR, device=torch.device("cuda"))


def small(backbone: str = "test_resnet", *, auxiliary: bool = False) -> Network:
    return build(NetworkSpec(backbone=backbone, classes=3, image_size=32, auxiliary=auxiliary))


def said(
    world: World, folder: Path, *, recipe: Recipe = LIVELY, processes: int = 1, device: Device = PROCESSOR,
    photos: int = 100, backbone: str = "test_resnet", **options: Any,  # noqa: ANN401
) -> list[str]:  # fmt: skip
    spec = world.spec(folder, backbone=backbone, **options)
    return remarks(spec, recipe=recipe, network=small(backbone), device=replace(device, world=processes), photos=photos)


@given(batch=st.integers(1, 64), processes=st.integers(1, 8))
def test_shares_of_a_batch_are_the_batch_and_differ_by_one_at_most(batch: int, processes: int) -> None:
    group = np.random.default_rng(0).permutation(100)[:batch]
    shares = [group[rank::processes] for rank in range(processes)]
    assert sorted(np.concatenate(shares)) == sorted(group)
    assert max(map(len, shares)) - min(map(len, shares)) <= 1
    assert min(map(len, shares)) == batch // processes


def test_a_jobs_shares_are_those(world: World, tmp_path: Path) -> None:
    job = world.job(tmp_path, recipe=LIVELY, device=replace(PROCESSOR, world=4))
    (group,) = job.groups(0)
    shares = [job.share(group, rank=rank) for rank in range(4)]
    assert [len(share) for share in shares] == [4, 4, 4, 4]
    assert sorted(np.concatenate(shares)) == sorted(group)


@pytest.mark.parametrize(
    ("options", "processes", "reason"),
    [
        ({}, 16, "a batch of 16 has too few pairs of photographs, which batch norms need, for 16 processes"),
        ({"accumulate": 9}, 1, "the 16 photographs that a process has .* too few pairs .*; at most 8"),
        ({"accumulate": 3}, 4, "the 4 photographs that a process has .*; at most 2"),
        ({"sync_batch_norm": True}, 1, "several processes with a GPU each, not 1 on cpu"),
        ({"sync_batch_norm": True}, 2, "several processes with a GPU each, not 2 on cpu"),
    ],
)
def test_what_cannot_be_had_is_refused(
    world: World, tmp_path: Path, options: dict[str, Any], processes: int, reason: str
) -> None:
    with pytest.raises(TrainingError, match=reason):
        said(world, tmp_path, processes=processes, **options)


def test_single_photographs_will_do_where_norms_are_frozen_or_synchronised(world: World, tmp_path: Path) -> None:
    frozen = LIVELY.model_copy(update={"batch_norm_frozen": True, "batch_norm_momentum": None})
    assert said(world, tmp_path, recipe=frozen, processes=16) == []
    assert said(world, tmp_path, recipe=frozen, accumulate=16) == []
    assert said(world, tmp_path, processes=16, device=CUDA, sync_batch_norm=True) == []
    with pytest.raises(TrainingError, match="too few photographs, for 17 processes"):
        said(world, tmp_path, recipe=frozen, processes=17)
    with pytest.raises(TrainingError, match="too few photographs; at most 4"):
        said(world, tmp_path, recipe=frozen, processes=4, accumulate=5)


def test_recomputing_is_refused_where_there_are_no_blocks(world: World, tmp_path: Path) -> None:
    network = small()
    assert (
        remarks(world.spec(tmp_path, recompute=True), recipe=LIVELY, network=network, device=PROCESSOR, photos=100)
        == []
    )
    network.backbone = nn.Sequential(nn.Conv2d(3, 4, 1), nn.BatchNorm2d(4))
    network.plan = None
    with pytest.raises(TrainingError, match="recompute works block by block, and tf_efficientnet_lite0 has no blocks"):
        remarks(world.spec(tmp_path, recompute=True), recipe=LIVELY, network=network, device=PROCESSOR, photos=100)


def test_tf32_is_a_gpus(world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(TrainingError, match="precision tf32 is a GPU's, and this is cpu"):
        said(world, tmp_path, device=replace(PROCESSOR, precision="tf32"))
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda _: "Tesla T4")
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda _: (7, 5))
    with pytest.raises(TrainingError, match="Tesla T4 has no TF32"):
        said(world, tmp_path, device=replace(CUDA, precision="tf32"))
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda _: (9, 0))
    assert said(world, tmp_path, device=replace(CUDA, precision="tf32")) == []


@pytest.mark.parametrize(
    ("changes", "options", "about"),
    [
        ({"segments": (), "probe": SAMPLE.probe}, {"batch_scale": 2}, "batch_scale 2 changes nothing"),
        ({"batch_norm_frozen": True}, {}, "batch_norm_momentum changes nothing: test_resnet has no batch norm"),
        ({"auxiliary_weight": 0.4}, {}, "auxiliary_weight changes nothing: test_resnet has no auxiliary classifier"),
        ({"reuse_frozen": True}, {}, "reuse_frozen changes nothing: no layer is frozen"),
        ({"reuse_frozen": True, "trainable": 0.25}, {"photos": 6_000}, "reuse_frozen .* at most 5,000 photographs"),
        ({"reuse_frozen": True, "trainable": 0.25}, {"processes": 2}, "reuse_frozen .* several processes"),
    ],
)
def test_what_changes_nothing_is_said_once(
    world: World, tmp_path: Path, changes: dict[str, object], options: dict[str, Any], about: str
) -> None:
    (remark,) = said(world, tmp_path, recipe=LIVELY.model_copy(update=changes), **options)
    assert about.split(" .* ", maxsplit=1)[0] in remark
    assert about.rsplit(" .* ", maxsplit=1)[-1] in remark


def test_nothing_is_said_of_a_recipe_that_is_followed(world: World, tmp_path: Path) -> None:
    assert said(world, tmp_path, accumulate=2) == []
    assert said(world, tmp_path, recipe=LIVELY.model_copy(update={"reuse_frozen": True, "trainable": 0.25})) == []
