"""Automatic specificity adjustment (paper, section 3.3): the deepest taxon that is probable enough.

Pure functions from probabilities to answers, curves and thresholds; no files, no tracking. Shapes are legended as
N photographs, C classes, V nodes, D + 1 depths (root 0 ... species D).

The paper's constraint `NodeProbability(n) < t` contradicts its own prose ("greater or equal"); the prose is followed.
Its sum objective Depth + NodeProbability is read as the lexicographic (depth, probability): both agree for t > 0.

Why everything here is exact at every threshold: lowering t only ever admits nodes that are less probable than those
already admitted, so the answer changes only when a greater depth is reached. The answer at t is therefore the most
probable node of the deepest depth whose most probable node still has probability >= t. A photograph has at most one
such candidate per depth, on any tree and for any t in [0, 1]; above 0.5 the candidates form one lineage.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple

import numpy as np
import numpy.typing as npt

from ml.errors import MlError
from ml.operating import DECIMALS, Floats, OperatingCurve
from ml.taxonomy import ROOT, Integers, Taxonomy

Probabilities = npt.NDArray[np.floating]
Method = Literal["exact", "hill_climb", "binary_search"]

CHUNK_CELLS = 4_000_000
"""Node probabilities held at once (32 MB in float64); rows beyond are taken in turn."""
SUM_TOLERANCE = 0.02
"""How far a row may be from summing to one: float16 over many classes loses up to a percent."""


class SpecificityError(MlError, ValueError):
    """Probabilities, labels or a threshold are not what they must be."""


class Answers(NamedTuple):
    """One answer per photograph."""

    node_ids: Integers
    """Shape N; the root (0) is abstaining."""
    probabilities: Floats
    """Shape N: the node probability of the answer."""


class Candidates(NamedTuple):
    """The most probable node of each depth: all that any threshold can answer."""

    node_ids: Integers
    """Shape N x (D + 1)."""
    probabilities: Floats
    """Shape N x (D + 1), never rising with depth."""


@dataclass(frozen=True, kw_only=True)
class Calibration:
    """A chosen threshold and what it does on the photographs that chose it."""

    threshold: float
    target: float
    method: Method
    accuracy: float
    depth: float
    abstention: float
    photos: int
    evaluations: int
    """How often the accuracy was looked at; for `hill_climb` on mini-batches."""
    reachable: bool
    """False when even threshold 1 errs too often: the network is certain and wrong. `accuracy` says how far."""


def node_probabilities(probabilities: Probabilities, taxonomy: Taxonomy) -> Floats:
    """Sum leaf probabilities up the tree (the paper's NodeProbability).

    Sums run from children to parents in float64, so a leaf keeps its exact value and a parent is never less probable
    than its child. The whole N x V result is held in memory; `answer` takes rows in turn instead.

    Args:
        probabilities: Shape N x C, rows sum to one; any floating type.
        taxonomy: A tree with C leaves.

    Returns:
        Shape N x V, in [0, 1].

    Raises:
        SpecificityError: the shape is wrong, or a row is not a probability distribution.
    """
    return _sum_up(_checked(probabilities, taxonomy), taxonomy)


def restrict(
    probabilities: Probabilities, taxonomy: Taxonomy, within: Sequence[int], *, renormalise: bool = True
) -> Floats:
    """Rule out every species that lies outside all of the nodes `within` (the paper's prior nodes).

    Args:
        probabilities: Shape N x C.
        taxonomy: A tree with C leaves.
        within: Node ids; their order does not matter and they may nest.
        renormalise: Divide by what is left, as knowledge conditions a probability; False is the paper's literal
            reading. Where nothing is left the network cannot tell the allowed species apart: all get the same.

    Raises:
        SpecificityError: `within` is empty or holds what is not a node.
    """
    if len(within) == 0:
        raise SpecificityError("`within` names no taxon; leave it out to allow every one")
    allowed = np.zeros(taxonomy.class_count, dtype=bool)
    for node in within:
        if not ROOT <= node < taxonomy.node_count:
            raise SpecificityError(f"`within` holds {node}, which is not a node of the taxonomy")
        allowed[taxonomy.leaf_begin[node] : taxonomy.leaf_end[node]] = True
    kept: Floats = np.where(allowed, np.asarray(probabilities, dtype=np.float64), 0.0)
    if not renormalise:
        return kept
    total = kept.sum(axis=1, keepdims=True)
    return np.where(total > 0, kept / np.where(total > 0, total, 1), allowed / allowed.sum())


def candidates(
    probabilities: Probabilities,
    taxonomy: Taxonomy,
    within: Sequence[int] | None = None,
    *,
    renormalise: bool = True,
) -> Candidates:
    """The most probable node of each depth, for every photograph; rows are taken in bounded chunks.

    Args:
        probabilities: Shape N x C; a memory-mapped float16 array is read chunk by chunk.
        taxonomy: A tree with C leaves.
        within: Node ids that the photograph is known to lie in, see `restrict`; None rules out nothing.
        renormalise: As for `restrict`.

    Raises:
        SpecificityError: as `node_probabilities`, or `within` is empty or names no node.
    """
    shape = (len(probabilities), taxonomy.max_depth + 1)
    node_ids, best = np.empty(shape, dtype=np.int32), np.zeros(shape)
    for rows in _chunks(len(probabilities), taxonomy.node_count):
        leaves = _checked(probabilities[rows], taxonomy)
        if within is not None:
            leaves = restrict(leaves, taxonomy, within, renormalise=renormalise)
        summed = _sum_up(leaves, taxonomy)
        for depth, level in enumerate(taxonomy.levels):
            chosen = summed[:, level].argmax(axis=1)
            node_ids[rows, depth] = level[chosen]
            best[rows, depth] = np.take_along_axis(summed[:, level], chosen[:, None], axis=1)[:, 0]
    return Candidates(node_ids, np.round(best, DECIMALS))


def answer(
    probabilities: Probabilities,
    taxonomy: Taxonomy,
    threshold: float,
    within: Sequence[int] | None = None,
    *,
    renormalise: bool = True,
) -> Answers:
    """The deepest node whose probability is at least `threshold`; the more probable one where several are.

    The root always qualifies: answering with it is abstaining. Nodes of one depth and the same probability are
    settled by preorder.

    Args:
        probabilities: Shape N x C.
        taxonomy: A tree with C leaves.
        threshold: In [0, 1].
        within: As for `candidates`.
        renormalise: As for `candidates`.

    Raises:
        SpecificityError: as `candidates`, or the threshold is outside [0, 1].
    """
    return select(candidates(probabilities, taxonomy, within, renormalise=renormalise), threshold)


def select(found: Candidates, threshold: float) -> Answers:
    """The answer of each photograph at `threshold`, from its candidates."""
    if not 0 <= threshold <= 1:
        raise SpecificityError(f"the threshold must lie in [0, 1], not {threshold}")
    depth = (found.probabilities[:, 1:] >= round(threshold, DECIMALS)).sum(axis=1)
    rows = np.arange(len(depth))
    return Answers(found.node_ids[rows, depth], found.probabilities[rows, depth])


def operating_curve(probabilities: Probabilities, labels: npt.ArrayLike, taxonomy: Taxonomy) -> OperatingCurve:
    """Accuracy, mean depth and abstention at every threshold, exactly: one sort over N x D breakpoints.

    Args:
        probabilities: Shape N x C.
        labels: True class ids. Shape N.
        taxonomy: A tree with C leaves.

    Raises:
        SpecificityError: as `candidates`, or the labels do not fit.
    """
    return curve_of(candidates(probabilities, taxonomy), _checked_labels(probabilities, labels, taxonomy), taxonomy)


def curve_of(found: Candidates, labels: Integers, taxonomy: Taxonomy) -> OperatingCurve:
    """The operating curve of known candidates; see `operating_curve`."""
    photos, depths = found.node_ids.shape
    right = taxonomy.contains(found.node_ids, labels[:, None]).astype(np.int64)
    # Falling through its breakpoint of depth d, a photograph's answer moves from depth d - 1 to depth d.
    breakpoints = found.probabilities[:, 1:].ravel()
    order = np.argsort(-breakpoints, kind="stable")
    falling = breakpoints[order]
    gained = np.cumsum(np.diff(right, axis=1).ravel()[order])
    first_level = np.zeros((photos, depths - 1), dtype=np.int64)
    first_level[:, 0] = 1
    answered = np.cumsum(first_level.ravel()[order])
    last = np.flatnonzero(np.append(falling[1:] != falling[:-1], True))
    entries = np.stack([photos + gained[last], last + 1, photos - answered[last]]) / photos
    thresholds = falling[last]
    if thresholds[0] < 1:
        thresholds = np.concatenate([[1.0], thresholds])
        entries = np.concatenate([[[1.0], [0.0], [1.0]], entries], axis=1)
    accuracy, depth, abstention = entries
    return OperatingCurve(threshold=thresholds, accuracy=accuracy, depth=depth, abstention=abstention, photos=photos)


def calibrate(
    probabilities: Probabilities,
    labels: npt.ArrayLike,
    taxonomy: Taxonomy,
    target: float,
    method: Method = "exact",
    *,
    seed: int = 0,
) -> Calibration:
    """Choose the threshold that answers deepest while the accuracy is at least `target`.

    Args:
        probabilities: Shape N x C.
        labels: True class ids. Shape N.
        taxonomy: A tree with C leaves.
        target: Accuracy wanted, in (0, 1).
        method: `exact` looks at every breakpoint. `binary_search` (Deng et al. 2012) halves [0, 1] and relies on
            accuracy rising with the threshold, which holds above 0.5 only. `hill_climb` is the paper's: mini-batches
            push the threshold towards the target in shrinking steps; it meets the target approximately.
        seed: Order of the mini-batches of `hill_climb`.

    Returns:
        The threshold with its exact accuracy, depth and abstention on all N photographs. Where no threshold reaches
        the target, threshold 1 and `reachable=False`.

    Raises:
        SpecificityError: as `operating_curve`, or the target or method is none.
    """
    classes = _checked_labels(probabilities, labels, taxonomy)
    return choose_threshold(
        candidates(probabilities, taxonomy), classes, taxonomy, target=target, method=method, seed=seed
    )


def choose_threshold(
    found: Candidates, labels: Integers, taxonomy: Taxonomy, *, target: float, method: Method, seed: int = 0
) -> Calibration:
    """The calibration of known candidates; see `calibrate`."""
    if not 0 < target < 1:
        raise SpecificityError(f"the target accuracy must lie between 0 and 1, not {target}")
    if method not in _METHODS:
        raise SpecificityError(f"the method must be one of {', '.join(_METHODS)}, not {method!r}")
    curve = curve_of(found, labels, taxonomy)
    reachable = bool((curve.accuracy >= target).any())
    right = taxonomy.contains(found.node_ids, labels[:, None])
    if reachable:
        threshold, evaluations = _METHODS[method](curve, found, right, target, seed)
    else:
        threshold, evaluations = 1.0, len(curve.threshold)
    entry = curve.at(threshold)
    return Calibration(
        threshold=threshold,
        target=target,
        method=method,
        accuracy=float(curve.accuracy[entry]),
        depth=float(curve.depth[entry]),
        abstention=float(curve.abstention[entry]),
        photos=curve.photos,
        evaluations=evaluations,
        reachable=reachable,
    )


_Search = Callable[[OperatingCurve, Candidates, npt.NDArray[np.bool_], float, int], tuple[float, int]]


def _exact(
    curve: OperatingCurve, found: Candidates, right: npt.NDArray[np.bool_], target: float, seed: int
) -> tuple[float, int]:
    del found, right, seed
    return float(curve.threshold[curve.choose(target)]), len(curve.threshold)


def _binary_search(
    curve: OperatingCurve, found: Candidates, right: npt.NDArray[np.bool_], target: float, seed: int
) -> tuple[float, int]:
    """Halve [0, 1] until neighbouring floats of the float16 range are told apart."""
    del curve, seed
    low, high, evaluations = 0.0, 1.0, 0
    rows = np.arange(len(right))
    while high - low > 2.0**-30:
        middle = (low + high) / 2
        depth = (found.probabilities[:, 1:] >= middle).sum(axis=1)
        accuracy = float(right[rows, depth].mean())
        low, high = (low, middle) if accuracy >= target else (middle, high)
        evaluations += 1
    return high, evaluations


def _hill_climb(
    curve: OperatingCurve, found: Candidates, right: npt.NDArray[np.bool_], target: float, seed: int
) -> tuple[float, int]:
    """Stochastic approximation: step k adds k^-0.6 x (target - accuracy of the next mini-batch) to the threshold.

    The mean over the second half of the steps is the answer (Polyak averaging), which takes out the batches' noise.
    """
    del curve
    generator = np.random.default_rng(seed)
    size, steps = min(256, len(right)), 2_000
    threshold, visited = 0.5, np.empty(steps)
    for step in range(steps):
        rows = generator.integers(len(right), size=size)
        depth = (found.probabilities[rows, 1:] >= threshold).sum(axis=1)
        accuracy = float(right[rows, depth].mean())
        threshold = float(np.clip(threshold + (step + 1) ** -0.6 * (target - accuracy), 0, 1))
        visited[step] = threshold
    return float(visited[steps // 2 :].mean()), steps


_METHODS: dict[Method, _Search] = {
    "exact": _exact,
    "hill_climb": _hill_climb,
    "binary_search": _binary_search,
}


def _sum_up(leaves: Floats, taxonomy: Taxonomy) -> Floats:
    nodes = np.zeros((len(leaves), taxonomy.node_count))
    nodes[:, taxonomy.leaves] = leaves
    for level in reversed(taxonomy.levels[1:]):
        parents = taxonomy.parent[level]
        # Within one level, preorder keeps siblings together.
        starts = np.flatnonzero(np.diff(parents, prepend=-1))
        nodes[:, parents[starts]] = np.add.reduceat(nodes[:, level], starts, axis=1)
    return np.minimum(nodes, 1.0, out=nodes)


def _chunks(rows: int, width: int) -> Iterator[slice]:
    step = max(1, CHUNK_CELLS // width)
    return (slice(begin, min(begin + step, rows)) for begin in range(0, rows, step))


def _checked(probabilities: Probabilities, taxonomy: Taxonomy) -> Floats:
    values = np.asarray(probabilities, dtype=np.float64)
    if values.ndim != 2 or values.shape[1] != taxonomy.class_count:
        raise SpecificityError(
            f"probabilities must have the shape photographs x {taxonomy.class_count} classes, not {values.shape}"
        )
    wrong = ~(np.isfinite(values).all(axis=1) & (values >= 0).all(axis=1))
    wrong |= ~(np.abs(values.sum(axis=1) - 1) <= SUM_TOLERANCE)
    if wrong.any():
        row = int(np.flatnonzero(wrong)[0])
        raise SpecificityError(
            f"row {row} is not a probability distribution (minimum {values[row].min():.4g}, sum "
            f"{values[row].sum():.4g}); apply softmax to a network's outputs first"
        )
    return values


def _checked_labels(probabilities: Probabilities, labels: npt.ArrayLike, taxonomy: Taxonomy) -> Integers:
    classes = np.asarray(labels)
    if classes.ndim != 1 or len(classes) != len(probabilities) or len(classes) == 0:
        raise SpecificityError(
            f"labels must be one class id per photograph: {len(probabilities)} photographs, labels of shape "
            f"{classes.shape}"
        )
    if not np.issubdtype(classes.dtype, np.integer) or classes.min() < 0 or classes.max() >= taxonomy.class_count:
        raise SpecificityError(f"labels must be integers from 0 to {taxonomy.class_count - 1} (class ids)")
    return classes.astype(np.int32)
