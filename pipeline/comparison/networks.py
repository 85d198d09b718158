"""Which networks are compared: their titles, colours, the paper's numbers, and their finished results."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from ml.palette import BLUE, GOLD, GREEN, VERMILION
from ml.spec import NETWORK_TITLES, CalibrateResult, NetworkName, TrainResult
from pipeline.config.settings import Settings
from pipeline.dataset.manifest import DatasetManifest
from pipeline.launching.specs import calibrated, trained


@dataclass(frozen=True, kw_only=True)
class Network:
    """How a network is shown, and what the paper reports of it."""

    title: str
    colour: str
    paper: Mapping[str, float] = field(default_factory=dict)
    """The paper's numbers (section 5: 19,027 species, InceptionResNetV2) by the quantities of `measures.summary`; empty
    for a network that it does not have."""


def _paper(*, top1: float, train_top1: float | None = None, depth: float) -> dict[str, float]:
    """A row of the paper's Table 1; its text counts the root's depth as 0, its table as 1."""
    training = {} if train_top1 is None else {"train_top1": train_top1, "gap": train_top1 - top1}
    specificity = {
        "specificity_accuracy": 0.900, "specificity_depth": depth, "specificity_depth_incl_root": depth + 1
    }  # fmt: skip
    return {"top1": top1, **training, **specificity}


NETWORKS: Final[dict[NetworkName, Network]] = {
    "baseline": Network(title=NETWORK_TITLES["baseline"], colour=VERMILION, paper=_paper(top1=0.466, depth=4.78)),
    "baseline_matched": Network(title=NETWORK_TITLES["baseline_matched"], colour=GOLD),
    "multi_view": Network(
        title=NETWORK_TITLES["multi_view"], colour=BLUE, paper=_paper(top1=0.548, train_top1=0.682, depth=4.96)
    ),
    "knowledge_transfer": Network(
        title=NETWORK_TITLES["knowledge_transfer"], colour=GREEN, paper=_paper(top1=0.558, train_top1=0.578, depth=5.09)
    ),
}
"""The networks that identify species, in the order of the pipeline; `genus_stage` only prepares the last."""

CONTRASTS: Final[tuple[tuple[NetworkName, NetworkName], ...]] = (
    ("baseline_matched", "baseline"),
    ("multi_view", "baseline"),
    ("multi_view", "baseline_matched"),
    ("knowledge_transfer", "multi_view"),
    ("knowledge_transfer", "baseline"),
)
"""Pairs whose difference is an answer: to the schedule, to the second view, to the transfer, and to all together."""


@dataclass(frozen=True, kw_only=True)
class Trained:
    """One network with one seed: its training and its calibration."""

    seed: int
    training: TrainResult
    calibration: CalibrateResult


def results_of(settings: Settings, manifest: DatasetManifest) -> dict[NetworkName, list[Trained]]:
    """All finished results, by network, in the order of the seeds."""
    return {
        name: [
            Trained(
                seed=seed,
                training=trained(settings, manifest, network=name, seed=seed),
                calibration=calibrated(settings, manifest, network=name, seed=seed),
            )
            for seed in settings.training.seeds
        ]
        for name in NETWORKS
    }


def best_network(settings: Settings, manifest: DatasetManifest) -> NetworkName:
    """The network with the highest validation accuracy with the first seed; the first in the pipeline on a tie."""
    return max(NETWORKS, key=lambda name: trained(settings, manifest, network=name).metrics["top1"])
