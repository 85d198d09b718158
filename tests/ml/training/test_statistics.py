"""Statistics of batch norms: what processes share is of all photographs, and a pass replaces what a short run left."""

import functools
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from ml.devices import Device
from ml.errors import TrainingError
from ml.networks.description import NetworkSpec
from ml.networks.network import Network, build
from ml.networks.trainable import set_training_mode
from ml.training.statistics import (
    left_of_the_first,
    norms_in_training,
    recompute_statistics,
    share_statistics,
    too_short,
)

ROOT = Path(__file__).resolve().parents[3]
PROCESSOR = Device(device=torch.device("cpu"), rank=0, world=1)


@functools.cache
def _built() -> Network:
    torch.manual_seed(0)
    return build(NetworkSpec(backbone="resnet10t", classes=3, image_size=32, views=(1.0, 0.5), auxiliary=True))


@pytest.fixture
def network() -> Network:
    """Two views and an auxiliary classifier, at random, in training mode."""
    built = _built()
    for module in built.modules():
        if isinstance(module, nn.BatchNorm2d):
            assert module.running_mean is not None
            assert module.running_var is not None
            module.running_mean.zero_()
            module.running_var.fill_(1.0)
            module.momentum, module.num_batches_tracked = 0.1, None
    set_training_mode(built, branches="random", batch_norm_frozen=False)
    return built


def batches(*sizes: int, seed: int = 1) -> list[Tensor]:
    generator = torch.Generator().manual_seed(seed)
    return [torch.randn(size, 2, 3, 32, 32, generator=generator) + size for size in sizes]


def seen_by_first(network: Network, inputs: list[Tensor]) -> list[Tensor]:
    """What the first norm normalises of each batch (views x photographs, channels, H, W)."""
    found: list[Tensor] = []
    first = norms_in_training(network)[0]
    with first.register_forward_pre_hook(lambda _, given: found.append(given[0].clone())):
        for each in inputs:
            network.outputs(each)
    return found


def test_the_means_are_those_over_the_batches_and_the_variances_within_them(network: Network) -> None:
    inputs = batches(4, 4, 4)
    recompute_statistics(network, inputs, device=PROCESSOR)
    first = norms_in_training(network)[0]
    assert first.running_mean is not None
    assert first.running_var is not None
    mean, variance = first.running_mean.clone(), first.running_var.clone()
    maps = seen_by_first(network, inputs)
    torch.testing.assert_close(mean, torch.cat(maps).mean((0, 2, 3)), rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(variance, torch.stack([each.var((0, 2, 3)) for each in maps]).mean(0))


def test_it_is_torchs_own_pass_where_batches_are_equal_and_nothing_drops_out(network: Network) -> None:
    network.dropout.p = 0.0
    inputs = batches(3, 3)
    recompute_statistics(network, inputs, device=PROCESSOR)
    ours = {name: value.clone() for name, value in network.state_dict().items() if "running" in name}
    for norm in norms_in_training(network):
        # torch averages by the count of batches.
        norm.num_batches_tracked = torch.zeros((), dtype=torch.int64)
    # It calls the network, whose forward pass leaves the auxiliary classifier out.
    torch.optim.swa_utils.update_bn(inputs, network)
    theirs = network.state_dict()
    compared = [name for name in ours if not name.startswith("auxiliary")]
    assert len(compared) > 20
    for name in compared:
        torch.testing.assert_close(ours[name], theirs[name], rtol=1e-4, atol=1e-6)
    assert all(ours[name].abs().sum() > 0 for name in ours if name.endswith("mean")), "the auxiliary's, too"


def test_every_photograph_has_the_same_weight_and_a_single_one_is_left_out(network: Network) -> None:
    uneven, single = batches(6, 2), batches(1)
    assert recompute_statistics(network, [uneven[0], *single, uneven[1]], device=PROCESSOR) == 8
    mean = norms_in_training(network)[0].running_mean
    assert mean is not None
    found = mean.clone()
    expected = torch.cat(seen_by_first(network, uneven)).mean((0, 2, 3))
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-5)


def test_nothing_else_changes(network: Network) -> None:
    frozen = next(module for module in network.backbone.modules() if isinstance(module, nn.BatchNorm2d))
    frozen.eval()
    before = {name: value.clone() for name, value in network.state_dict().items()}
    modes = [module.training for module in network.modules()]
    torch.manual_seed(5)
    drawn = torch.get_rng_state()
    recompute_statistics(network, batches(4, 3), device=PROCESSOR)
    assert torch.equal(torch.get_rng_state(), drawn), "dropout drew nothing"
    assert [module.training for module in network.modules()] == modes
    assert {norm.momentum for norm in norms_in_training(network)} == {0.1}
    assert frozen not in norms_in_training(network)
    changed = {name for name, value in network.state_dict().items() if not torch.equal(value, before[name])}
    assert {name.rpartition(".")[2] for name in changed} <= {"running_mean", "running_var", "num_batches_tracked"}
    own = {f"{name}.running_mean" for name, module in network.named_modules() if module in norms_in_training(network)}
    assert {name for name in changed if name.endswith("mean")} == own


def test_norms_that_count_batches_are_recomputed_all_the_same(network: Network) -> None:
    for norm in norms_in_training(network):
        norm.num_batches_tracked = torch.full((), 1_000)
    recompute_statistics(network, batches(4), device=PROCESSOR)
    counted = [norm.running_mean for norm in norms_in_training(network)]
    for norm in norms_in_training(network):
        norm.num_batches_tracked = None
    before = [mean.clone() for mean in counted if mean is not None]
    recompute_statistics(network, batches(4), device=PROCESSOR)
    assert all(mean is not None and torch.equal(mean, other) for mean, other in zip(counted, before, strict=True))
    assert all(mean.abs().sum() > 0 for mean in before)


def test_without_photographs_the_reason_is_said(network: Network) -> None:
    with pytest.raises(TrainingError, match="no batch of two photographs"):
        recompute_statistics(network, batches(1, 0), device=PROCESSOR)


def test_networks_whose_norms_are_frozen_are_left_alone(network: Network) -> None:
    network.eval()
    assert recompute_statistics(network, iter(()), device=PROCESSOR) == 0
    assert left_of_the_first(network, steps=1) == 0


@pytest.mark.parametrize(
    ("steps", "left", "short"), [(2_000, 0.55, True), (10_000, 0.05, True), (16_000, 0.008, False)]
)
def test_tf_slims_momentum_needs_fifteen_thousand_steps(
    network: Network, steps: int, left: float, *, short: bool
) -> None:
    for norm in norms_in_training(network):
        norm.momentum = 0.0003
    assert left_of_the_first(network, steps=steps) == pytest.approx(left, abs=0.005)
    assert too_short(network, steps=steps) is short


@given(
    means=st.lists(st.floats(-5, 5), min_size=2, max_size=4),
    spread=st.floats(0.01, 3),
    seed=st.integers(0, 1000),
)
@settings(deadline=None, max_examples=30)
def test_what_is_shared_is_of_all_photographs_together(means: list[float], spread: float, seed: int) -> None:
    generator = torch.Generator().manual_seed(seed)
    values = [mean + spread * torch.randn(50, 3, generator=generator) for mean in means]

    class Together(Device):
        """Sums the messages of all processes, one of which asks."""

        def add_up(self, numbers: Tensor) -> Tensor:
            messages = [
                torch.cat([value.double().mean(0), (value.double() ** 2).mean(0), torch.ones(1, dtype=torch.float64)])
                for value in values
            ]
            torch.testing.assert_close(numbers, messages[0], rtol=1e-4, atol=1e-4)
            return torch.stack(messages).sum(0)

    norm = nn.BatchNorm1d(3)
    norm.running_mean = values[0].mean(0)
    norm.running_var = values[0].var(0, correction=0)
    share_statistics(norm, device=Together(device=torch.device("cpu"), rank=0, world=len(means)))
    union = torch.cat(values)
    torch.testing.assert_close(norm.running_mean, union.mean(0), rtol=1e-4, atol=1e-4)
    torch.testing.assert_close(norm.running_var, union.var(0, correction=0), rtol=1e-3, atol=1e-3)


TWO = """
import torch
from ml.devices import joined
from ml.networks.description import NetworkSpec
from ml.networks.network import build
from ml.training.statistics import norms_in_training, recompute_statistics, share_statistics

with joined() as device:
    torch.manual_seed(0)
    network = build(NetworkSpec(backbone="resnet10t", classes=3, image_size=32)).train()
    first = norms_in_training(network)[0]
    first.running_mean.fill_(device.rank), first.running_var.fill_(1 + device.rank)
    share_statistics(network, device=device)
    # Means 0 and 1, variances 1 and 2: 0.5, and 1.5 + 0.25.
    assert torch.all(first.running_mean == 0.5) and torch.all(first.running_var == 1.75)
    inputs = torch.randn(8, 1, 3, 32, 32)
    # The second process has one photograph only, which is no batch: it takes the first one's statistics.
    share = inputs if device.rank == 0 else inputs[:1]
    assert recompute_statistics(network, [share], device=device) == (8 if device.rank == 0 else 0)
    state = torch.cat([norm.running_var for norm in norms_in_training(network)])
    other = state.clone()
    torch.distributed.broadcast(other, 0)
    assert torch.equal(state, other)
    recompute_statistics(network, [inputs[device.rank::2]], device=device)
    maps = []
    with first.register_forward_pre_hook(lambda _, given: maps.append(given[0])):
        network.eval()(inputs)
    network.train()
    torch.testing.assert_close(first.running_mean, maps[0].mean((0, 2, 3)), rtol=1e-4, atol=1e-5)
    try:
        recompute_statistics(network, [], device=device)
    except Exception as error:
        assert "none of them saw a photograph" in str(error)
    else:
        raise AssertionError("nothing to share")
    print(f"process {device.rank} is done")
"""


def test_two_processes_end_with_the_same_statistics(tmp_path: Path) -> None:
    script = tmp_path / "two.py"
    script.write_text(TWO, encoding="utf-8")
    done = subprocess.run(
        [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2", str(script)],
        cwd=ROOT,
        env=os.environ | {"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1", "CUDA_VISIBLE_DEVICES": ""},
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr
    # Two processes write to one pipe: a line's end may come after the other's line.
    assert all(f"process {rank} is done" in done.stdout for rank in range(2)), done.stdout
