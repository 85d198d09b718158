"""First weights: from a file, the package or the hub, or an error that says what to do."""

from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from ml.errors import WeightsError
from ml.networks import pretrained as weights
from ml.networks.description import NetworkSpec
from ml.networks.network import build

LITE = NetworkSpec(backbone="tf_efficientnet_lite0", classes=3, image_size=32)


def test_pretrained_features_keep_the_scale_of_the_running_statistics() -> None:
    network = build(LITE)
    weights.initialise(network, source="package")
    noise = torch.from_numpy(np.random.default_rng(0).uniform(-1, 1, (4, 3, 64, 64)).astype(np.float32))
    with torch.no_grad():
        features = network.eval().features(noise)
    assert features.shape == (4, 1280)
    assert features.min() >= 0  # ReLU6 of a sane network: neither dead nor saturated
    assert 0.01 < features.mean() < 3
    assert features.max() <= 6


def test_a_file_of_a_trained_network_starts_another(tmp_path: Path) -> None:
    source, target = build(LITE), build(LITE.model_copy(update={"classes": 5}))
    save_file(source.state_dict(), tmp_path / "trained.safetensors")
    weights.initialise(target, source=str(tmp_path / "trained.safetensors"))
    assert torch.equal(
        source.backbone.state_dict()["conv_stem.weight"], target.backbone.state_dict()["conv_stem.weight"]
    )


def test_a_missing_or_foreign_file_says_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(WeightsError, match="neither hub, package, none nor a readable safetensors file"):
        weights.initialise(build(LITE), source=str(tmp_path / "absent.safetensors"))
    save_file({"x": torch.zeros(1)}, tmp_path / "foreign.safetensors")
    with pytest.raises(WeightsError, match=r"lack conv_stem.weight"):
        weights.initialise(build(LITE), source=str(tmp_path / "foreign.safetensors"))


def test_an_unreachable_hub_says_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    network = build(LITE)

    def unreachable(*_: object, **__: object) -> None:
        raise OSError("Network is unreachable")

    monkeypatch.setattr("ml.networks.backbones.timm.create_model", unreachable)
    with pytest.raises(WeightsError, match="connect to the network, fill the hub's cache"):
        weights.initialise(network, source="hub")
