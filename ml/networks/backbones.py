"""Timm's backbones by name, from a model hub or from a folder: how each is built, and what its weights expect."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import timm
from huggingface_hub import hf_hub_download
from huggingface_hub.errors import EntryNotFoundError
from timm.models import load_model_config_from_hf
from timm.models._hub import load_model_config_from_path
from torch import nn

from ml.errors import NetworkError, WeightsError
from ml.networks.description import HALF, Channels
from ml.networks.open_clip import CONFIGURATION, WEIGHTS, tower

HUB: Final = "hf-hub:"
"""Before owner/name[@revision] of a repository of Hugging Face's hub."""
FOLDER: Final = "local-dir:"
"""Before the path of a folder with the files of such a repository."""


@dataclass(frozen=True, kw_only=True)
class Backbone:
    """How timm builds a backbone, and what its pretrained weights expect."""

    name: str
    """As configured."""
    architecture: str
    """Timm's name, with a tag where one was given."""
    arguments: Mapping[str, Any] = field(default_factory=dict)
    """What is built otherwise than timm's default."""
    weights: Mapping[str, Any] | None = None
    """Where the weights are and what they are like, as timm's `PretrainedCfg`; None for those of timm's registry."""
    mean: Channels = HALF
    std: Channels = HALF

    def described(self) -> dict[str, Any]:
        """The fields of a `NetworkSpec` that build the backbone again without a hub."""
        elsewhere = self.architecture != self.name
        return {
            "backbone": self.name,
            "architecture": self.architecture if elsewhere else None,
            "arguments": dict(self.arguments),
            "mean": self.mean,
            "std": self.std,
        }


def find(name: str) -> Backbone:
    """The backbone called `name`: of timm's registry, `hf-hub:owner/name`, or `local-dir:/path`.

    A hub's repository or a folder says itself what it holds, by timm's `config.json` or by `open_clip_config.json`.

    Raises:
        NetworkError: there is no such backbone, or its configuration is none that timm builds.
        WeightsError: the hub cannot be reached.
    """
    if name.startswith(HUB):
        architecture, arguments, weights = _of_hub(name.removeprefix(HUB))
    elif name.startswith(FOLDER):
        architecture, arguments, weights = _of_folder(Path(name.removeprefix(FOLDER)))
    else:
        check(name)
        known = timm.get_pretrained_cfg(name)
        # A few architectures have no record of weights.
        mean, std = (HALF, HALF) if known is None else (known.mean, known.std)
        return Backbone(name=name, architecture=name, mean=_channels(mean), std=_channels(std))
    check(architecture)
    mean, std = weights.get("mean", HALF), weights.get("std", HALF)
    return Backbone(
        name=name,
        architecture=architecture,
        arguments=arguments,
        weights=weights,
        mean=_channels(mean),
        std=_channels(std),
    )


def check(architecture: str) -> None:
    """Make sure that timm has this architecture, and weights of its tag where one is given.

    Raises:
        NetworkError: it has not.
    """
    if not timm.is_model(architecture):
        raise NetworkError(f"timm {timm.__version__} has no backbone named {architecture!r}; see timm.list_models()")
    try:
        timm.get_pretrained_cfg(architecture)
    except RuntimeError as error:
        raise NetworkError(f"timm {timm.__version__} has no backbone named {architecture!r}: {error}") from error


def create_bare(architecture: str, *, arguments: Mapping[str, Any], image_size: int) -> nn.Module:
    """A timm backbone without classifier, with random weights.

    Raises:
        NetworkError: timm has no such architecture, or cannot build it so.
    """
    check(architecture)
    return _create(architecture, arguments={**arguments, "num_classes": 0}, image_size=image_size)


def create_pretrained(backbone: Backbone, *, image_size: int) -> nn.Module:
    """A timm backbone with its pretrained weights, and with their classifier: timm then insists that all are there."""
    weights = {} if backbone.weights is None else {"pretrained_cfg": dict(backbone.weights)}
    return _create(
        backbone.architecture, arguments={**backbone.arguments, "pretrained": True, **weights}, image_size=image_size
    )


def _create(architecture: str, *, arguments: Mapping[str, Any], image_size: int) -> nn.Module:
    known = timm.get_pretrained_cfg(architecture)
    # The position embedding of a transformer is made for one size.
    fixed = {"img_size": image_size} if "img_size" in arguments or (known and known.fixed_input_size) else {}
    chosen = {**arguments, **fixed}
    try:
        created: nn.Module = timm.create_model(architecture, **chosen)
        if getattr(created, "dynamic_img_size", False):
            # For one size the rotary embedding of positions is computed once, not in each pass.
            created = timm.create_model(architecture, **{**chosen, "dynamic_img_size": False})
    except (AssertionError, TypeError, ValueError) as error:
        raise NetworkError(
            f"timm {timm.__version__} cannot build {architecture} for {image_size} pixels: {_line(error)}"
        ) from error
    return created


def _of_hub(repository: str) -> tuple[str, dict[str, Any], dict[str, Any]]:
    owner_and_name, _, revision = repository.partition("@")
    try:
        try:
            weights, architecture, arguments = load_model_config_from_hf(repository)
        except (EntryNotFoundError, KeyError):
            # No `config.json`, or that of another library.
            file = hf_hub_download(owner_and_name, CONFIGURATION, revision=revision or None)
            architecture, arguments, weights = tower(json.loads(Path(file).read_bytes()), source=repository)
            weights |= {"hf_hub_id": repository, "hf_hub_filename": WEIGHTS, "source": "hf-hub"}
    except NetworkError:
        raise
    except Exception as error:  # the hub client raises anything from OSError to its own HTTP errors
        raise unreachable(
            f"the configuration of {HUB}{repository}", error, instead=f"name a folder with its files ({FOLDER}/path)"
        ) from error
    return architecture, arguments, weights


def _of_folder(folder: Path) -> tuple[str, dict[str, Any], dict[str, Any]]:
    try:
        try:
            weights, architecture, arguments = load_model_config_from_path(folder)
        except (FileNotFoundError, KeyError):
            configuration = json.loads((folder / CONFIGURATION).read_bytes())
            architecture, arguments, weights = tower(configuration, source=str(folder))
            weights |= {"file": str(folder), "source": "local-dir"}
    except (OSError, ValueError) as error:
        raise NetworkError(
            f"{folder} holds no backbone: it needs timm's config.json or {CONFIGURATION} ({_line(error)})"
        ) from error
    return architecture, arguments, weights


def unreachable(what: str, error: Exception, *, instead: str) -> WeightsError:
    """The error to raise where `what` could not be had of the model hub, and what to do `instead`."""
    return WeightsError(
        f"{what} cannot be fetched from the model hub ({type(error).__name__}: {_line(error)}); connect to the "
        f"network, fill the hub's cache (HF_HOME), or {instead}"
    )


def _line(error: Exception) -> str:
    return str(error).strip().partition("\n")[0] or "no reason given"


def _channels(values: Sequence[float]) -> Channels:
    red, green, blue = values
    return float(red), float(green), float(blue)
