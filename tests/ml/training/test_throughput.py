"""The arithmetic of a network, against timm's published counts, and the peaks of cards, against data sheets."""

import pytest
import torch

from ml.networks.description import NetworkSpec
from ml.networks.network import build
from ml.training.throughput import peak, peak_of, step_flop
from tests.ml.world import PROCESSOR


@pytest.mark.parametrize(
    ("backbone", "side", "billions"),
    # Multiply-adds by timm's results tables, the classifier of 1,000 classes included.
    [("resnet18", 224, 1.82), ("resnet50", 224, 4.11)],
)
def test_a_step_is_three_passes_of_two_operations_per_multiply_add(backbone: str, side: int, billions: float) -> None:
    network = build(NetworkSpec(backbone=backbone, classes=1000, image_size=side))
    assert step_flop(network, device=PROCESSOR) == pytest.approx(3 * 2 * billions * 1e9, rel=0.01)


def test_a_second_view_goes_through_stem_and_branch_but_not_through_the_trunk() -> None:
    one, two = (
        step_flop(
            build(NetworkSpec(backbone="tf_efficientnet_lite0", classes=3, image_size=64, views=views)),
            device=PROCESSOR,
        )
        for views in ((1.0,), (1.0, 0.5))
    )
    assert 1.3 * one < two < 2.2 * one


@pytest.mark.parametrize(
    ("card", "dtype", "rounded", "teraflops"),
    [
        ("NVIDIA H100 80GB HBM3", torch.bfloat16, True, 989),
        ("NVIDIA H100 80GB HBM3", torch.float32, True, 495),
        ("NVIDIA H100 80GB HBM3", torch.float32, False, 67),
        ("NVIDIA H100 PCIe", torch.float16, True, 756),
        ("NVIDIA H200", torch.bfloat16, True, 989),
        ("NVIDIA A100-SXM4-80GB", torch.bfloat16, True, 312),
        ("NVIDIA L40S", torch.bfloat16, True, 362),
        ("NVIDIA L4", torch.bfloat16, True, 121),
        ("Tesla T4", torch.float16, True, 65),
    ],
)
def test_peaks_are_those_of_the_data_sheets(card: str, dtype: torch.dtype, rounded: bool, teraflops: float) -> None:  # noqa: FBT001
    assert peak_of(card, dtype=dtype, rounded=rounded) == pytest.approx(1e12 * teraflops)


@pytest.mark.parametrize("card", ["NVIDIA T400", "AMD Instinct MI300X", "NVIDIA A10", ""])
def test_an_unknown_card_has_no_number(card: str) -> None:
    assert peak_of(card, dtype=torch.bfloat16, rounded=True) is None


def test_a_processor_has_no_number() -> None:
    assert peak(PROCESSOR) is None
