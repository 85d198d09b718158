"""Several photographs of one organism answered as one, against single ones: ways of joining, and promises.

EfficientNet-Lite0's frozen ImageNet features at 128 pixels and a linear head, on real photographs, three seeds. The
photographs have no observations, so two stand-ins are measured. Three photographs of one species are of different
individuals: less alike than photographs of one organism. Three parts of one photograph are more alike. Nothing is
timed.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Final, NamedTuple

import numpy as np
import numpy.typing as npt
import torch
from scipy.optimize import minimize_scalar

from bench.harness import PHOTOS, Goal, Report, UnavailableError
from bench.novelty import SIDE, features_of, fitted_head, read_lineages, taxonomy_of
from ml.evaluation.reliability import clopper_pearson
from ml.images.views import Box
from ml.spec import OperatingPoint, SpecificityOptions
from ml.specificity.answers import candidates
from ml.specificity.calibration import Labelled, calibrate_network
from ml.specificity.joint_calibration import calibrate_joint
from ml.specificity.photo_sets import Rows, draw
from ml.specificity.pooling import evidence, normalised, pool
from ml.specificity.temperature import temper
from ml.specificity.thresholds import Half, ThresholdTable, judge_table, learn
from ml.taxonomy import Floats, Integers, Taxonomy

SEEDS, LEAST, HELD_OUT, SET = (1, 2, 3), 5, 0.3, 3
"""Of each species with `LEAST` photographs, the share `HELD_OUT` calibrates, and as many evaluate."""
TARGETS, TARGET, DELTA, RECALL = (0.8, 0.9, 0.95), 0.9, 0.05, 0.95
PARTS: Final[tuple[Box, ...]] = ((0.0, 0.0, 0.8, 0.8), (1.0, 0.2, 0.2, 1.0))
"""Beside the central crop: the upper left, and the lower right, mirrored."""
SINGLE, MEAN, SERVED = "one photograph", "mean of the probabilities (baseline)", "logarithmic pool, dependence (served)"
MULTIPLIED = "product, thresholds of single photographs"
DRAWN: Final = "product of the probabilities"


class Judged(NamedTuple):
    """What a way of joining gave with one seed."""

    right: int
    """Sets of which the most probable species was right."""
    sets: int
    loss: float
    """Mean of -log of the true species' probability."""
    points: dict[float, OperatingPoint]
    """At each target, on the sets that did not choose."""


class Sets(NamedTuple):
    """Calibrated probabilities of sets, of the half that chooses or of the one that judges."""

    rows: Floats
    """Shape S x M x C."""
    labels: Integers
    """Shape S."""


class Seed(NamedTuple):
    """All that one division of the photographs gave."""

    ways: dict[str, Judged]
    parts: dict[str, Judged]
    """The same of three parts of one photograph."""
    dependence: float
    dependence_of_parts: float
    guaranteed: OperatingPoint
    borrowed: Judged
    """Parts of one photograph, by what sets of one species have taught."""
    watched: dict[str, tuple[float, float]]
    """Share of the sets that raise the alarm of their own species, and of all others."""


def run(*, folder: Path, runs: int) -> Report:
    """Compute features once, then divide the photographs; the seeds are fixed, repeating it would change nothing.

    Raises:
        UnavailableError: the photographs are not there.
    """
    del runs
    if not PHOTOS.exists():
        raise UnavailableError(f"the labelled photographs are not at {PHOTOS}")
    folder.mkdir(parents=True, exist_ok=True)
    lineages = read_lineages(PHOTOS)
    whole = features_of(PHOTOS, folder / "features.npy")
    cuts = [features_of(PHOTOS, folder / f"part{number}.npy", part=part) for number, part in enumerate(PARTS)]
    _, species, counts = np.unique(lineages, axis=0, return_inverse=True, return_counts=True)
    enough = counts[species] >= LEAST
    tree, labels = taxonomy_of(lineages[enough])
    views = np.stack([whole[enough], *(cut[enough] for cut in cuts)], axis=1)
    return report([measured(views, labels, tree, seed=seed) for seed in SEEDS], photos=len(labels), tree=tree)


def report(seeds: list[Seed], *, photos: int, tree: Taxonomy) -> Report:
    """The tables and goals of all seeds."""
    ways = [_row(name, [one.ways[name] for one in seeds]) for name in seeds[0].ways]
    parts = [_row(f"parts of one photograph: {name}", [one.parts[name] for one in seeds]) for name in seeds[0].parts]
    borrowed = _row("parts of one photograph: by what sets of one species have taught", [one.borrowed for one in seeds])
    served = [one.ways[SERVED] for one in seeds]
    held = [_interval([one.points[target] for one in served]) for target in TARGETS]
    guaranteed = _interval([one.guaranteed for one in seeds])
    of_parts = _interval([one.parts[SERVED].points[TARGET] for one in seeds])
    gains = {
        other: [one.ways[SERVED].points[TARGET].depth - one.ways[other].points[TARGET].depth for one in seeds]
        for other in (SINGLE, MEAN)
    }
    top1 = [_share(one.ways[SERVED]) - _share(one.ways[MEAN]) for one in seeds]
    recalls = {name: np.mean([one.watched[name] for one in seeds], axis=0) for name in seeds[0].watched}
    dependences = (
        f"Dependence: {_listed([one.dependence for one in seeds])} of photographs of one species, "
        f"{_listed([one.dependence_of_parts for one in seeds])} of parts of one photograph."
    )
    guarantee = (
        f"Guaranteed {TARGET:.0%} with delta {DELTA:.0%}: {guaranteed[0]:.1%} ({guaranteed[1]:.1%} to "
        f"{guaranteed[2]:.1%}) at depth {np.mean([one.guaranteed.depth for one in seeds]):.2f}."
    )
    raised = "; ".join(
        f"{name} raises {own:.1%} of its own and {others:.2%} of all others" for name, (own, others) in recalls.items()
    )
    alarms = (
        f"Alarms of every species as if it were watched, by the threshold of single photographs for a recall of "
        f"{RECALL:.0%}: {raised}."
    )
    intervals = "Intervals are Clopper-Pearson's over the sets of all seeds, which come from the same photographs."
    return Report(
        part="together",
        title=f"{photos:,} photographs of {tree.class_count} species at {SIDE} pixels, frozen EfficientNet-Lite0 and a "
        f"linear head; {HELD_OUT:.0%} calibrate, {HELD_OUT:.0%} evaluate; sets of {SET} of one species, "
        f"{served[0].sets} in a half; {len(seeds)} seeds.",
        rows=[*ways, *parts, borrowed],
        goals=[
            Goal(name="top-1 above the mean of the probabilities, the least of the seeds", value=min(top1), bound=0.0,
                 kind="at least"),
            Goal(name=f"depth at {TARGET:.0%} above one photograph, the least of the seeds", value=min(gains[SINGLE]),
                 bound=0.5, kind="at least"),
            Goal(name=f"depth at {TARGET:.0%} above the mean of the probabilities, the least of the seeds",
                 value=min(gains[MEAN]), bound=0.0, kind="at least"),
            *(
                Goal(name=f"right at {target:.0%}, upper end of the 95 % interval", value=high, bound=target,
                     kind="at least")
                for target, (_, _, high) in zip(TARGETS, held, strict=True)
            ),
            Goal(name=f"guaranteed {TARGET:.0%}: right", value=guaranteed[0], bound=TARGET, kind="at least"),
            Goal(name=f"parts of one photograph: right at {TARGET:.0%}, upper end of the 95 % interval",
                 value=of_parts[2], bound=TARGET, kind="at least"),
            Goal(name="recall of an alarm by joint evidence above one photograph's",
                 value=float(recalls["joint evidence"][0] - recalls[SINGLE][0]), bound=0.0, kind="at least"),
        ],
        notes=[dependences, guarantee, alarms, intervals],
    )  # fmt: skip


def measured(views: npt.NDArray[np.float32], labels: Integers, tree: Taxonomy, *, seed: int) -> Seed:
    """Train on one part of the photographs, calibrate on another, and judge on the third."""
    side = divided(labels, seed=seed)
    inputs, targets = torch.from_numpy(views[side == 0, 0]), torch.from_numpy(labels[side == 0].astype(np.int64))
    weight, bias = fitted_head(inputs, targets, classes=tree.class_count)
    logits = torch.from_numpy(views) @ weight.T + bias
    probabilities = torch.softmax(logits, dim=2).numpy().astype(np.float16)
    chooses, judges = side == 1, side == 2
    data = Labelled(probabilities=probabilities[:, 0], labels=labels, chooses=chooses, judges=judges)
    options = SpecificityOptions(target=TARGET, temperature=True, seed=seed)
    outcome = calibrate_network(data, tree, options)
    honest = temper(probabilities.reshape(-1, tree.class_count).astype(np.float64), outcome.temperature)
    honest = honest.reshape(probabilities.shape)
    halves = [
        _sets(draw(labels, None, half, basis="species", seed=seed).sets(SET), honest[:, 0], labels)
        for half in (chooses, judges)
    ]
    joint = calibrate_joint(data, tree, options, temperature=outcome.temperature)
    promised = calibrate_joint(data, tree, options.model_copy(update={"delta": DELTA}), temperature=outcome.temperature)
    assert joint is not None and promised is not None  # noqa: PT018, S101 (there are enough photographs)
    guaranteed = promised.sizes[SET - 2].point(TARGET)
    assert guaranteed is not None  # noqa: S101 (it is tabulated)
    of_parts = [Sets(honest[half], labels[half]) for half in (chooses, judges)]
    part_joint = calibrate_joint(_as_observations(data, probabilities), tree, options, temperature=outcome.temperature)
    assert part_joint is not None  # noqa: S101 (likewise)
    return Seed(
        ways=_ways(halves, tree, options, dependence=joint.dependence, single=outcome.table),
        parts=_ways(of_parts, tree, options, dependence=part_joint.dependence, single=outcome.table),
        dependence=joint.dependence,
        dependence_of_parts=part_joint.dependence,
        guaranteed=guaranteed,
        borrowed=_judge(
            _joined(of_parts[1], tree, pool(of_parts[1].rows, dependence=joint.dependence)),
            joint.sizes[SET - 2].table, tree,
        ),
        watched=_alarms(honest[:, 0], labels, chooses, halves[1], tree, dependence=joint.dependence),
    )  # fmt: skip


def divided(labels: Integers, *, seed: int) -> npt.NDArray[np.int64]:
    """Which side each photograph is on: 0 trains, 1 calibrates, 2 evaluates; species by species."""
    generator, side = np.random.default_rng(seed), np.zeros(len(labels), dtype=np.int64)
    for species in range(int(labels.max()) + 1):
        rows = generator.permutation(np.flatnonzero(labels == species))
        held = int(len(rows) * HELD_OUT)
        side[rows[:held]], side[rows[held : 2 * held]] = 1, 2
    return side


class _Joined(NamedTuple):
    probabilities: Floats
    half: Half


def _ways(
    halves: list[Sets], tree: Taxonomy, options: SpecificityOptions, *, dependence: float, single: ThresholdTable
) -> dict[str, Judged]:
    """Every way of joining, with thresholds of its own."""
    chose = halves[0]
    exponent = _fitted(chose, lambda power: normalised(evidence(chose.rows) * power), most=1.5)
    sharper = _fitted(chose, lambda power: temper(chose.rows.mean(axis=1), 1 / power), most=8.0)
    joins: dict[str, Callable[[Floats], Floats]] = {
        MEAN: lambda rows: rows.mean(axis=1),
        "mean of the probabilities, temperature fitted": lambda rows: temper(rows.mean(axis=1), 1 / sharper),
        "geometric mean of the probabilities": lambda rows: pool(rows, dependence=1.0),
        DRAWN: lambda rows: pool(rows, dependence=0.0),
        "product to a power fitted for this size": lambda rows: normalised(evidence(rows) * exponent),
        SERVED: lambda rows: pool(rows, dependence=dependence),
    }
    alone = [Sets(half.rows.reshape(-1, 1, half.rows.shape[2]), np.repeat(half.labels, SET)) for half in halves]
    found = {SINGLE: _learnt(alone, lambda rows: rows[:, 0], tree, options)}
    found |= {name: _learnt(halves, join, tree, options) for name, join in joins.items()}
    multiplied = _joined(halves[1], tree, joins[DRAWN](halves[1].rows))
    return found | {MULTIPLIED: _judge(multiplied, single, tree)}


def _learnt(
    halves: list[Sets], join: Callable[[Floats], Floats], tree: Taxonomy, options: SpecificityOptions
) -> Judged:
    chose, judged = (_joined(half, tree, join(half.rows)) for half in halves)
    return _judge(judged, learn(chose.half, tree, targets=TARGETS, options=options), tree)


def _joined(sets: Sets, tree: Taxonomy, probabilities: Floats) -> _Joined:
    return _Joined(probabilities, Half(found=candidates(probabilities, tree), labels=sets.labels))


def _judge(joined: _Joined, table: ThresholdTable, tree: Taxonomy) -> Judged:
    probabilities, labels = joined.probabilities, joined.half.labels
    true = probabilities[np.arange(len(labels)), labels]
    return Judged(
        right=int((probabilities.argmax(axis=1) == labels).sum()),
        sets=len(labels),
        loss=float(-np.log(np.maximum(true, 1e-12)).mean()),
        points={target: judge_table(table, joined.half, tree, target=target) for target in TARGETS},
    )


def _fitted(sets: Sets, join: Callable[[float], Floats], *, most: float) -> float:
    """The power at which the true species are most likely."""

    def loss(power: float) -> float:
        true = join(power)[np.arange(len(sets.labels)), sets.labels]
        return float(-np.log(np.maximum(true, 1e-12)).mean())

    return float(minimize_scalar(loss, bounds=(0.05, most), method="bounded").x)


def _sets(sets: Rows, probabilities: Floats, labels: Integers) -> Sets:
    return Sets(probabilities[sets], labels[sets[:, 0]])


def _as_observations(data: Labelled, probabilities: npt.NDArray[np.float16]) -> Labelled:
    """Each photograph as an observation that its parts are the photographs of."""
    parts = probabilities.shape[1]
    return Labelled(
        probabilities=probabilities.reshape(-1, probabilities.shape[2]),
        labels=np.repeat(data.labels, parts),
        chooses=np.repeat(data.chooses, parts),
        judges=np.repeat(data.judges, parts),
        observations=np.repeat(np.arange(len(data.labels)), parts).astype(object),
    )


def _alarms(
    probabilities: Floats,
    labels: Integers,
    chooses: npt.NDArray[np.bool_],
    judged: Sets,
    tree: Taxonomy,
    *,
    dependence: float,
) -> dict[str, tuple[float, float]]:
    """Alarms by the threshold that the photographs of all species together choose, as a rare species borrows it."""
    own = np.sort(probabilities[chooses, labels[chooses]])
    threshold = own[int((len(own) + 1) * (1 - RECALL)) - 1]
    truth = np.arange(tree.class_count) == judged.labels[:, None]
    ways = {
        SINGLE: judged.rows[:, 0],
        "joint evidence": pool(judged.rows, dependence=dependence),
        "any of the photographs": judged.rows.max(axis=1),
    }
    raised = {name: rows >= threshold for name, rows in ways.items()}
    return {name: (float(each[truth].mean()), float(each[~truth].mean())) for name, each in raised.items()}


def _row(name: str, judged: list[Judged]) -> dict[str, object]:
    row: dict[str, object] = {"way": name, "top-1": _percent(float(np.mean([_share(one) for one in judged])))}
    row["-log p"] = float(np.mean([one.loss for one in judged]))
    for target in TARGETS:
        points = [one.points[target] for one in judged]
        right, low, high = _interval(points)
        row[f"right at {target:.0%}"] = f"{_percent(right)} ({100 * low:.1f} to {100 * high:.1f})"
        row[f"depth at {target:.0%}"] = f"{np.mean([point.depth for point in points]):.2f}"
    row[f"depth at {TARGET:.0%}, seed by seed"] = _listed([one.points[TARGET].depth for one in judged])
    return row


def _interval(points: list[OperatingPoint]) -> tuple[float, float, float]:
    """Accuracy over all seeds, and the ends of its interval."""
    right, sets = sum(round(point.accuracy * point.photos) for point in points), sum(point.photos for point in points)
    return right / sets, *clopper_pearson(right, sets)


def _share(judged: Judged) -> float:
    return judged.right / judged.sets


def _percent(share: float) -> str:
    return f"{100 * share:.1f} %"


def _listed(numbers: list[float]) -> str:
    return ", ".join(f"{number:.2f}" for number in numbers)
