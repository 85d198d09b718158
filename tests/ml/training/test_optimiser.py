"""The paper's Adam adds epsilon before the bias correction; groups spare batch norm from weight decay."""

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from ml.networks.description import NetworkSpec
from ml.networks.network import build
from ml.training.optimiser import Rates, TFAdam, create
from tests.ml.world import PROCESSOR, STEADY

floats = st.floats(-3, 3, allow_nan=False, width=32)


@given(gradients=st.lists(floats, min_size=1, max_size=8), start=floats, decay=st.sampled_from([0.0, 4e-5, 0.1]))
def test_tf_adam_follows_tensorflows_formula(gradients: list[float], start: float, decay: float) -> None:
    weight = torch.nn.Parameter(torch.tensor([start], dtype=torch.float64))
    optimiser = TFAdam([{"params": [weight], "weight_decay": decay, "scale": 1.0}], eps=1.0)
    rates = Rates(optimiser, device=PROCESSOR)
    expected, m, v = start, 0.0, 0.0
    for step, gradient in enumerate(gradients, start=1):
        weight.grad = torch.tensor([gradient], dtype=torch.float64)
        rates.set(0.1, step=step - 1)
        optimiser.step()
        g = gradient + decay * expected
        m = 0.9 * m + 0.1 * g
        v = 0.999 * v + 0.001 * g * g
        expected -= 0.1 * math.sqrt(1 - 0.999**step) / (1 - 0.9**step) * m / (math.sqrt(v) + 1.0)
    assert weight.item() == pytest.approx(expected, abs=1e-7)  # the rate is in float32


def test_the_first_step_is_31_times_smaller_than_torchs() -> None:
    ours, theirs = (torch.nn.Parameter(torch.zeros(1, dtype=torch.float64)) for _ in range(2))
    paper = TFAdam([{"params": [ours], "scale": 1.0}], eps=1.0)
    Rates(paper, device=PROCESSOR).set(0.01, step=0)
    for optimiser, weight in (
        (paper, ours),
        (torch.optim.Adam([theirs], lr=0.01, eps=1.0), theirs),
    ):
        weight.grad = torch.full((1,), 1e-3, dtype=torch.float64)
        optimiser.step()
    assert theirs.item() / ours.item() == pytest.approx(math.sqrt(1 / 0.001), rel=0.01)


def test_batch_norm_is_spared_from_weight_decay_and_the_head_may_learn_faster() -> None:
    network = build(NetworkSpec(backbone="tf_efficientnet_lite0", classes=2, image_size=32))
    optimiser = create(network, STEADY.model_copy(update={"head_scale": 10}))
    rates = Rates(optimiser, device=PROCESSOR)
    rates.set(0.01, step=10**6)
    body, norms, head = optimiser.param_groups
    assert {id(weight) for weight in norms["params"]} == {
        id(weight)
        for module in network.modules()
        if isinstance(module, torch.nn.BatchNorm2d)
        for weight in module.parameters()
    }
    assert (body["weight_decay"], norms["weight_decay"], head["weight_decay"]) == (4e-5, 0.0, 4e-5)
    assert (body["lr"].item(), head["lr"].item()) == pytest.approx((0.01, 0.1))
    assert sum(len(group["params"]) for group in optimiser.param_groups) == len(list(network.parameters()))
