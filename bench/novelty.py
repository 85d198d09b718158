"""Photographs of genera that training never saw, told from those of known species by scores of one frozen network.

EfficientNet-Lite0's ImageNet features at 128 pixels, a linear head, and a fifth of the genera left out, three times.
Nothing is timed.
"""

import csv
import threading
from pathlib import Path
from typing import Final, NamedTuple

import numpy as np
import numpy.typing as npt
import torch

from bench.harness import PHOTOS, Goal, Report
from ml.devices import Device
from ml.evaluation.class_sums import ClassSums
from ml.evaluation.reliability import clopper_pearson
from ml.images.photograph import upright_pixels
from ml.images.views import Box, resize, standardise
from ml.networks.description import NetworkSpec
from ml.networks.inference import seen_boxes
from ml.networks.network import build
from ml.networks.pretrained import initialise
from ml.spec import PACKAGE_BACKBONE, RANKS
from ml.specificity.novelty import Novelty, Prototypes, Singles, auroc, calibrate_novelty, distances_of
from ml.taxonomy import Integers, Taxonomy
from ml.training.feature_rows import Held, moments_of
from ml.training.head_solvers import MOST_ROWS, Problem, solve_exactly

SIDE, BATCH, LEAST = 128, 32, 5
PROCESSOR: Final = Device(device=torch.device("cpu"), rank=0, world=1)
SEEDS, LEFT_OUT, VALIDATION = (1, 2, 3), 0.2, 0.2
LEVEL = 0.05
"""Share of known species' photographs that may raise the alarm."""
GENUS: Final = RANKS.index("genus")
SCORE, BASELINE = "cosine to the nearest prototype, whitened (served)", "1 - maximum probability (baseline)"


class Outcome(NamedTuple):
    """What one choice of genera to leave out gave."""

    aurocs: dict[str, float]
    false_alarms: int
    evaluated: int
    found: float
    """Share of the photographs of genera left out of training that raise the alarm."""
    stated: float
    """The share that the calibration states: of genera left out of the prototypes alone."""


def run(*, folder: Path, runs: int) -> Report:
    """Compute features once, then leave genera out; the seeds are fixed, so repeating it would change nothing."""
    del runs
    lineages = read_lineages(PHOTOS)
    features = features_of(PHOTOS, folder / "features.npy")
    _, species, counts = np.unique(lineages, axis=0, return_inverse=True, return_counts=True)
    enough = counts[species] >= LEAST
    outcomes = [left_out(features[enough], lineages[enough], seed=seed) for seed in SEEDS]
    names = sorted(outcomes[0].aurocs, key=lambda name: -np.mean([one.aurocs[name] for one in outcomes]))
    rows = [
        {"score": name, "AUROC, mean of seeds": float(np.mean([one.aurocs[name] for one in outcomes]))}
        | {f"seed {seed}": one.aurocs[name] for seed, one in zip(SEEDS, outcomes, strict=True)}
        for name in names
    ]
    raised, evaluated = sum(one.false_alarms for one in outcomes), sum(one.evaluated for one in outcomes)
    low, high = clopper_pearson(raised, evaluated)
    least = min(one.aurocs[SCORE] - one.aurocs[BASELINE] for one in outcomes)
    found, stated = (np.mean([one.found for one in outcomes]), np.mean([one.stated for one in outcomes]))
    alarm_note = (
        f"An alarm at {LEVEL:.0%}: {raised} of {evaluated} photographs of known species on the half that did not "
        f"calibrate raise it ({raised / evaluated:.1%}, {low:.1%} to {high:.1%})."
    )
    found_note = (
        f"It finds {found:.1%} of the photographs of genera that were left out of training; the calibration, which "
        f"leaves genera out of the prototypes alone, states {stated:.1%}."
    )
    return Report(
        part="novelty",
        title=f"{enough.sum():,} photographs of {(counts >= LEAST).sum()} species at {SIDE} pixels, frozen "
        f"EfficientNet-Lite0 and a linear head; {LEFT_OUT:.0%} of the genera left out of training, {len(SEEDS)} seeds.",
        rows=rows,
        goals=[
            Goal(name="AUROC above the baseline, the least of the seeds", value=least, bound=0.0, kind="at least"),
            Goal(name=f"alarm at {LEVEL:.0%}: false alarms, lower end of the 95 % interval", value=low, bound=LEVEL,
                 kind="at most"),
            Goal(name=f"alarm at {LEVEL:.0%}: false alarms, upper end of the 95 % interval", value=high, bound=LEVEL,
                 kind="at least"),
        ],
        notes=[alarm_note, found_note, "Several photographs of a species may come from one photographer."],
    )  # fmt: skip


def read_lineages(table: Path) -> npt.NDArray[np.str_]:
    """Names from kingdom to species; a missing inner rank is named after what is below. Shape: photographs x 7."""
    with table.open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    return np.array([[row[rank] or f"? of {row['family']}" for rank in RANKS] for row in rows])


def features_of(table: Path, kept: Path, *, part: Box | None = None) -> Singles:
    """Pooled features of a part of each photograph, by default of the central crop. Shape: photographs x 1280."""
    if kept.exists():
        features: Singles = np.load(kept)
        return features
    torch.manual_seed(0)
    network = build(NetworkSpec(backbone=PACKAGE_BACKBONE, classes=2, image_size=SIDE)).eval()
    initialise(network, source="package")
    boxes = seen_boxes(network.spec) if part is None else [part]
    with table.open(encoding="utf-8", newline="") as file:
        paths = [table.parent / row["path"] for row in csv.DictReader(file)]
    found = []
    with torch.inference_mode():
        for begin in range(0, len(paths), BATCH):
            parts = [
                resize(upright_pixels(path.read_bytes()), boxes=boxes, image_size=SIDE)
                for path in paths[begin : begin + BATCH]
            ]
            pixels = PROCESSOR.pixels(torch.from_numpy(np.stack(parts)))
            found.append(network.features(standardise(pixels, network.spec.mean, network.spec.std)).numpy())
    kept.parent.mkdir(parents=True, exist_ok=True)
    np.save(kept, np.concatenate(found))
    return np.concatenate(found)


def left_out(features: Singles, lineages: npt.NDArray[np.str_], *, seed: int) -> Outcome:
    """Train without some genera, calibrate on half of a validation side, and judge on its other half."""
    generator = np.random.default_rng(seed)
    _, genus = np.unique(lineages[:, : GENUS + 1], axis=0, return_inverse=True)
    outside = np.isin(genus, generator.choice(genus.max() + 1, round(LEFT_OUT * (genus.max() + 1)), replace=False))
    tree, labels = taxonomy_of(lineages[~outside])
    known, novel = features[~outside], features[outside]
    drawn = generator.random(len(known))
    train, calibration, evaluation = drawn >= VALIDATION, drawn < VALIDATION / 2, (drawn >= VALIDATION / 2)
    evaluation &= drawn < VALIDATION
    inputs, targets = torch.from_numpy(known[train]), torch.from_numpy(labels[train].astype(np.int64))
    weight, bias = fitted_head(inputs, targets, classes=tree.class_count)
    sums = ClassSums(tree.class_count)
    sums.add(inputs, targets)
    means = sums.means()
    prototypes = Prototypes.of(means=means.means, photos=means.photos, covariance=means.covariance)
    halves = [
        distances_of(known, labels, prototypes, tree, rows=np.flatnonzero(half)) for half in (calibration, evaluation)
    ]
    novelty, quality = calibrate_novelty(prototypes, calibration=halves[0], evaluation=halves[1])
    alarm = next(alarm for alarm in quality.alarms if alarm.level == LEVEL)
    assert alarm.found is not None  # noqa: S101 (there are many genera)
    held = np.concatenate([known[calibration | evaluation], novel])
    count = int((calibration | evaluation).sum())
    scores = _scores(
        held, weight=weight.numpy(), bias=bias.numpy(), novelty=novelty, means=means.means[means.photos > 0]
    )
    return Outcome(
        aurocs={name: auroc(score[:count], score[count:]) for name, score in scores.items()},
        false_alarms=round(alarm.false_alarms * quality.evaluation_photos),
        evaluated=quality.evaluation_photos,
        found=float((novelty.p_values(prototypes.distances(novel)) <= LEVEL).mean()),
        stated=alarm.found,
    )


def fitted_head(features: torch.Tensor, labels: torch.Tensor, *, classes: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Weight and bias of a linear head for features as they are."""
    folds = torch.zeros_like(labels)
    rows = Held(features, labels, folds)
    moments = moments_of(rows, columns=features.shape[1], device=PROCESSOR, chunk=MOST_ROWS)
    rows = Held((features - moments.mean) / moments.deviation, labels, folds)
    head = torch.nn.Linear(features.shape[1], classes)
    for parameter in head.parameters():
        torch.nn.init.zeros_(parameter)
    problem = Problem(
        head=head, rows=rows, weight_decay=0.01, pull=None, device=PROCESSOR, stop=threading.Event()
    )  # fmt: skip
    solve_exactly(problem, iterations=60)
    weight = head.weight.detach() / moments.deviation
    return weight, head.bias.detach() - weight @ moments.mean


def _scores(
    features: Singles, *, weight: Singles, bias: Singles, novelty: Novelty, means: Singles
) -> dict[str, npt.NDArray[np.floating]]:
    """What could be served; greater is more novel."""
    logits = features @ weight.T + bias
    highest = logits.max(axis=1)
    energy = highest + np.log(np.exp(logits - highest[:, None]).sum(axis=1))
    cosines = np.sort(_unit(features) @ _unit(means).T, axis=1)
    prototypes = novelty.prototypes
    white, centres = (rows @ prototypes.whitening for rows in (features, means))
    squares = (white**2).sum(axis=1)[:, None] - 2 * white @ centres.T + (centres**2).sum(axis=1)
    mahalanobis = squares.min(axis=1)
    return {
        SCORE: prototypes.distances(features),
        BASELINE: -np.exp(highest - energy),
        "energy (Liu et al. 2020)": -energy,
        "cosine to the nearest prototype": -cosines[:, -1],
        "cosine, mean of the 3 nearest prototypes": -cosines[:, -3:].mean(axis=1),
        "Mahalanobis (Lee et al. 2018)": mahalanobis,
        "relative Mahalanobis, to the mean (Ren et al. 2021)": mahalanobis
        - ((white - prototypes.centre @ prototypes.whitening) ** 2).sum(axis=1),
    }


def taxonomy_of(lineages: npt.NDArray[np.str_]) -> tuple[Taxonomy, Integers]:
    """The tree of some lineages, and the class of each of them."""
    leaves, labels = np.unique(lineages, axis=0, return_inverse=True)
    rows = [_node(0, parent=None, depth=0, name="Life", leaves=(0, len(leaves)))]

    def visit(begin: int, end: int, depth: int, parent: int) -> None:
        while begin < end:
            name = leaves[begin, depth]
            stop = begin + int((leaves[begin:end, depth] == name).sum())
            node = len(rows)
            rows.append(_node(node, parent=parent, depth=depth + 1, name=str(name), leaves=(begin, stop)))
            if depth + 1 < len(RANKS):
                visit(begin, stop, depth + 1, node)
            begin = stop

    visit(0, len(leaves), 0, 0)
    return Taxonomy.of_rows(rows), labels.astype(np.int32)


def _node(node: int, *, parent: int | None, depth: int, name: str, leaves: tuple[int, int]) -> dict[str, object]:
    return {
        "node_id": node, "parent_id": parent, "depth": depth, "rank": ("root", *RANKS)[depth], "name": name,
        "taxon_key": str(node), "placeholder": name.startswith("?"),
        "class_id": leaves[0] if depth == len(RANKS) else None, "leaf_begin": leaves[0], "leaf_end": leaves[1],
    }  # fmt: skip


def _unit(rows: Singles) -> Singles:
    unit: Singles = rows / np.linalg.norm(rows, axis=1, keepdims=True)
    return unit
