"""Networks of one or several views of a photograph: a timm backbone, cut and joined again, under a new head.

A network is described by `network.json` (`ml.networks.description`) and cut as `ml.networks.cuts` says.
"""

from pathlib import Path
from typing import NamedTuple

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from ml.errors import NetworkError, WeightsError
from ml.files import replacing
from ml.networks.backbones import Backbone, create_bare
from ml.networks.batch_norms import has_batch_norms, load_without_counters, set_batch_norms
from ml.networks.cuts import Plan, Step, architecture_of, connect, cut, run, step_of, uncut
from ml.networks.description import NetworkSpec
from ml.networks.heads import AuxiliaryHead, Fusion, draw_xavier, head_of, in_full_precision
from ml.networks.layers import blocks
from ml.networks.recompute import set_recompute
from ml.spec import RANKS
from ml.taxonomy import Taxonomy

BLANK_SIDE = 96
"""Side of the blank photograph that finds out how many channels there are at a merge point."""


class Outputs(NamedTuple):
    """What training needs of one pass."""

    logits: Tensor
    """(N, classes)."""
    auxiliary: Tensor | None
    """(N, classes) of the auxiliary classifier, where there is one."""


class Network(nn.Module):
    """A backbone without its classifier, branches for further views, their fusion, dropout, and a head."""

    head: nn.Linear

    def __init__(
        self, *, spec: NetworkSpec, backbone: nn.Module, plan: Plan | None, branches: list[nn.ModuleDict], classes: int
    ) -> None:
        """Assemble the parts.

        Args:
            spec: The description.
            backbone: A timm network without classifier; the whole view runs through all of it.
            plan: Where it is cut; None for a family that cannot be, which then has one view and no auxiliary head.
            branches: The layers of each further view, in the order of `plan.branch`.
            classes: Outputs of the head.
        """
        super().__init__()
        self.spec = spec
        self.plan = plan
        self._recompute = False
        self.begun = 0
        """How many of the first steps have run on the inputs already (`ml.networks.frozen`); 0 for pixels."""
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
                    normed=any(has_batch_norms(step) for step in self._steps(plan.branch)),
                )
            if spec.auxiliary:
                self.auxiliary = AuxiliaryHead(channels=channels, classes=classes)
        self.dropout = nn.Dropout(spec.dropout)
        # Some families widen their features after pooling.
        self.head = head_of(spec.head, features=int(backbone.head_hidden_size), classes=classes)  # type: ignore[arg-type]
        for part in (self, backbone):
            load_without_counters(part)

    @property
    def recompute(self) -> bool:
        """Whether training computes each block again in the backward pass (`ml.networks.recompute`)."""
        return self._recompute

    @recompute.setter
    def recompute(self, enabled: bool) -> None:
        names = set(blocks(self.backbone))
        found = [module for name, module in self.named_modules() if self.place_in_backbone(name) in names]
        set_recompute(found, enabled=enabled)
        self._recompute = enabled

    def forward(self, pixels: Tensor) -> Tensor:
        """Logits (N, classes) of normalised pixels.

        Args:
            pixels: (N, views, 3, H, W), or (N, 3, H, W) for one view. Where the first `begun` steps have run already,
                their features (N, views, ...); or pooled features (N, F), as `features` gives them.

        Raises:
            NetworkError: the number of views is another.
        """
        pooled, _ = self._pooled(pixels)
        return self._logits(pooled)

    def outputs(self, pixels: Tensor) -> Outputs:
        """Logits of the head and of the auxiliary classifier, from the inputs that `forward` takes."""
        pooled, whole = self._pooled(pixels)
        auxiliary = self.auxiliary(whole) if self.auxiliary is not None else None
        return Outputs(logits=self._logits(pooled), auxiliary=auxiliary)

    def features(self, pixels: Tensor) -> Tensor:
        """Pooled features (N, F), from the inputs that `forward` takes."""
        return self._pooled(pixels)[0]

    def heads(self) -> list[nn.Linear]:
        """The layers with one output per class: the head, and the auxiliary classifier's last."""
        return [self.head] if self.auxiliary is None else [self.head, self.auxiliary.head]

    def place_in_backbone(self, name: str) -> str | None:
        """The backbone's name for a parameter or module of this network; None for what the backbone has not.

        In a branch it is the name of the whole view's layer that the branch's layer stands beside.
        """
        part, _, rest = name.partition(".")
        if part == "backbone":
            return rest
        if part != "branches" or self.plan is None:
            return None
        _, _, rest = rest.partition(".")
        key, _, inner = rest.partition(".")
        steps = {step.replace(".", "_"): step for step in self.plan.branch}
        return ".".join(filter(None, (steps[key], inner))) if key in steps else None

    def _logits(self, pooled: Tensor) -> Tensor:
        return in_full_precision(self.head, self.dropout(pooled))

    def _pooled(self, pixels: Tensor) -> tuple[Tensor, Tensor]:
        """Pooled features, and the features at the end of the whole-view branch (or again the pooled ones)."""
        if pixels.dim() == 2:
            return pixels, pixels
        if pixels.dim() == 4:
            pixels = pixels[:, None]
        if pixels.shape[1] != len(self.spec.views):
            raise NetworkError(f"the network takes {len(self.spec.views)} views, but was given {pixels.shape[1]}")
        if self.plan is None:
            pooled: Tensor = self.backbone(pixels[:, 0])
            return pooled, pooled
        # All views go through the shared stem as one batch: batch norms see what they will be used on.
        shared = run(self._steps(self.plan.stem[self.begun :]), pixels.transpose(0, 1).flatten(0, 1))
        each = shared.view(len(self.spec.views), pixels.shape[0], *shared.shape[1:]).unbind()
        apart = max(0, self.begun - len(self.plan.stem))
        whole = run(self._steps(self.plan.branch[apart:]), each[0])
        joined = whole
        if self.fusion is not None:
            crops = [
                run(list(branch.children())[apart:], view) for branch, view in zip(self.branches, each[1:], strict=True)
            ]
            joined = self.fusion([whole, *crops])
        last = run(self._steps(self.plan.trunk), joined)
        return self.backbone.forward_head(last, pre_logits=True), whole  # type: ignore[operator]

    def _steps(self, names: tuple[str, ...]) -> list[Step]:
        return [step_of(self.backbone, name) for name in names]

    @torch.no_grad()
    def _channels_at_merge(self, plan: Plan) -> int:
        # A blank photograph finds out; in evaluation mode it does not change running statistics.
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
    backbone = _bare(spec)
    if len(spec.views) > 1 or spec.auxiliary:
        plan: Plan | None = cut(backbone, split_after=spec.split_after, merge_after=spec.merge_after)
    else:
        plan = uncut(backbone)
    if spec.auxiliary and plan is not None and plan.architecture.layout != "map":
        raise NetworkError(f"{spec.backbone} has no feature maps, which the auxiliary classifier needs")
    branches = [_fresh_branch(spec, plan, beside=backbone) for _ in spec.views[1:]] if plan is not None else []
    network = Network(spec=spec, backbone=backbone, plan=plan, branches=branches, classes=spec.classes)
    set_batch_norms(network, momentum=spec.batch_norm_momentum, eps=spec.batch_norm_eps)
    return network


def has_auxiliary(backbone: Backbone, *, image_size: int) -> bool:
    """Whether the paper trains this architecture with an auxiliary classifier."""
    with torch.device("meta"):
        created = create_bare(backbone.architecture, arguments=backbone.arguments, image_size=image_size)
    architecture = architecture_of(created)
    return architecture is not None and architecture.auxiliary


def save(network: Network, *, folder: Path) -> tuple[Path, Path]:
    """Write `network.json` and `weights.safetensors` into `folder`, each atomically, and return their paths."""
    weights = folder / "weights.safetensors"
    with replacing(weights) as partial:
        # A network that was trained in the layout "channels last" is stored in row-major order.
        save_file({name: tensor.cpu().contiguous() for name, tensor in network.state_dict().items()}, partial)
    return network.spec.write(folder / "network.json"), weights


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


def count_parameters(module: nn.Module) -> int:
    """The number of parameters of `module`."""
    return sum(parameter.numel() for parameter in module.parameters())


def _bare(spec: NetworkSpec, *, beside: nn.Module | None = None) -> nn.Module:
    backbone = create_bare(spec.timm_name, arguments=spec.arguments, image_size=spec.image_size)
    connect(backbone, source=beside or backbone)
    return backbone


def _fresh_branch(spec: NetworkSpec, plan: Plan, *, beside: nn.Module) -> nn.ModuleDict:
    """The random layers of a further view: diversity between the branches is wanted (paper, section 3.1)."""
    backbone = _bare(spec, beside=beside)
    branch = nn.ModuleDict({name.replace(".", "_"): step_of(backbone, name) for name in plan.branch})
    if plan.architecture.xavier:
        draw_xavier(branch)
    return branch
