"""Names swapped on purpose among real photographs: how many of them are among the first suspects, against cleanlab.

All contestants see the same probabilities, those of the child `label_quality`: heads on the features of EfficientNet-
Lite0 at 128 pixels, which are computed once and kept in the folder (`--folder`).
"""

import statistics
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Final

import numpy as np
import torch
from numpy.typing import NDArray

from bench.experiments.dataset import prepare, read
from bench.harness import PHOTOS, Goal, Report, UnavailableError
from ml.child.pipes import Reporter
from ml.devices import joined
from ml.images.loader import Loader
from ml.images.pack import Pack, Photos, read_split
from ml.label_quality import out_of_sample
from ml.label_quality.label_quality_stage import GENUS, network_of, observations_of
from ml.label_quality.out_of_sample import OutOfSample, Work
from ml.label_quality.photo_features import PhotoFeatures
from ml.label_quality.suspicion import believed, judge, thresholds
from ml.networks.embeddings import Embeddings
from ml.spec import PACKAGE_BACKBONE, LabelQualitySpec
from ml.taxonomy import Taxonomy
from ml.training.cross_validation import folds_of

Floats = NDArray[np.float64]
SHARE: Final = 0.05
"""Of the names that are swapped, and of the photographs that are looked at."""
KINDS: Final = ("within the genus", "across genera", "half and half")
SIZE: Final = 128
FIRST_SEED: Final = 4
"""Those before chose the constants of `ml.label_quality.suspicion`."""
DECAY: Final = 0.003
"""What cross-validation chooses on these photographs; chosen each time, it would double the work."""


def run(*, folder: Path, runs: int) -> Report:
    """Swap names with `runs` seeds in each of `KINDS`, and count those that each way finds.

    Raises:
        UnavailableError: the photographs or cleanlab are not there.
    """
    if not PHOTOS.exists():
        raise UnavailableError(f"the labelled photographs are not at {PHOTOS}")
    try:
        import cleanlab  # noqa: F401, PLC0415 (a package of the tests)
    except ImportError as error:
        raise UnavailableError("cleanlab is not installed") from error
    folder.mkdir(parents=True, exist_ok=True)
    world = _World(folder)
    found: dict[tuple[str, str], list[float]] = {}
    flagged: dict[str, list[tuple[float, float]]] = {kind: [] for kind in KINDS}
    for kind in KINDS:
        for seed in range(FIRST_SEED, FIRST_SEED + runs):
            labels, swapped = world.swapped(kind, seed=seed)
            probabilities = world.probabilities(labels, name=f"{KINDS.index(kind)}-{seed}")
            for way, order in _orders(probabilities, labels, genera=world.genera).items():
                found.setdefault((way, kind), []).append(float(np.isin(order[: len(swapped)], swapped).mean()))
            issues = _issues(probabilities, labels, genera=world.genera)
            flagged[kind].append((float(np.isin(issues, swapped).mean()), float(np.isin(swapped, issues).mean())))
    means = {key: statistics.mean(values) for key, values in found.items()}
    ways = list(dict.fromkeys(way for way, _ in found))
    rows: list[Mapping[str, object]] = [
        {"way": way} | {kind: " ".join([f"{means[way, kind]:.1%}", _each(found[way, kind])]) for kind in KINDS}
        for way in ways
    ]
    rows.append(
        {"way": "is_issue: precision, recall"}
        | {
            kind: ", ".join(f"{statistics.mean(part):.1%}" for part in zip(*flagged[kind], strict=True))
            for kind in KINDS
        }
    )
    ours, theirs = _average(means, "ours"), max(_average(means, way) for way in ways if way.startswith("cleanlab"))
    return Report(
        part="label_noise",
        title=(
            f"{SHARE:.0%} of the names of {len(world.photos):,} real photographs of {world.classes} species swapped, "
            f"{runs} seeds: share of the first {SHARE:.0%} of suspects that were swapped. As many are looked at as "
            "were swapped, so that it is precision and recall at once; chance finds 5 %."
        ),
        rows=rows,
        goals=[
            Goal(name="ours less cleanlab's best way, mean of kinds", value=ours - theirs, bound=0, kind="at least")
        ],
        notes=[
            (
                "Ways: `ours` is the column suspicion; cleanlab's are the lowest get_label_quality_scores of a method, "
                "and find_label_issues ranked by the normalised margin, all other photographs after it by theirs."
            ),
            "Seeds 1 to 3 chose the constants of ours; those measured here chose nothing.",
            "Photographs that have a wrong name in the source count as errors of the search.",
        ],
    )


class _World:
    """The real photographs with their features."""

    def __init__(self, folder: Path) -> None:
        if not read(folder):
            prepare(photos=PHOTOS, folder=folder, seeds=[1], image_size=SIZE)
        (dataset, *_) = read(folder)
        self.folder, self.pack = folder, Pack(dataset.index)
        tree = Taxonomy.read(dataset.table("taxonomy"))
        self.classes, self.genera = tree.class_count, tree.labels_at(GENUS)
        spec = LabelQualitySpec(
            split=dataset.table("split"), taxonomy=dataset.table("taxonomy"), photos=dataset.index, output=folder,
            features=folder / "features", backbone=PACKAGE_BACKBONE, weights="package", image_size=SIZE, folds=5,
            seed=1, spec_hash="",
        )  # fmt: skip
        network = network_of(spec, classes=self.classes)
        self.columns, self.reporter = network.head.in_features, Reporter(print)
        with joined() as device:
            self.device = device
        loader = Loader(self.pack, network.spec, device=self.device, workers=None)
        embeddings = Embeddings(
            network, loader=loader, folder=spec.features / "embeddings", stop=threading.Event(), reporter=self.reporter
        )
        self.source = PhotoFeatures(embeddings, folder=spec.features / "photographs")
        sides = [read_split(spec.split, pack=self.pack, side=side) for side in ("train", "validation")]
        self.photos, _ = self.source.keep(*sides)
        self.observations = observations_of(self.photos, split=spec.split)

    def swapped(self, kind: str, *, seed: int) -> tuple[NDArray[np.int64], NDArray[np.intp]]:
        """Labels of which some are wrong, and where."""
        random, labels = np.random.default_rng(seed), self.photos.labels.copy()
        number = round(SHARE * len(labels))
        siblings = np.bincount(self.genera)[self.genera[labels]] > 1
        near = {KINDS[0]: number, KINDS[1]: 0, KINDS[2]: number // 2}[kind]
        first = random.choice(np.flatnonzero(siblings), near, replace=False)
        rest = random.choice(np.setdiff1d(np.arange(len(labels)), first), number - near, replace=False)
        for places, same in ((first, True), (rest, False)):
            for place in places:
                own = labels[place]
                others = np.flatnonzero((self.genera == self.genera[own]) == same)
                labels[place] = random.choice(others[others != own])
        return labels, np.concatenate([first, rest])

    def probabilities(self, labels: NDArray[np.int64], *, name: str) -> Floats:
        """Of each photograph by the head that did not learn from it, kept for the next time."""
        file = self.folder / f"probabilities-{name}.npy"
        if file.exists():
            kept: Floats = np.load(file)
            return kept
        named = Photos(photo_ids=self.photos.photo_ids, labels=labels, halves=self.photos.halves, rows=self.photos.rows)
        work = Work(
            photos=named, folds=folds_of(named, observations=self.observations, seed=1, folds=5), source=self.source,
            columns=self.columns, classes=self.classes, genera=self.genera, output=self.folder / "heads", seed=1,
            device=self.device, reporter=self.reporter, stop=threading.Event(),
        )  # fmt: skip
        out_of_sample.WEIGHT_DECAYS = (DECAY,)  # type: ignore[misc, assignment]
        heads = OutOfSample(work)
        found: Floats = np.zeros((len(labels), self.classes))
        for probabilities, _, places, _ in heads.predicted(heads.heads()):
            found[places] = probabilities.numpy()
        np.save(file, found)
        return found


def _orders(
    probabilities: Floats, labels: NDArray[np.int64], *, genera: NDArray[np.int32]
) -> dict[str, NDArray[np.intp]]:
    """The photographs, the most suspicious first, by each way."""
    from cleanlab.filter import find_label_issues  # noqa: PLC0415 (see `run`)
    from cleanlab.rank import get_label_quality_scores  # noqa: PLC0415

    ours = judge(torch.from_numpy(probabilities), torch.from_numpy(labels), genera=torch.from_numpy(genera))
    found = {"ours": np.argsort(-ours.suspicion, kind="stable")}
    scores = {}
    for method in ("self_confidence", "normalized_margin", "confidence_weighted_entropy"):
        scores[method] = get_label_quality_scores(labels, probabilities, method=method)
        found[f"cleanlab {method}"] = np.argsort(scores[method], kind="stable")
    issues = find_label_issues(labels, probabilities, return_indices_ranked_by="normalized_margin", n_jobs=1)
    rest = found["cleanlab normalized_margin"]
    found["cleanlab find_label_issues"] = np.concatenate([issues, rest[~np.isin(rest, issues)]])
    return found


def _issues(probabilities: Floats, labels: NDArray[np.int64], *, genera: NDArray[np.int32]) -> NDArray[np.intp]:
    given, classes = torch.from_numpy(labels), probabilities.shape[1]
    found = judge(torch.from_numpy(probabilities), given, genera=torch.from_numpy(genera))
    least = torch.from_numpy(thresholds(found.self_confidence, labels, classes=classes))
    return np.flatnonzero(believed(torch.from_numpy(probabilities), given, least) & found.contradicted)


def _average(means: Mapping[tuple[str, str], float], way: str) -> float:
    return statistics.mean(means[way, kind] for kind in KINDS)


def _each(values: list[float]) -> str:
    return f"({', '.join(f'{100 * value:.1f}' for value in values)})"
