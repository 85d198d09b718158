"""What a person may choose of trainings and thresholds: in the configuration, and again in what children are asked."""

from typing import Annotated, Final, Literal, Self

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, WithJsonSchema, model_validator

PrecisionName = Literal["auto", "fp32", "tf32", "bf16", "fp16"]
"""`auto`: bf16 on a GPU that has it, fp16 with scaled losses on an older one, fp32 on a processor. `fp32` keeps all 24
bits of every product; `tf32` keeps 11 in convolutions and matrix products on a GPU, and stores float32."""

TestTime = Literal["none", "mirror", "crops"]
"""Further looks at a photograph beside its centre; see `ml.networks.inference`."""

Method = Literal["exact", "hill_climb", "binary_search"]
"""How a threshold is searched: at every breakpoint, as in the paper, or as in Deng et al. (2012)."""

Reward = Literal["depth", "information"]
"""What is wanted besides accuracy: the paper's depth, or the information gain in bits of Deng et al. (2012)."""

Rule = Literal["threshold", "reward", "distance"]
"""What is answered: the paper's threshold, the reward of Deng et al. (2012), or the expected distance in the tree."""

PlacedCase = Literal["place", "place_and_date"]
Case = Literal["neither"] | PlacedCase
"""What is known of a photograph beside its pixels. A date without a place tells nothing: seasons differ by place."""
CASE_TITLES: Final[dict[Case, str]] = {
    "neither": "the photograph alone",
    "place": "with its place",
    "place_and_date": "with its place and date",
}
"""The cases for people."""


def _share(value: float) -> float:
    if not 0 < value < 1:
        instead = f", as {value / 100:g}" if 1 < value < 100 else ""
        raise ValueError(f"it must be a share between 0 and 1{instead}")
    return value


def one_line(value: str) -> str:
    """Refuse a text that is blank, or that would break a line (ValueError)."""
    if not value.strip():
        raise ValueError("it is empty")
    if not value.isprintable():
        raise ValueError("it must be one line of printable text")
    return value


Share = Annotated[
    float, AfterValidator(_share), WithJsonSchema({"type": "number", "exclusiveMinimum": 0, "exclusiveMaximum": 1})
]
"""Above 0 and below 1."""
Line = Annotated[str, AfterValidator(one_line)]
"""One line of printable text."""


class Options(BaseModel):
    """What a person may choose: these fields, with defaults and descriptions, are in the configuration and in specs."""

    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True)


class TrainingOptions(Options):
    """How networks are trained."""

    image_size: int = Field(default=299, ge=32, le=4096)
    """Width and height of the network's input, in pixels."""
    workers: int | None = Field(default=None, ge=0)
    """Workers that decode photographs, per training process: processes where it has a GPU, else threads. Empty: its
    share of the processor's cores, of which trainings that may run side by side have equal shares, less one."""
    batch_scale: float = Field(default=1.0, ge=1, le=1024, allow_inf_nan=False)
    """Multiplies the recipe's batch, over all processes. Learning rates grow with it, linearly where the optimiser acts
    as SGD (the paper's epsilon of 1) and by the square root where it acts as Adam; the epochs stay
    (`ml.training.scaling`)."""
    precision: PrecisionName = "auto"
    """`auto`: bf16 on a GPU that has it, fp16 with scaled losses on an older one, fp32 on a processor. `fp32` computes
    in full precision everywhere; `tf32` rounds the factors of products on a GPU to 11 bits."""
    test_time: TestTime = "none"
    """Looks at a photograph that are averaged: its centre alone, also its `mirror` image, or `crops` of its corners."""
    compile: bool = False
    """Compile the network and its loss with `torch.compile`: minutes at the start, faster steps on a GPU."""
    cuda_graph: bool = True
    """On one GPU, record a training step once and replay it: the same numbers, and no waiting for Python to launch
    the kernels one by one. Not in float16, nor with recompute, nor with several GPUs per training."""
    accumulate: int = Field(default=1, ge=1)
    """Parts that each process computes its share of a batch in: the recipe's batch on a smaller card."""
    recompute: bool = False
    """Gradient checkpointing: less memory for a third more time, the same gradients."""
    sync_batch_norm: bool = False
    """Normalise over the batches of all GPUs together: the paper's batch is small once it is divided among them."""
    deterministic: bool = False
    """On a GPU, choose kernels that give the same bits each time, where there are such; a processor always does."""

    checkpoint_minutes: float = Field(default=1.0, gt=0)
    """Least minutes between two checkpoints; they are further apart where they would take more than 1 % of the time."""
    log_steps: int = Field(default=50, ge=1)
    """Steps between two points of loss, learning rate and gradient norm in MLflow; each is a mean over these steps."""

    @model_validator(mode="after")
    def _possible_together(self) -> Self:
        if self.compile and self.recompute:
            raise ValueError("compile and recompute exclude each other: torch cannot compile recomputed blocks")
        if self.sync_batch_norm and self.accumulate > 1:
            raise ValueError("sync_batch_norm and accumulate exclude each other: only one part is there at a time")
        return self


class ThresholdOptions(Options):
    """How the thresholds of a network are chosen; `docs/specificity.md` explains it."""

    target: Share = 0.9
    """Target accuracy of the answers."""
    rule: Rule = "threshold"
    """What is answered: `threshold`, the deepest taxon that is probable enough (the paper); `reward`, the taxon with
    the greatest (reward + λ) x probability (Deng et al. 2012); `distance`, that with the least expected distance in the
    tree less λ x depth. The threshold, or λ, is chosen for the target."""
    method: Method = "exact"
    """How the threshold is searched; `hill_climb` is the paper's."""
    reward: Reward = "depth"
    """What to have most of at the target accuracy: depth (the paper), or information in bits (Deng et al. 2012). The
    rule `reward` rewards the same."""
    delta: Share | None = None
    """With a number, the target is guaranteed, and broken with at most this probability."""
    temperature: bool = False
    """Whether temperature scaling is fitted and applied before the sums."""
    groups: Literal["none", "kingdom", "phylum", "class", "order"] = "none"
    """The rank whose taxa get their own thresholds."""
    group_photos: int = Field(default=100, ge=1)
    """Calibration photographs that a taxon needs for its own threshold."""
    watch_list: tuple[Line, ...] = ()
    """Names, lineages (`Plantae > Morus`) or keys of taxa; their probabilities are always reported."""
    watch_recall: Share = 0.95
    """Share of a watched taxon's observations that must raise its alarm."""
