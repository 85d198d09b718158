"""Fitting the head on the embeddings of a frozen backbone: all there is to train, or what comes before fine-tuning.

Source of the latter: Kumar et al. 2022, "Fine-Tuning can Distort Pretrained Features". Embeddings are computed once and
kept on disk (`ml.networks.embeddings`). Small problems are solved exactly, in memory; large ones in mini-batches that
are read from disk. All processes take part in each step, so that none waits while another fits.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from ml.child.progress import meter
from ml.errors import TrainingError
from ml.files import replacing
from ml.images.augmentation import RandomChanges
from ml.networks.embeddings import Embeddings, Pass
from ml.networks.heads import CosineHead, head_of
from ml.networks.transfer import parents
from ml.spec import RANKS
from ml.taxonomy import Taxonomy
from ml.training import checkpoints
from ml.training.cross_validation import FOLDS, choose, folds_of, observations_of
from ml.training.feature_rows import Moments, Rows, Streamed, moments_of
from ml.training.head_solvers import HISTORY, Problem, chunk_of, solve_exactly, solve_in_batches
from ml.training.job import Job
from ml.training.output_folder import HISTORY as COLUMNS
from ml.training.prototypes import Sums, fit_prototypes, means
from ml.training.recipes import Probe
from ml.training.seeds import seed_of

FIRST_EPOCH = 1_000_000
"""Random crops of the probe's passes are drawn as if in epochs from here on: never those of training."""
EXACT_BYTES = 2**30
"""Largest problem that is solved exactly (`exact_bytes`): 1,280 features of 80,000 photographs in 500 classes."""
GPU_SHARE = 0.25
"""Features stay on a GPU where they take at most this share of the memory that is free."""
COSINE_FLOOR = 0.1
"""Least deviation of a feature of a cosine head, as a share of the mean of all: a feature that hardly varies among
training photographs would decide the direction of any photograph in which it does."""
SAMPLED_FOLDS = 20
"""Where the problem is large, one fold of so many is held out to choose by."""


def probe(job: Job) -> list[dict[str, Any]]:
    """Fit the head before training, or instead of it, where the recipe says so. All processes must call this.

    Returns:
        The row of the history, with loss and accuracy over the training photographs' features.
    """
    if job.recipe.probe is None:
        return []
    loss, accuracy = fit_head(job, job.recipe.probe)
    job.reporter.info(f"head fitted on frozen features: training accuracy {accuracy:.1%}")
    row = dict.fromkeys(COLUMNS.names, 0.0) | {"train_loss": loss, "train_accuracy": accuracy}
    return [row | {"phase": "probe", "epoch": 0, "step": 0}]


def embeddings_of(job: Job) -> Embeddings:
    """The embeddings that the network of `job` gives, in the folder that networks share."""
    if isinstance(job.loader, Embeddings):
        return job.loader
    job.device.place(job.network)
    return Embeddings(
        job.network,
        loader=job.loader,
        folder=(job.spec.features or job.spec.output / "features") / "embeddings",
        stop=job.stop,
        reporter=job.reporter,
    )


def fit_head(job: Job, probe: Probe) -> tuple[float, float]:
    """Fit the head of `job.network` on the features of its frozen backbone.

    The penalty pulls a linear head to zero and a cosine head to the directions of the class means; after a stage of a
    higher rank, both are pulled to the mixture of that stage's head and chance (`ml.networks.transfer.mix`), and before
    the segments of a refresh to the rows that it goes on from (`ml.networks.surgery`). The head is written to
    `head.safetensors`; one that is there already is loaded.

    Returns:
        Loss and accuracy over the training photographs' features.

    Raises:
        InterruptedTrainingError: `job.stop` was set; embeddings and, of a large problem, the last steps are kept.
        TrainingError: no photograph has an embedding, or the loss is not finite.
    """
    file = job.spec.output / "head.safetensors"
    if not file.exists():
        fitted = HeadFit(job, probe).run()
        if job.device.first:
            with replacing(file) as partial:
                save_file({name: tensor.cpu().contiguous() for name, tensor in fitted.items()}, partial)
    else:
        fitted = load_file(file)
    loss, accuracy = fitted.pop("quality").tolist()
    job.network.head.load_state_dict(fitted)
    return float(loss), float(accuracy)


def exact_bytes(*, photos: int, features: int, classes: int) -> int:
    """Memory for an exact solution: the rows, a copy of those of some folds, and vectors of the head's size."""
    return 4 * features * (2 * photos + (2 * HISTORY + 8) * classes)


@dataclass(frozen=True, kw_only=True)
class _Prior:
    """What a former stage has learnt, for standardised features."""

    weight: Tensor
    bias: Tensor


class HeadFit:
    """One fit: its rows, and how a head is found on them."""

    def __init__(self, job: Job, probe: Probe) -> None:
        """Compute the embeddings that are missing, measure them, and take them into memory where they fit."""
        self.job, self.probe, self.kind = job, probe, job.network.spec.head
        head = job.network.head
        self.classes, self.columns = head.out_features, head.in_features
        embeddings = embeddings_of(job)
        passes = [Pass(job.photos, changes) for changes in self._changes()]
        embeddings.keep(passes, title="features")
        photos = len(passes) * len(job.photos)
        self.exact = exact_bytes(photos=photos, features=self.columns, classes=self.classes) <= EXACT_BYTES
        self.folds = FOLDS if self.exact or self.kind == "prototype" else SAMPLED_FOLDS
        observations = observations_of(job.photos, spec=job.spec)
        folds = folds_of(job.photos, observations=observations, seed=job.spec.seed, folds=self.folds)
        streamed = Streamed(embeddings, passes, device=job.device, folds=folds, stop=job.stop)
        self.moments = self._moments(streamed)
        streamed = streamed.standardised(self.moments)
        self.rows: Rows = streamed.held(columns=self.columns) if self._held(photos) else streamed

    def run(self) -> dict[str, Tensor]:
        """Fit, and return the state of the network's head, with loss and accuracy as `quality`."""
        job, rows, count = self.job, self.rows, self.moments.count
        way = "exactly" if self.exact or self.kind == "prototype" else "in mini-batches"
        job.reporter.info(
            f"fitting a {self.kind} head {way} on {count} feature vectors of {len(job.photos)} photographs, "
            f"{'in memory' if not isinstance(rows, Streamed) else 'read from disk'}"
        )
        with torch.enable_grad():
            head = self._prototypes() if self.kind == "prototype" else self._learnt()
        quality = self._quality(head)
        if not quality.isfinite().all():
            raise TrainingError(
                f"the loss of the fitted head is {quality[0]:g}; lower the rate, or raise the weight_decay of the "
                f"recipe {job.recipe.name}"
            )
        found = self._for_features_as_they_are(head) | {"quality": quality}
        # On GPUs sums may differ in their last digits from process to process.
        return {name: job.device.add_up(tensor * job.device.first) for name, tensor in found.items()}

    def _changes(self) -> list[RandomChanges | None]:
        """Of each pass: the centre in the first, random crops in the others."""
        augmentation, seed = self.job.recipe.augmentation, seed_of(self.job.spec.seed)
        stage = self.job.recipe.rank
        random = [
            RandomChanges(augmentation, seed=seed, stage=stage, epoch=FIRST_EPOCH + at)
            for at in range(1, self.probe.views)
        ]
        return [None, *random]

    def _moments(self, rows: Rows) -> Moments:
        moments = moments_of(rows, columns=self.columns, device=self.job.device, chunk=chunk_of(self.classes))
        if moments.count == 0:
            raise TrainingError(
                "none of the training photographs has an embedding: they cannot be decoded, or their features are not "
                "finite; the lines above say which. Materialise training_photos again, or choose other weights"
            )
        if self.kind == "linear":
            return moments
        floor = COSINE_FLOOR * float(moments.deviation.mean())
        return replace(moments, deviation=moments.deviation.clamp_min(floor))

    def _held(self, photos: int) -> bool:
        if self.exact or self.job.device.device.type != "cuda":
            return self.exact
        free, _ = torch.cuda.mem_get_info(self.job.device.device)
        return 4 * photos * self.columns <= GPU_SHARE * free * self.job.device.world

    @cached_property
    def scale(self) -> float:
        """Of a cosine head: the recipe's, or that with which class means tell held-out photographs best."""
        if self.probe.scale is not None:
            return self.probe.scale
        return self._class_means(shrinks=(0.0,))[0].scale.item()

    def _class_means(self, *, shrinks: Sequence[float]) -> tuple[CosineHead, float]:
        """A prototype head, and the shrinkage that was chosen for it."""
        head = self._new_head()
        assert isinstance(head, CosineHead)  # noqa: S101 (made as one)
        shrink = fit_prototypes(
            head, self.rows, folds=self.folds, shrinks=shrinks, scale=self.probe.scale, above=self._above(),
            device=self.job.device,
        )  # fmt: skip
        return head, shrink

    def _prototypes(self) -> nn.Linear:
        head, shrink = self._class_means(shrinks=_several(self.probe.shrink))
        self.job.reporter.info(
            f"class means count {shrink:g} photographs of their relatives; scale {head.scale.item():.3g}"
        )
        return head

    def _learnt(self) -> nn.Linear:
        values = _several(self.probe.weight_decay)
        value = values[0]
        if len(values) > 1:
            # A refresh looks at one fold: what suits these photographs was much the same when there were fewer.
            several = self.exact and self.job.spec.warm_start is None
            value = choose(
                values, rows=self.rows, folds=range(FOLDS if several else 1), fit=self._fit,
                classes=self.classes, device=self.job.device,
            )  # fmt: skip
            self.job.reporter.info(f"weight decay {value:g} of {', '.join(f'{one:g}' for one in values)} is the best")
        return self._fit(self.rows, value, self._moved(), "all")

    def _fit(self, rows: Rows, weight_decay: float, begin: nn.Linear | None, name: str) -> nn.Linear:
        """A head fitted on `rows`, from where `begin` is."""
        head, pull = self._first(rows)
        if begin is not None:
            head.load_state_dict(begin.state_dict())
        problem = Problem(
            head=head, rows=rows, weight_decay=weight_decay, pull=pull, device=self.job.device, stop=self.job.stop
        )
        if self.exact:
            solve_exactly(problem, iterations=self.probe.iterations)
            return head
        file = self.job.spec.output / checkpoints.FILE.parent / f"head {name}.pt"
        with meter(f"head, {name}", total=self.probe.passes * len(rows), reporter=self.job.reporter) as progress:
            solve_in_batches(
                problem, passes=self.probe.passes, seed=seed_of(self.job.spec.seed), progress=progress, file=file
            )
        return head

    def _first(self, rows: Rows) -> tuple[nn.Linear, Tensor | None]:
        """A head before its first step, and what its rows are pulled to."""
        head, prior = self._new_head(), self._prior()
        with torch.no_grad():
            head.bias.zero_()
            if isinstance(head, CosineHead):
                directions = self._means(rows) if prior is None else prior.weight
                head.weight.copy_(nn.functional.normalize(directions, dim=1))
                head.scale.fill_(self.scale)
                # On the photographs that a head is fitted to, the loss falls with the scale without end.
                for fixed in (head.scale, head.bias):
                    fixed.requires_grad_(False)  # noqa: FBT003 (torch's own order)
                return head, head.weight.detach().clone()
            if prior is None:
                head.weight.zero_()
                return head, None
            head.weight.copy_(prior.weight)
            head.bias.copy_(prior.bias)
            return head, prior.weight

    def _means(self, rows: Rows) -> Tensor:
        sums = Sums.of(rows, classes=self.classes, columns=self.columns, folds=1, device=self.job.device)
        return means(sums.directions[0], sums.photos[0], above=None, shrink=0)

    def _moved(self) -> nn.Linear | None:
        """Where the head of a refresh begins that trains nothing else: at the moved rows, which pull at nothing.

        They were fitted to the folds that are held out, too, and would not let their photographs choose.
        """
        if self.job.spec.warm_start is None or not self.job.recipe.frozen:
            return None
        (head, _), before = self._first(self.rows), self._learnt_before()
        with torch.no_grad():
            head.weight.copy_(before.weight)
            if not isinstance(head, CosineHead):
                head.bias.copy_(before.bias)
        return head

    def _prior(self) -> _Prior | None:
        """What rows begin at and are pulled to: what a stage of a higher rank has learnt, or the network before.

        None for a training from nothing, and for a head that is all that is trained: its optimum is found again.
        """
        goes_on = self.job.spec.warm_start is not None and not self.job.recipe.frozen
        return self._learnt_before() if goes_on or self.job.spec.parent is not None else None

    def _learnt_before(self) -> _Prior:
        """The rows that the network's head holds before it is fitted."""
        head = self.job.network.head
        weight, bias = head.weight.detach(), head.bias.detach()
        if isinstance(head, CosineHead):
            return _Prior(weight=weight, bias=bias)
        return _Prior(weight=weight * self.moments.deviation, bias=bias + weight @ self.moments.mean)

    def _new_head(self) -> nn.Linear:
        return head_of(self.kind, features=self.columns, classes=self.classes).to(self.job.device.device)

    def _above(self) -> NDArray[np.int64] | None:
        """For each class the position of its taxon of the rank above, where relatives are asked."""
        rank = self.job.network.spec.rank
        if rank == RANKS[0] or not any(_several(self.probe.shrink)):
            return None
        taxonomy = Taxonomy.read(self.job.spec.taxonomy)
        return parents(taxonomy, rank=rank, above=RANKS[RANKS.index(rank) - 1])

    @torch.no_grad()
    def _quality(self, head: nn.Linear) -> Tensor:
        """Mean cross entropy and accuracy over the rows of all processes."""
        sums = torch.zeros(2, dtype=torch.float64, device=self.job.device.device)
        for part in self.rows.chunks(chunk_of(self.classes)):
            logits = head(part.features)
            sums[0] += nn.functional.cross_entropy(logits, part.labels, reduction="sum")
            sums[1] += (logits.argmax(1) == part.labels).sum()
        return (self.job.device.add_up(sums) / self.moments.count).float()

    @torch.no_grad()
    def _for_features_as_they_are(self, head: nn.Linear) -> dict[str, Tensor]:
        """The state of the network's head: what standardises features is folded in."""
        if isinstance(head, CosineHead):
            head.mean.copy_(self.moments.mean)
            head.deviation.copy_(self.moments.deviation)
            return dict(head.state_dict())
        weight = head.weight / self.moments.deviation
        return {"weight": weight, "bias": head.bias - weight @ self.moments.mean}


def _several(value: float | Sequence[float]) -> tuple[float, ...]:
    return (value,) if isinstance(value, int | float) else tuple(value)
