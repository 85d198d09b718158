"""Probabilities of each photograph by a classifier that learnt from the others: one linear head for each fold.

A head is a file of its own, so that a killed run goes on with the next fold. Probabilities are computed in chunks and
never kept: those of a million photographs in 20,000 classes would be 160 GB.
"""

import hashlib
import threading
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from ml.child.pipes import Reporter
from ml.child.progress import meter
from ml.devices import Device
from ml.files import replacing
from ml.images.pack import Photos
from ml.label_quality.suspicion import Judgement, believed, judge, thresholds
from ml.networks.embeddings import Pass
from ml.training.cross_validation import choose
from ml.training.feature_rows import Rows, Source, Streamed, moments_of
from ml.training.head_fit import EXACT_BYTES, exact_bytes
from ml.training.head_solvers import Problem, chunk_of, solve_exactly, solve_in_batches

WEIGHT_DECAYS: Final = (0.001, 0.003, 0.01, 0.03)
"""Of the heads, over standardised features; the photographs of the first fold choose one."""
ITERATIONS: Final = 40
"""Of L-BFGS, where all features fit in memory."""
PASSES: Final = 20
"""Over the features in mini-batches, where they do not."""


@dataclass(frozen=True, kw_only=True)
class Work:
    """What heads are fitted with."""

    photos: Photos
    """Labelled photographs that all have features."""
    folds: NDArray[np.int64]
    """The fold of each."""
    source: Source
    columns: int
    """Features of a photograph."""
    classes: int
    genera: NDArray[np.int32]
    """The genus of each class."""
    output: Path
    """The folder of the heads."""
    seed: int
    device: Device
    reporter: Reporter
    stop: threading.Event


@dataclass(frozen=True, eq=False, kw_only=True)
class Verdicts:
    """What is known of N photographs."""

    known: NDArray[np.bool_]
    """Whether the classifier that judges the photograph has seen its class (N); nothing else holds where not."""
    judgement: Judgement
    is_issue: NDArray[np.bool_]
    """Whether confident learning takes the name for wrong (N)."""


class OutOfSample:
    """The heads of all folds, and what they say."""

    def __init__(self, work: Work) -> None:
        """Standardise the features, and take them into memory where they fit."""
        self.work = work
        streamed = Streamed(work.source, [Pass(work.photos)], device=work.device, folds=work.folds, stop=work.stop)
        moments = moments_of(streamed, columns=work.columns, device=work.device, chunk=chunk_of(work.classes))
        streamed = streamed.standardised(moments)
        size = exact_bytes(photos=len(work.photos), features=work.columns, classes=work.classes)
        self.exact = size <= EXACT_BYTES
        self.rows: Rows = streamed.held(columns=work.columns) if self.exact else streamed

    def run(self) -> Verdicts:
        """Fit a head for each fold, and judge each photograph by the one that did not learn from it.

        Raises:
            InterruptedTrainingError: the event to stop was set; finished heads are kept.
        """
        work, count = self.work, len(self.work.photos)
        heads = self.heads()
        known = np.zeros(count, dtype=np.bool_)
        found = Judgement(
            self_confidence=np.full(count, np.nan), suggested=np.full(count, -1, dtype=np.int64),
            suggested_probability=np.full(count, np.nan), suspicion=np.full(count, np.nan),
        )  # fmt: skip
        genera = work.device.send(torch.from_numpy(work.genera))
        for probabilities, labels, places, learnt in self.predicted(heads):
            part = judge(probabilities, labels, genera=genera)
            known[places] = learnt
            for name in ("self_confidence", "suggested", "suggested_probability", "suspicion"):
                getattr(found, name)[places] = getattr(part, name)
        labels_known = work.photos.labels[known]
        least = torch.from_numpy(thresholds(found.self_confidence[known], labels_known, classes=work.classes))
        issue = np.zeros(count, dtype=np.bool_)
        # The thresholds come from all photographs, so that each is looked at a second time.
        for probabilities, labels, places, _ in self.predicted(heads):
            issue[places] = believed(probabilities, labels, work.device.send(least))
        return Verdicts(known=known, judgement=found, is_issue=issue & known & found.contradicted)

    def heads(self) -> Sequence[Path]:
        """The files of the heads, one for each fold; those that are missing are fitted."""
        work = self.work
        # Had another partition been fitted before, its heads would have seen the photographs that they judge.
        partition = self._partition()
        files = [work.output / f"{partition}-{fold}.safetensors" for fold in range(int(work.folds.max()) + 1)]
        if all(_read(file) is not None for file in files):
            return files
        how = "exactly, in memory" if self.exact else "in mini-batches, read from disk"
        work.reporter.info(f"fitting {len(files)} heads {how}, each on the photographs of the other folds")
        decay = WEIGHT_DECAYS[0]
        if len(WEIGHT_DECAYS) > 1:
            decay = choose(
                WEIGHT_DECAYS, rows=self.rows, folds=range(1), fit=self._fit, classes=work.classes, device=work.device
            )
        for fold, file in enumerate(files):
            if _read(file) is not None:
                continue
            others = self.rows.without(fold)
            head = self._fit(others, decay, None, f"{fold + 1} of {len(files)}")
            state = {"weight": head.weight.detach(), "bias": head.bias.detach(), "seen": self._seen(others)}
            with replacing(file) as partial:
                save_file({name: tensor.cpu().contiguous() for name, tensor in state.items()}, partial)
            work.reporter.info(f"head {fold + 1} of {len(files)} fitted")
        work.reporter.info(f"fitted {len(files)} heads with weight decay {decay:g}")
        return files

    def _partition(self) -> str:
        """A hash of who is in which fold under which label."""
        photos = self.work.photos
        lines = sorted(zip(photos.photo_ids, photos.labels.tolist(), self.work.folds.tolist(), strict=True))
        return hashlib.sha256(repr(lines).encode()).hexdigest()[:16]

    def _fit(self, rows: Rows, weight_decay: float, begin: nn.Linear | None, name: str) -> nn.Linear:
        work = self.work
        head = nn.Linear(work.columns, work.classes).to(work.device.device)
        with torch.no_grad():
            head.weight.zero_()
            head.bias.zero_()
        if begin is not None:
            head.load_state_dict(begin.state_dict())
        problem = Problem(
            head=head, rows=rows, weight_decay=weight_decay, pull=None, device=work.device, stop=work.stop
        )
        with torch.enable_grad():
            if self.exact:
                solve_exactly(problem, iterations=ITERATIONS)
            else:
                with meter(f"head, {name}", total=PASSES * len(rows), reporter=work.reporter) as progress:
                    solve_in_batches(problem, passes=PASSES, seed=work.seed, progress=progress)
        return head

    def _seen(self, rows: Rows) -> Tensor:
        seen = torch.zeros(self.work.classes, dtype=torch.bool)
        for part in rows.chunks(chunk_of(self.work.classes)):
            seen[part.labels.cpu()] = True
        return seen

    @torch.no_grad()
    def predicted(self, heads: Sequence[Path]) -> Iterator[tuple[Tensor, Tensor, NDArray[np.int64], NDArray[np.bool_]]]:
        """Of some photographs at a time: probabilities, labels, places, and whether the head knows their classes.

        A class that a head has not seen has no probability there.
        """
        work, device = self.work, self.work.device
        for fold, file in enumerate(heads):
            state = _read(file)
            if state is None:
                raise OSError(f"{file} was removed meanwhile; run again")
            head = {name: device.send(tensor) for name, tensor in state.items()}
            places, done = np.flatnonzero(work.folds == fold), 0
            for part in self.rows.only(fold).chunks(chunk_of(work.classes)):
                logits = nn.functional.linear(part.features, head["weight"], head["bias"]).double()
                probabilities = logits.masked_fill(~head["seen"], -torch.inf).softmax(dim=1)
                here = places[done : done + len(part)]
                done += len(part)
                yield probabilities, part.labels, here, head["seen"][part.labels].cpu().numpy()


def _read(file: Path) -> dict[str, Tensor] | None:
    """A head with the classes that it has seen; None where there is none."""
    try:
        return dict(load_file(file))
    except (OSError, SafetensorError):
        return None
