"""Where a network's first weights come from: a named source, a file, or nowhere (then they stay random).

The shapes are compared one by one before a network is changed. A new source is a row of `SOURCES`.
"""

import pickle
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import timm
from safetensors import SafetensorError
from timm.models import load_state_dict
from torch import Tensor, nn

from ml.errors import NetworkError, WeightsError
from ml.networks.backbones import create_pretrained, find, unreachable
from ml.networks.cuts import step_of
from ml.networks.description import BranchStart, NetworkSpec
from ml.networks.network import Network
from ml.networks.package_weights import from_package
from ml.spec import WEIGHT_PACKAGES


def initialise(network: Network, *, source: str, branches: BranchStart = "random") -> None:
    """Load first weights into the backbone of `network`; what is new stays as it was initialised.

    Args:
        network: The network; changed in place.
        source: A name of `SOURCES`, `none`, or the path of a safetensors file or of one that torch has written.
        branches: Whether the branches of further views stay random (the paper, section 3.1: "to encourage diversity
            between the two branch networks"), or start as copies of the whole view's.

    Raises:
        WeightsError: the source cannot be reached, is damaged, or fits another backbone.
    """
    if source != "none":
        if source in SOURCES:
            state = SOURCES[source](network.spec)
        else:
            state = in_timms_names(from_file(Path(source)), backbone=network.backbone, source=source)
        load_checked(network, state, source=source)
    if branches == "pretrained" and network.plan is not None:
        for branch in network.branches:
            for name, layers in zip(network.plan.branch, branch.children(), strict=True):
                layers.load_state_dict(step_of(network.backbone, name).state_dict())


def from_hub(spec: NetworkSpec) -> dict[str, Tensor]:
    """Timm's pretrained weights of the backbone, from the model hub, its local cache, or the backbone's folder.

    Raises:
        WeightsError: timm knows no weights, the hub cannot be reached, or what it holds does not fit.
    """
    backbone = find(spec.backbone)
    if backbone.weights is None and not timm.is_model_pretrained(backbone.architecture):
        raise WeightsError(
            f"timm has no pretrained weights for {spec.backbone}; set training.weights to none or to a file"
        )
    try:
        return create_pretrained(backbone, image_size=spec.image_size).state_dict()
    except NetworkError:
        raise
    except Exception as error:  # the hub client raises anything from OSError to its own HTTP errors
        if isinstance(error, RuntimeError) and "state_dict" in str(error):
            reason = " ".join(str(error).split())
            raise WeightsError(f"the pretrained weights of {spec.backbone} are not its own: {reason[:300]}") from error
        raise unreachable(
            f"the pretrained weights of {spec.backbone}",
            error,
            instead="set training.weights to a file, or to package with training.backbone "
            + " or ".join(WEIGHT_PACKAGES),
        ) from error


SOURCES: Final[dict[str, Callable[[NetworkSpec], dict[str, Tensor]]]] = {
    "hub": from_hub,
    "package": lambda spec: from_package(spec.backbone),
}
"""The named values of `training.weights`, and what gives the backbone's tensors."""


def from_file(path: Path) -> dict[str, Any]:
    """What a safetensors file holds, or one that torch has written; no code of it is run.

    Returns:
        Tensors by name: of a timm checkpoint the average of weights where there is one, of a whole `Network` its
        backbone. Others may have them in a dictionary of another name, which timm's filters know.

    Raises:
        WeightsError: the file is missing or holds nothing by name.
    """
    try:
        state: dict[str, Any] = load_state_dict(str(path), weights_only=True)
        inner = {name.removeprefix("backbone."): it for name, it in state.items() if name.startswith("backbone.")}
    except (
        OSError, SafetensorError, RuntimeError, ValueError, AttributeError, TypeError, EOFError, KeyError,
        pickle.UnpicklingError,
    ) as error:  # fmt: skip
        raise WeightsError(
            f"training.weights is {path}, which is neither hub, package, none nor a readable safetensors file, nor "
            f"one of tensors that torch has written: {str(error).partition(chr(10))[0] or 'no such file'}"
        ) from error
    return inner or state


def in_timms_names(state: dict[str, Any], *, backbone: nn.Module, source: str) -> dict[str, Tensor]:
    """`state` under the names and in the shapes of timm's `backbone`.

    Where they differ, timm's own filter of the family converts them: original names of DINOv3, EVA-02 or ConvNeXt, the
    image tower of open_clip, or the position embedding of another image size.

    Raises:
        WeightsError: timm's filter cannot read them.
    """
    wanted = backbone.state_dict()
    convert = getattr(sys.modules[type(backbone).__module__], "checkpoint_filter_fn", None)
    if convert is None or all(
        isinstance(state.get(name), Tensor) and state[name].shape == tensor.shape for name, tensor in wanted.items()
    ):
        return state
    try:
        converted: dict[str, Tensor] = convert(state, backbone)
    except Exception as error:  # a filter takes names apart and asserts on what it finds
        raise WeightsError(
            f"timm cannot convert the weights of {source} to a {type(backbone).__name__}: {error!r}"
        ) from error
    return converted


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
