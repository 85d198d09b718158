"""Where a served network runs, and in which precision: what was calibrated, where the machine can."""

from pathlib import Path

import numpy as np
import pytest
import torch

from ml.devices import Device
from ml.networks.description import NetworkSpec
from ml.networks.network import build, save
from ml.serving.classifier import Classifier, device_for
from ml.spec import PrecisionName
from tests.ml.specificity_fixtures import photograph_bytes


@pytest.mark.parametrize(
    ("precision", "bf16", "expected"),
    [("fp32", True, "fp32"), ("bf16", True, "bf16"), ("bf16", False, "fp32"), ("fp16", False, "fp16")],
)
def test_a_gpu_computes_in_what_was_calibrated_where_it_can(
    monkeypatch: pytest.MonkeyPatch, *, precision: PrecisionName, bf16: bool, expected: PrecisionName
) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda including_emulation=True: bf16 or including_emulation)
    found = device_for(precision)
    assert (found.device, found.precision) == (torch.device("cuda", 0), expected)


def test_a_processor_computes_in_full_precision(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert device_for("bf16").dtype == torch.float32


def test_in_short_numbers_the_head_is_still_in_full_precision(tmp_path: Path) -> None:
    """What a GPU does, on the processor: the backbone rounds, the head does not."""
    torch.manual_seed(3)
    description, weights = save(
        build(NetworkSpec(backbone="test_convnext", classes=6, image_size=32, precision="bf16")), folder=tmp_path
    )
    artifacts = {"network": str(description), "weights": str(weights)}
    looks = {}
    for precision in ("fp32", "bf16"):
        device = Device(device=torch.device("cpu"), rank=0, world=1, precision=precision)
        classifier = Classifier(artifacts, device=device)
        looks[precision] = classifier.look([classifier.views(photograph_bytes())])
    assert not np.array_equal(looks["bf16"].embeddings, looks["fp32"].embeddings)
    assert np.allclose(looks["bf16"].probabilities, looks["fp32"].probabilities, atol=0.02)
    head = classifier.network.head
    with torch.no_grad():
        expected = head(torch.from_numpy(looks["bf16"].embeddings)).softmax(1)
    assert np.allclose(looks["bf16"].probabilities, expected, atol=1e-6)
