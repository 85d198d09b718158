"""Fitting the head on frozen features before fine-tuning (Kumar et al. 2022): features once, then a convex problem."""

import os
import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from ml.child.progress import Meter, meter
from ml.errors import InterruptedTrainingError, TrainingError
from ml.files import replacing
from ml.images import augmentation as augment
from ml.images import loader as data
from ml.training.job import Job, seed_of
from ml.training.recipes import Probe

CHUNK = 512
"""Photographs per stored piece of features: what an interrupted pass does not compute again."""
FIRST_EPOCH = 1_000_000
"""Random crops of the probe's passes are drawn as if in epochs from here on: never those of training."""


def fit_head(job: Job, probe: Probe) -> tuple[float, float]:
    """Fit the head of `job.network` on the features of its frozen backbone.

    The penalty pulls the head to nothing, or, after a stage of a higher rank, to what `ml.networks.transfer.mix` put
    there.

    Features are kept in `<folder>/../features` until the head is written to `<folder>/../head.safetensors`; a head
    that stands there already is loaded.

    Returns:
        Loss and accuracy over the training photographs' features.

    Raises:
        InterruptedTrainingError: `job.stop` was set; the pieces computed so far are kept.
        TrainingError: no photograph could be read.
    """
    file = job.folder.parent / "head.safetensors"
    pieces = job.folder.parent / "features"
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
    classes = job.network.head.out_features
    job.reporter.info(f"fitting the head on {len(features)} feature vectors of {len(job.photos)} photographs")
    head = job.network.head
    # After a stage of a higher rank the head holds the mixture of what that stage has learnt and chance.
    prior = (head.weight.detach().cpu(), head.bias.detach().cpu()) if job.transferred else None
    weight, bias = solve(
        features,
        labels,
        classes=classes,
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
    job.device.place(job.network).eval()
    with meter("features", total=probe.views * len(job.photos), reporter=job.reporter) as progress:
        for view in range(probe.views):
            for begin in range(0, len(job.photos), CHUNK):
                piece = pieces / f"{view:02d}-{begin:09d}.safetensors"
                positions = np.arange(begin, min(begin + CHUNK, len(job.photos)))
                if piece.exists():
                    progress.advance(len(positions))
                else:
                    _write(piece, _piece(job, view=view, positions=positions, progress=progress))
    stored = [load_file(piece) for piece in sorted(pieces.glob("*.safetensors"))]
    features = torch.cat([piece["features"] for piece in stored])
    if not len(features):
        raise TrainingError("none of the training photographs can be decoded; materialise training_photos again")
    return features, torch.cat([piece["labels"] for piece in stored])


def _piece(job: Job, *, view: int, positions: NDArray[np.intp], progress: Meter) -> dict[str, Tensor]:
    features, labels = [torch.empty(0, job.network.head.in_features)], [torch.empty(0, dtype=torch.int64)]
    for batch in _batches(job, view=view, positions=positions):
        if job.stop.is_set():
            raise InterruptedTrainingError("interrupted while computing features; run again to go on from there")
        if not len(batch.positions):
            continue
        with job.device.autocast():
            pooled = job.network.features(batch.pixels)
        features.append(pooled.float().cpu())
        labels.append(batch.labels)
        progress.advance(len(batch.positions))
    return {"features": torch.cat(features), "labels": torch.cat(labels)}


def _batches(job: Job, *, view: int, positions: NDArray[np.intp]) -> Iterator[data.Batch]:
    """The photographs as the network takes them: the centre in the first pass, random crops in the others."""
    spec, augmentation = job.network.spec, job.recipe.augmentation
    draws = augment.Draws(seed=seed_of(job.seed), epoch=FIRST_EPOCH + view)
    groups = [positions[begin : begin + job.recipe.batch] for begin in range(0, len(positions), job.recipe.batch)]
    if job.frozen is not None:
        yield from job.frozen.batches(
            job.photos, groups=groups, draws=draws if view else None, augmentation=augmentation if view else None
        )
        return
    stream = data.batches(
        job.photos,
        pack=job.pack,
        groups=groups,
        box=lambda index: augment.crop_box(draws.of(index), augmentation=augmentation) if view else data.CENTRE,
        views=spec.views,
        image_size=spec.image_size,
        workers=job.workers,
    )
    for batch in stream:
        pixels = job.device.pixels(batch.pixels)
        if view and len(batch.positions):
            numbers = np.stack([draws.of(int(index)) for index in batch.positions])
            pixels = augment.change_colours(pixels, draws=numbers, augmentation=augmentation)
        yield replace(batch, pixels=data.standardise(pixels, spec.mean, spec.std))


def _write(path: Path, tensors: dict[str, Tensor]) -> None:
    with replacing(path) as partial:
        save_file(tensors, partial)
        with partial.open("rb") as stream:
            os.fsync(stream.fileno())
