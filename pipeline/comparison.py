"""The networks of one dataset version side by side, in the form of the paper's Table 1."""

from pathlib import Path
from typing import Final

from ml.spec import RESULT_FILE, CalibrateResult, NetworkName
from pipeline.config import Settings
from pipeline.dataset.manifest import DatasetManifest
from pipeline.files import write_bytes
from pipeline.specs import calibrate_hash, trained

NETWORKS: Final[dict[NetworkName, str]] = {"baseline": "one view (baseline)"}
"""The networks of the road and how tables call them."""

PAPER: Final[dict[NetworkName, tuple[float, float, float]]] = {"baseline": (0.466, 0.900, 4.78)}
"""The paper's validation accuracy, specificity accuracy and mean depth (section 5; root at depth 0)."""


def calibrated(settings: Settings, manifest: DatasetManifest, *, network: NetworkName) -> CalibrateResult:
    """The finished calibration of one network of this dataset version."""
    spec_hash = calibrate_hash(settings, manifest, network=network)
    return CalibrateResult.read(settings.paths.evaluation(network, spec_hash) / RESULT_FILE)


def best_network(settings: Settings, manifest: DatasetManifest) -> NetworkName:
    """The network with the highest validation accuracy; the first of the road on a tie."""
    return max(NETWORKS, key=lambda name: trained(settings, manifest, network=name)[1].metrics["top1"])


def build_comparison(settings: Settings, manifest: DatasetManifest) -> Path:
    """Write `reports/comparison.md` and return its path."""
    target = settings.specificity.target
    counts = manifest.counts
    introduction = (
        f"Dataset `{manifest.dataset_version}`: {counts['species']:,} species, {counts['train']:,} training and "
        f"{counts['validation']:,} validation photographs. The target accuracy of specificity control is "
        f"{target:.0%}; its accuracy and depth are those of the half of the validation side that did not choose "
        "the threshold. Depth counts the root as 0 and species as 7."
    )
    lines = [
        introduction,
        "",
        "| network | validation top-1 | top-5 | specificity accuracy (95 % interval) | mean depth | abstained |",
        "|---|---:|---:|---:|---:|---:|",
    ]
    for name, title in NETWORKS.items():
        _, result = trained(settings, manifest, network=name)
        specificity = calibrated(settings, manifest, network=name)
        interval = f"{specificity.evaluation_accuracy_low:.1%} to {specificity.evaluation_accuracy_high:.1%}"
        lines.append(
            f"| {title} | {result.metrics['top1']:.1%} | {result.metrics['top5']:.1%} "
            f"| {specificity.evaluation_accuracy:.1%} ({interval}) | {specificity.evaluation_depth:.2f} "
            f"| {specificity.abstention_rate:.1%} |"
        )
    for name, title in NETWORKS.items():
        accuracy, specificity_accuracy, depth = PAPER[name]
        lines.append(
            f"| the paper's {title}, 19,027 species | {accuracy:.1%} | | {specificity_accuracy:.1%} | {depth:.2f} | |"
        )
    return write_bytes(settings.paths.reports / "comparison.md", ("\n".join(lines) + "\n").encode())
