"""What a network is, as data: `network.json` beside its weights, and the part of it that a recipe decides."""

from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, JsonValue, field_validator

from ml.errors import NetworkError
from ml.files import replacing
from ml.spec import FusionStart, PrecisionName, Rank, TestTime, problem_of

Channels = tuple[float, float, float]
"""A number for red, green and blue."""

HALF: Channels = (0.5, 0.5, 0.5)
"""Mean and deviation that bring pixels to [-1, 1], as TF-slim's Inception and EfficientNet-Lite were trained."""

BranchStart = Literal["random", "pretrained"]
"""First weights of the branches of further views: random, or copies of the whole view's."""

HeadName = Literal["linear", "cosine", "prototype"]
"""How features become logits: a linear layer; the cosines to one learnt direction per class (`CosineHead`); the same
with the mean direction of each class's training photographs in the place of a learnt one."""


class Shape(BaseModel):
    """What a recipe decides about the network that it trains."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    views: tuple[float, ...] = (1.0,)
    """Share of each side that each view shows, around the centre; the first is the whole view."""
    split_after: str | None = None
    """Last step of the stem, which all views share (`ml.networks.cuts`); None takes the architecture's default."""
    merge_after: str | None = None
    """Last step of the branches; None takes the architecture's default."""
    fusion: FusionStart = "random"
    """First weights of the convolution that joins the views; random in the paper."""
    head: HeadName = "linear"
    """What follows the pooled features."""
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


class NetworkSpec(Shape):
    """All that is needed to build a network again; stored beside its weights as `network.json`."""

    backbone: str
    """As configured: a timm architecture name, `hf-hub:owner/name`, or `local-dir:/path`."""
    architecture: str | None = None
    """Timm's architecture where `backbone` is a hub's or a folder's, so that neither is needed to build it again."""
    arguments: dict[str, JsonValue] = Field(default_factory=dict)
    """What is built otherwise than timm's default (`ml.networks.backbones`)."""
    classes: int | None = Field(default=None, ge=1)
    """Outputs of the head; `ml.networks.create` takes them from the taxonomy."""
    rank: Rank = "species"
    """What the classes are: species, or the taxa of a higher rank while knowledge is transferred down."""
    image_size: int = Field(ge=32)
    """Side of the square views, in pixels."""
    auxiliary: bool = False
    """Whether there is an auxiliary classifier on the whole-view branch; only training uses it."""
    mean: Channels = HALF
    std: Channels = HALF
    test_time: TestTime = "none"
    """Looks at a photograph whose probabilities are averaged (`ml.networks.inference`)."""
    precision: PrecisionName = "fp32"
    """What the network was evaluated in, and is served in on a GPU."""

    @property
    def timm_name(self) -> str:
        """The architecture that timm builds."""
        return self.architecture or self.backbone

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
