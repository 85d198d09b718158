"""Fitting the head on frozen features before fine-tuning (Kumar et al. 2022): features once, then a convex problem."""

import shutil
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from ml.child.progress import Meter, meter
from ml.errors import InterruptedTrainingError, TrainingError
from ml.files import replacing
from ml.images.augmentation import RandomChanges
from ml.training.loop import Job, seed_of
from ml.training.output_folder import HISTORY
from ml.training.recipes import Probe

CHUNK = 512
"""Photographs per stored piece of features: what an interrupted pass does not compute again."""
FIRST_EPOCH = 1_000_000
"""Random crops of the probe's passes are drawn as if in epochs from here on: never those of training."""


def probe(job: Job) -> list[dict[str, Any]]:
    """Fit the head before training, where the recipe says so: on the first rank, the others read the file it wrote.

    Returns:
        The row of the history, with loss and accuracy over the training photographs' features.
    """
    chosen = job.recipe.probe
    if chosen is None:
        return []
    quality = fit_head(job, chosen) if job.device.first else None
    job.device.wait_for_all()
    loss, accuracy = quality or fit_head(job, chosen)
    job.reporter.info(f"head fitted on frozen features: training accuracy {accuracy:.1%}")
    row = dict.fromkeys(HISTORY.names, 0.0) | {"train_loss": loss, "train_accuracy": accuracy}
    return [row | {"phase": "probe", "epoch": 0, "step": 0}]


def fit_head(job: Job, probe: Probe) -> tuple[float, float]:
    """Fit the head of `job.network` on the features of its frozen backbone.

    The penalty pulls the head to zero, or, after a stage of a higher rank, to the mixture of that stage's head and
    chance (`ml.networks.transfer.mix`). Features are kept in the output's folder `features` until the head is written
    to `head.safetensors`; a head that is there already is loaded.

    Returns:
        Loss and accuracy over the training photographs' features.

    Raises:
        InterruptedTrainingError: `job.stop` was set; the pieces computed so far are kept.
        TrainingError: no photograph could be read.
    """
    file, pieces = job.spec.output / "head.safetensors", job.spec.output / "features"
    if not file.exists():
        features, labels = _features(job, probe, pieces)
        _write(file, _solve(features, labels, job=job, probe=probe))
    shutil.rmtree(pieces, ignore_errors=True)
    head = load_file(file)
    with torch.no_grad():
        job.network.head.weight.copy_(head["weight"])
        job.network.head.bias.copy_(head["bias"])
    loss, accuracy = head["quality"].tolist()
    return float(loss), float(accuracy)


def solve(
    features: Tensor,
    labels: Tensor,
    *,
    classes: int,
    weight_decay: float,
    iterations: int,
    prior: tuple[Tensor, Tensor] | None = None,
) -> tuple[Tensor, Tensor]:
    """Multinomial logistic regression with L2 on standardised features, by L-BFGS from the prior.

    Args:
        features: (N, F) float32.
        labels: (N) class ids.
        classes: Number of classes.
        weight_decay: L2 penalty; the loss is the mean cross entropy plus half of it times the squared weights.
        iterations: Upper limit.
        prior: Weight and bias, as returned, that the penalty pulls to; None for zero.

    Returns:
        Weight (classes, F) and bias (classes) for features as they are, the standardisation folded in.
    """
    mean, deviation = features.mean(0), features.std(0, correction=0).clamp_min(1e-6)
    inputs = (features - mean) / deviation
    first = torch.zeros(classes, features.shape[1]) if prior is None else prior[0] * deviation
    weight = first.clone().requires_grad_()
    bias = (torch.zeros(classes) if prior is None else prior[1] + prior[0] @ mean).clone().requires_grad_()
    optimiser = torch.optim.LBFGS([weight, bias], max_iter=iterations, line_search_fn="strong_wolfe")

    def closure() -> float:
        optimiser.zero_grad()
        loss = nn.functional.cross_entropy(inputs @ weight.T + bias, labels)
        loss = loss + 0.5 * weight_decay * (weight - first).square().sum()
        loss.backward()  # type: ignore[no-untyped-call]
        return float(loss.item())

    optimiser.step(closure)  # type: ignore[no-untyped-call]
    with torch.no_grad():
        scaled = weight / deviation
        return scaled, bias - scaled @ mean


def _solve(features: Tensor, labels: Tensor, *, job: Job, probe: Probe) -> dict[str, Tensor]:
    job.reporter.info(f"fitting the head on {len(features)} feature vectors of {len(job.photos)} photographs")
    head = job.network.head
    # After a stage of a higher rank the head holds the mixture of what that stage has learnt and chance.
    prior = (head.weight.detach().cpu(), head.bias.detach().cpu()) if job.spec.parent is not None else None
    weight, bias = solve(
        features,
        labels,
        classes=head.out_features,
        weight_decay=probe.weight_decay,
        iterations=probe.iterations,
        prior=prior,
    )
    logits = features @ weight.T + bias
    loss = nn.functional.cross_entropy(logits, labels)
    accuracy = (logits.argmax(1) == labels).float().mean()
    return {"weight": weight.contiguous(), "bias": bias, "quality": torch.stack([loss, accuracy])}


@torch.no_grad()
def _features(job: Job, probe: Probe, pieces: Path) -> tuple[Tensor, Tensor]:
    """Features (N, F) and labels of all passes: the centre in the first, random crops in the others."""
    job.device.place(job.network).eval()
    with meter("features", total=probe.views * len(job.photos), reporter=job.reporter) as progress:
        for view in range(probe.views):
            changes = RandomChanges(
                job.recipe.augmentation, seed=seed_of(job.spec.seed), stage=job.recipe.rank, epoch=FIRST_EPOCH + view
            )
            for begin in range(0, len(job.photos), CHUNK):
                piece = pieces / f"{view:02d}-{begin:09d}.safetensors"
                positions = np.arange(begin, min(begin + CHUNK, len(job.photos)))
                if piece.exists():
                    progress.advance(len(positions))
                else:
                    found = _piece(job, changes=changes if view else None, positions=positions, progress=progress)
                    _write(piece, found)
    stored = [load_file(piece) for piece in sorted(pieces.glob("*.safetensors"))]
    features = torch.cat([piece["features"] for piece in stored])
    if not len(features):
        raise TrainingError("none of the training photographs can be decoded; materialise training_photos again")
    return features, torch.cat([piece["labels"] for piece in stored])


def _piece(
    job: Job, *, changes: RandomChanges | None, positions: NDArray[np.intp], progress: Meter
) -> dict[str, Tensor]:
    features, labels = [torch.empty(0, job.network.head.in_features)], [torch.empty(0, dtype=torch.int64)]
    groups = [positions[begin : begin + job.recipe.batch] for begin in range(0, len(positions), job.recipe.batch)]
    for batch in job.loader.batches(job.photos, groups=groups, changes=changes):
        if job.stop.is_set():
            raise InterruptedTrainingError("interrupted while computing features; run again to go on from there")
        if not len(batch.positions):
            continue
        inputs = job.loader.inputs(batch.pixels, positions=batch.positions, changes=changes)
        with job.device.autocast():
            pooled = job.network.features(inputs)
        features.append(pooled.float().cpu())
        labels.append(batch.labels)
        progress.advance(len(batch.positions))
    return {"features": torch.cat(features), "labels": torch.cat(labels)}


def _write(path: Path, tensors: dict[str, Tensor]) -> None:
    with replacing(path) as partial:
        save_file(tensors, partial)
