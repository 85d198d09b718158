"""Which networks are compared, what they are called, and what the paper reports of them. Reads results only."""

from dataclasses import dataclass
from typing import Final

from ml.spec import CalibrateResult, NetworkName, TrainResult
from pipeline.config.settings import Settings
from pipeline.dataset.manifest import DatasetManifest
from pipeline.launching.specs import calibrated, trained

NETWORKS: Final[dict[NetworkName, str]] = {
    "baseline": "one view (baseline)",
    "baseline_matched": "one view, schedule of two views",
    "multi_view": "two views",
    "knowledge_transfer": "two views, knowledge transfer",
}
"""The networks that identify species, and how tables call them; `genus_stage` only prepares the last."""

CONTRASTS: Final[tuple[tuple[NetworkName, NetworkName], ...]] = (
    ("baseline_matched", "baseline"),
    ("multi_view", "baseline"),
    ("multi_view", "baseline_matched"),
    ("knowledge_transfer", "multi_view"),
    ("knowledge_transfer", "baseline"),
)
"""Pairs whose difference is an answer: to the schedule, to the second view, to the transfer, and to all together."""


@dataclass(frozen=True, kw_only=True)
class Published:
    """A row of the paper's Table 1; its depths are given as in its text, with the root at 0."""

    top1: float
    train_top1: float | None
    specificity_accuracy: float
    specificity_depth: float


PAPER: Final[dict[NetworkName, Published]] = {
    "baseline": Published(top1=0.466, train_top1=None, specificity_accuracy=0.900, specificity_depth=4.78),
    "multi_view": Published(top1=0.548, train_top1=0.682, specificity_accuracy=0.900, specificity_depth=4.96),
    "knowledge_transfer": Published(top1=0.558, train_top1=0.578, specificity_accuracy=0.900, specificity_depth=5.09),
}
"""Section 5: 19,027 species, InceptionResNetV2."""


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
    """The network with the highest validation accuracy with the first seed; the first of the road on a tie."""
    return max(NETWORKS, key=lambda name: trained(settings, manifest, network=name).metrics["top1"])
