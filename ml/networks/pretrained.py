"""Where a network's first weights come from: a named source, a file, or nowhere (then they stay random).

The shapes are compared one by one before a network is changed. A new source is a row of `SOURCES`.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Final

import timm
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor

from ml.errors import WeightsError
from ml.networks.cuts import step_of
from ml.networks.description import BranchStart, NetworkSpec
from ml.networks.network import Network, bare_backbone
from ml.networks.package_weights import from_package
from ml.spec import PACKAGE_BACKBONE


def initialise(network: Network, *, source: str, branches: BranchStart = "random") -> None:
    """Load first weights into the backbone of `network`; what is new stays as it was initialised.

    Args:
        network: The network; changed in place.
        source: A name of `SOURCES`, `none`, or the path of a safetensors file.
        branches: Whether the branches of further views stay random (the paper, section 3.1: "to encourage diversity
            between the two branch networks"), or start as copies of the whole view's.

    Raises:
        WeightsError: the source cannot be reached, is damaged, or fits another backbone.
    """
    if source != "none":
        load_checked(network, SOURCES[source](network.spec) if source in SOURCES else from_file(Path(source)),
                     source=source)  # fmt: skip
    if branches == "pretrained" and network.plan is not None:
        for branch in network.branches:
            for name, layers in zip(network.plan.branch, branch.children(), strict=True):
                layers.load_state_dict(step_of(network.backbone, name).state_dict())


def from_hub(spec: NetworkSpec) -> dict[str, Tensor]:
    """Timm's pretrained weights of the backbone without its classifier, from the model hub or its local cache.

    Raises:
        WeightsError: timm knows no weights, or the hub cannot be reached.
    """
    backbone = spec.backbone
    if not timm.is_model_pretrained(backbone):
        raise WeightsError(f"timm has no pretrained weights for {backbone}; set training.weights to none or to a file")
    try:
        pretrained = bare_backbone(backbone, image_size=spec.image_size, pretrained=True)
    except Exception as error:  # the hub client raises anything from OSError to its own HTTP errors
        raise WeightsError(
            f"the pretrained weights of {backbone} cannot be fetched from the model hub ({type(error).__name__}: "
            f"{str(error).splitlines()[0] if str(error) else 'no reason given'}); connect to the network, fill the "
            "hub's cache (HF_HOME), or set training.weights to a safetensors file, or to package with "
            f"training.backbone {PACKAGE_BACKBONE}"
        ) from error
    return pretrained.state_dict()


SOURCES: Final[dict[str, Callable[[NetworkSpec], dict[str, Tensor]]]] = {
    "hub": from_hub,
    "package": lambda spec: from_package(spec.backbone),
}
"""The named values of `training.weights`, and what gives the backbone's tensors."""


def from_file(path: Path) -> dict[str, Tensor]:
    """The backbone's tensors in a safetensors file: of a timm network, or of a whole `Network`.

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
    """Load `state` into the backbone; a classifier may be left over, nothing may be missing.

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
