"""Networks of one or several views of a photograph: a timm backbone, cut and joined again, under a new head.

Described by `network.json`. Where backbones are cut belongs to `ml.networks.cuts`, which weights go in to
`ml.networks.pretrained`, how they are trained to `ml.training.loop`.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import timm
import torch
from pydantic import BaseModel, ConfigDict, Field, field_validator
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn

from ml.errors import NetworkError, WeightsError
from ml.files import replacing
from ml.networks.cuts import Plan, architecture_of, cut, run, step_of, uncut
from ml.networks.heads import AuxiliaryHead, Fusion, draw_xavier
from ml.spec import RANKS, FusionStart, Rank, problem_of
from ml.taxonomy import Taxonomy

HALF = (0.5, 0.5, 0.5)
"""Mean and deviation that bring pixels to [-1, 1], as TF-slim's Inception and EfficientNet-Lite were trained."""
BLANK_SIDE = 96
"""Side of the blank picture that finds out how deep the feature maps at a merge point are."""


class NetworkSpec(BaseModel):
    """All that is needed to build a network again; stored beside its weights as `network.json`."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    backbone: str
    """A timm architecture name."""
    classes: int | None = Field(default=None, ge=1)
    """Outputs of the head; `create` takes them from the taxonomy."""
    rank: Rank = "species"
    """What the classes are: species, or the taxa of a higher rank while knowledge is transferred down."""
    image_size: int = Field(ge=32)
    """Side of the square views, in pixels."""
    views: tuple[float, ...] = (1.0,)
    """Share of each side that each view shows, around the centre; the first is the whole view."""
    split_after: str | None = None
    """Last step of the stem that all views share; None takes the architecture's default."""
    merge_after: str | None = None
    """Last step of the branches; None takes the architecture's default."""
    fusion: FusionStart = "random"
    """First weights of the joining convolution; at random in the paper."""
    auxiliary: bool = False
    """Whether there is an auxiliary classifier on the whole-view branch; only training uses it."""
    mean: tuple[float, float, float] = HALF
    std: tuple[float, float, float] = HALF
    dropout: float = Field(default=0.2, ge=0, lt=1)
    batch_norm_momentum: float | None = Field(default=None, gt=0, le=1)
    """Share of the new batch in the running statistics (slim: 1 - 0.9997); None keeps the architecture's."""
    batch_norm_eps: float | None = Field(default=None, gt=0)

    @field_validator("views")
    @classmethod
    def _whole_view_first(cls, views: tuple[float, ...]) -> tuple[float, ...]:
        if not views or views[0] != 1.0 or any(not 0 < view < 1 for view in views[1:]):
            raise ValueError(f"views must be 1.0 and then shares between 0 and 1, not {views}")
        return views

    def write(self, path: Path) -> Path:
        """Write `network.json` atomically and return `path`."""
        with replacing(path) as partial:
            partial.write_text(self.model_dump_json(indent=2) + "\n", encoding="utf-8")
        return path

    @classmethod
    def read(cls, path: Path) -> "NetworkSpec":
        """Read `network.json`.

        Raises:
            NetworkError: the file is missing or describes no network.
        """
        try:
            return cls.model_validate_json(path.read_bytes())
        except (OSError, ValueError) as error:
            raise NetworkError(f"{path} does not describe a network: {problem_of(error)}") from error


class Outputs(NamedTuple):
    """What training needs of one pass."""

    logits: Tensor
    """(N, classes)."""
    auxiliary: Tensor | None
    """(N, classes) of the auxiliary classifier, where there is one."""


class Network(nn.Module):
    """A backbone without its classifier, branches for further views, their fusion, dropout, and a linear head."""

    head: nn.Linear

    def __init__(
        self, *, spec: NetworkSpec, backbone: nn.Module, plan: Plan | None, branches: list[nn.ModuleDict], classes: int
    ) -> None:
        """Assemble the parts.

        Args:
            spec: The description.
            backbone: A timm network without classifier; the whole view runs through all of it.
            plan: Where it is cut; None for a family that cannot be, which then has one view and no auxiliary head.
            branches: For each further view the layers of its own, in the order of `plan.branch`.
            classes: Outputs of the head.
        """
        super().__init__()
        self.spec = spec
        self.plan = plan
        self.recompute = False
        """Gradient checkpointing; see `ml.networks.cuts.run`."""
        self.begun = 0
        """How many of the first steps the inputs have behind them already (`ml.networks.frozen`); 0 for pixels."""
        self.backbone = backbone
        self.branches = nn.ModuleList(branches)
        self.fusion: Fusion | None = None
        self.auxiliary: AuxiliaryHead | None = None
        if plan is not None and (branches or spec.auxiliary):
            channels = self._channels_at_merge(plan)
            if branches:
                self.fusion = Fusion(
                    architecture=plan.architecture,
                    channels=channels,
                    views=len(spec.views),
                    start=spec.fusion,
                )
            if spec.auxiliary:
                self.auxiliary = AuxiliaryHead(channels=channels, classes=classes)
        self.dropout = nn.Dropout(spec.dropout)
        self.head = nn.Linear(int(backbone.num_features), classes)  # type: ignore[arg-type]
        draw_xavier(self.head)

    def forward(self, pixels: Tensor) -> Tensor:
        """Logits (N, classes) of normalised pixels.

        Args:
            pixels: (N, views, 3, H, W); (N, 3, H, W) will do for one view. With `begun` steps behind them, features
                (N, views, ...).

        Raises:
            NetworkError: the number of views is another.
        """
        pooled, _ = self._pooled(pixels)
        logits: Tensor = self.head(self.dropout(pooled))
        return logits

    def outputs(self, pixels: Tensor) -> Outputs:
        """Logits of the head and of the auxiliary classifier; arguments and errors as of `forward`."""
        pooled, whole = self._pooled(pixels)
        auxiliary = self.auxiliary(whole) if self.auxiliary is not None else None
        return Outputs(logits=self.head(self.dropout(pooled)), auxiliary=auxiliary)

    def features(self, pixels: Tensor) -> Tensor:
        """Pooled features (N, F); arguments and errors as of `forward`."""
        return self._pooled(pixels)[0]

    def heads(self) -> list[nn.Linear]:
        """The layers with one output per class: the head, and the auxiliary classifier's last."""
        return [self.head] if self.auxiliary is None else [self.head, self.auxiliary.head]

    def _pooled(self, pixels: Tensor) -> tuple[Tensor, Tensor]:
        """Pooled features, and the features at the end of the whole-view branch (or again the pooled ones)."""
        if pixels.dim() == 4:
            pixels = pixels[:, None]
        if pixels.shape[1] != len(self.spec.views):
            raise NetworkError(f"the network takes {len(self.spec.views)} views, but was given {pixels.shape[1]}")
        if self.plan is None:
            pooled: Tensor = self.backbone(pixels[:, 0])
            return pooled, pooled
        # All views go through the shared stem as one batch: batch norms see what they will be used on.
        shared = self._run(self._steps(self.plan.stem[self.begun :]), pixels.transpose(0, 1).flatten(0, 1))
        each = shared.chunk(len(self.spec.views))
        apart = max(0, self.begun - len(self.plan.stem))
        whole = self._run(self._steps(self.plan.branch[apart:]), each[0])
        joined = whole
        if self.fusion is not None:
            crops = [
                self._run(list(branch.children())[apart:], view)
                for branch, view in zip(self.branches, each[1:], strict=True)
            ]
            joined = self.fusion([whole, *crops])
        last = self._run(self._steps(self.plan.trunk), joined)
        return self.backbone.forward_head(last, pre_logits=True), whole  # type: ignore[operator]

    def _steps(self, names: tuple[str, ...]) -> list[Any]:
        return [step_of(self.backbone, name) for name in names]

    def _run(self, steps: Any, features: Tensor) -> Tensor:  # noqa: ANN401 (an iterable of `ml.networks.cuts.Step`)
        return run(steps, features, recompute=self.recompute and self.training)

    @torch.no_grad()
    def _channels_at_merge(self, plan: Plan) -> int:
        # A blank picture finds out; it must leave no trace in running statistics.
        self.backbone.eval()
        side = self.spec.image_size if plan.architecture.layout == "tokens" else min(self.spec.image_size, BLANK_SIDE)
        features = run(self._steps(plan.stem + plan.branch), torch.zeros(1, 3, side, side))
        self.backbone.train()
        return features.shape[1] if plan.architecture.layout == "map" else features.shape[-1]


def create(spec: NetworkSpec, taxonomy: Taxonomy) -> Network:
    """Build a network with one output per taxon of `spec.rank` in `taxonomy`; its weights are random until loaded.

    Raises:
        NetworkError: the backbone is unknown or cannot be cut as asked, or `spec.classes` is not the number of taxa.
    """
    taxa = len(taxonomy.taxa_at(RANKS.index(spec.rank) + 1))
    if spec.classes not in {None, taxa}:
        raise NetworkError(f"the network has {spec.classes} classes, but the taxonomy has {taxa} of rank {spec.rank}")
    return build(spec.model_copy(update={"classes": taxa}))


def build(spec: NetworkSpec) -> Network:
    """Build the network that `spec` describes, with random weights.

    Raises:
        NetworkError: timm has no such backbone, it cannot be cut as asked, or `spec.classes` is not set.
    """
    if spec.classes is None:
        raise NetworkError("the number of classes is not set: use create(spec, taxonomy)")
    backbone = bare_backbone(spec.backbone, image_size=spec.image_size)
    if len(spec.views) > 1 or spec.auxiliary:
        plan: Plan | None = cut(backbone, split_after=spec.split_after, merge_after=spec.merge_after)
    else:
        plan = uncut(backbone)
    if spec.auxiliary and plan is not None and plan.architecture.layout != "map":
        raise NetworkError(f"{spec.backbone} has no feature maps, which the auxiliary classifier needs")
    branches = [_fresh_branch(spec, plan) for _ in spec.views[1:]] if plan is not None else []
    network = Network(spec=spec, backbone=backbone, plan=plan, branches=branches, classes=spec.classes)
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.momentum = spec.batch_norm_momentum or module.momentum
            module.eps = spec.batch_norm_eps or module.eps
    return network


def bare_backbone(name: str, *, image_size: int, pretrained: bool = False) -> nn.Module:
    """A timm backbone without classifier.

    Raises:
        NetworkError: timm has no such architecture.
    """
    if not timm.is_model(name):
        raise NetworkError(f"timm {timm.__version__} has no backbone named {name!r}; see timm.list_models()")
    configuration = timm.get_pretrained_cfg(name)
    # A transformer's position embedding is made for one size.
    fixed: dict[str, Any] = (
        {"img_size": image_size} if configuration is not None and configuration.fixed_input_size else {}
    )
    backbone: nn.Module = timm.create_model(name, pretrained=pretrained, num_classes=0, **fixed)
    return backbone


def normalisation(backbone: str) -> tuple[tuple[float, float, float], tuple[float, float, float]]:
    """Mean and deviation of pixels that the pretrained weights of `backbone` were trained with (timm's record)."""
    configuration = timm.get_pretrained_cfg(backbone)
    if configuration is None:
        return HALF, HALF
    return _triple(configuration.mean), _triple(configuration.std)


def has_auxiliary(backbone: str) -> bool:
    """Whether the paper trains this architecture with an auxiliary classifier.

    Raises:
        NetworkError: timm has no such architecture.
    """
    with torch.device("meta"):
        architecture = architecture_of(bare_backbone(backbone, image_size=224))
    return architecture is not None and architecture.auxiliary


def load(network: Path, weights: Path) -> Network:
    """Build the network of `network.json` and load its `weights.safetensors`; in evaluation mode, on the CPU.

    Raises:
        NetworkError: `network.json` describes no network.
        WeightsError: the weights are unreadable or belong to another network.
    """
    built = build(NetworkSpec.read(network))
    try:
        built.load_state_dict(load_file(weights), strict=True)
    except SafetensorError as error:
        raise WeightsError(f"{weights} is damaged or no safetensors file: {error}") from error
    except (OSError, RuntimeError, ValueError) as error:
        raise WeightsError(f"{weights} are not the weights of {network}: {error}") from error
    return built.eval()


def steps_of_all_views(network: Network) -> tuple[str, ...]:
    """The steps that each view of a photograph goes through for itself, in their order."""
    return () if network.plan is None else network.plan.stem + network.plan.branch


def count_frozen(network: Network) -> int:
    """How many of the first steps training does not change, as far as they are the same for all views.

    Parameters that training does not change are those without `requires_grad`.
    """
    apart = 0 if network.plan is None else len(network.plan.stem)
    for place, name in enumerate(steps_of_all_views(network)):
        step = step_of(network.backbone, name)
        if not isinstance(step, nn.Module):
            continue
        copies = [list(branch.children())[place - apart] for branch in network.branches] if place >= apart else []
        changing = any(parameter.requires_grad for part in (step, *copies) for parameter in part.parameters())
        if changing or not all(_same(step, copy) for copy in copies):
            return place
    return len(steps_of_all_views(network))


def _same(one: nn.Module, other: nn.Module) -> bool:
    theirs = other.state_dict()
    return all(torch.equal(tensor, theirs[name]) for name, tensor in one.state_dict().items())


def count_parameters(module: nn.Module) -> int:
    """Number of parameters of `module`."""
    return sum(parameter.numel() for parameter in module.parameters())


def _triple(values: Sequence[float]) -> tuple[float, float, float]:
    red, green, blue = values
    return red, green, blue


def _fresh_branch(spec: NetworkSpec, plan: Plan) -> nn.ModuleDict:
    """The layers of a further view, drawn at random: diversity between the branches is what they are for."""
    backbone = bare_backbone(spec.backbone, image_size=spec.image_size)
    branch = nn.ModuleDict({name.replace(".", "_"): step_of(backbone, name) for name in plan.branch})
    if plan.architecture.xavier:
        draw_xavier(branch)
    return branch
