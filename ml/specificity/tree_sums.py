"""Sums of leaf probabilities over the tree (the paper's NodeProbability), exact and in bounded memory.

A stream of photographs is summed in integers, multiples of a small unit: such sums are exact in any order, so the sum
over any leaf range is the difference of two cumulative sums. Every float16 in [0, 1] is a multiple of 2^-24, which fits
int32; wider types are rounded to multiples of 2^-60 in int64, an error below 1e-14 for the sum over 19,027 of them.

Shapes: N photographs, C classes, V nodes, B rows of one block.
"""

import itertools
import mmap
import os
import sys
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any, NamedTuple, TypeGuard, cast, overload

import numpy as np
import numpy.typing as npt

from ml.errors import MlError
from ml.evaluation.predictions import StoredProbabilities
from ml.specificity.composed import ComposedProbabilities
from ml.taxonomy import Floats, Integers, Taxonomy

if TYPE_CHECKING:
    from torch import Tensor

Probabilities = npt.NDArray[np.floating]
Distributions = Probabilities | StoredProbabilities | ComposedProbabilities
"""Of many photographs: an array, memory-mapped or not, or what is read, or composed, block by block."""

BLOCK_CELLS = 400_000
"""Probabilities taken at once: a block and its sums stay in the processor's cache."""
RELEASE_BYTES = 64_000_000
"""A memory-mapped file gives back its pages after so many bytes, so that a pass does not fill the memory."""
SUM_TOLERANCE = 0.02
"""How far a row may be from summing to one: float16 over many classes loses up to a percent."""
HALF_BITS, WIDE_BITS = 24, 60
"""Probabilities are summed as multiples of 2^-24 (float16) or 2^-60."""
WIDE_SPARE = 5
"""Bits that multiples of 2^-60 give up in sums along a lineage: those of 100 steps stay within int64 and, with 2^-24,
within int32."""
HALF_ONE = 0x3C00
"""The bits of 1.0 as float16; non-negative float16 numbers are ordered as their bits are."""
HALVES: Integers = np.ldexp(
    np.arange(HALF_ONE + 1, dtype=np.uint16).view(np.float16).astype(np.float64), HALF_BITS
).astype(np.int32)
"""Every float16 from 0 to 1, by its bits, as a multiple of 2^-24: NumPy's own conversion takes ten times as long."""


class SpecificityError(MlError, ValueError):
    """Probabilities, labels or a threshold are not what they must be."""


class Units(NamedTuple):
    """Probabilities as multiples of 2^-`bits`."""

    values: npt.NDArray[np.integer]
    bits: int

    def probability(self, sums: npt.NDArray[np.integer]) -> Floats:
        """Sums as probabilities; rounding of the input above one is cut off."""
        return np.minimum(np.ldexp(sums.astype(np.float64), -self.bits), 1.0)


@overload
def node_probabilities(probabilities: Probabilities, taxonomy: Taxonomy) -> Floats: ...


@overload
def node_probabilities(probabilities: "Tensor", taxonomy: Taxonomy) -> "Tensor": ...


def node_probabilities(probabilities: "Probabilities | Tensor", taxonomy: Taxonomy) -> "Floats | Tensor":
    """Sum leaf probabilities up the tree, all nodes of a depth at once, in float64.

    A leaf keeps its exact value and a parent is never less probable than its child. The whole N x V result is held in
    memory; a stream of photographs goes through `best_per_depth`.

    Args:
        probabilities: Shape N x C, rows sum to one; a NumPy array or a PyTorch tensor of any floating type.
        taxonomy: A tree with C leaves.

    Returns:
        Shape N x V, in [0, 1]; an array for an array, a tensor on the same device for a tensor.

    Raises:
        SpecificityError: the shape is wrong, or a row is not a probability distribution.
    """
    if _is_tensor(probabilities):
        return _node_tensor(probabilities, taxonomy)
    return sum_up(checked(cast("Probabilities", probabilities), taxonomy), taxonomy)


def sum_up(leaves: Floats, taxonomy: Taxonomy) -> Floats:
    """The sums of `node_probabilities` for rows that need not sum to one, such as a part of a distribution.

    Args:
        leaves: Shape N x C.
        taxonomy: A tree with C leaves.

    Returns:
        Shape N x V, in [0, 1].
    """
    nodes = np.zeros((len(leaves), taxonomy.node_count))
    nodes[:, taxonomy.leaves] = leaves
    for level in reversed(taxonomy.levels[1:]):
        parents = taxonomy.parent[level]
        # Within one level, preorder keeps siblings together.
        starts = np.flatnonzero(np.diff(parents, prepend=-1))
        nodes[:, parents[starts]] = np.add.reduceat(nodes[:, level], starts, axis=1)
    return np.minimum(nodes, 1.0, out=nodes)


def checked(probabilities: Probabilities, taxonomy: Taxonomy, *, first_row: int = 0) -> Floats:
    """Rows as float64.

    Args:
        probabilities: Shape B x C.
        taxonomy: A tree with C leaves.
        first_row: Number of the first row, for messages.

    Raises:
        SpecificityError: the shape is wrong, or a row is not a probability distribution.
    """
    values = np.asarray(probabilities, dtype=np.float64)
    if values.ndim != 2 or values.shape[1] != taxonomy.class_count:
        raise SpecificityError(
            f"probabilities must have the shape photographs x {taxonomy.class_count} classes, not {values.shape}"
        )
    with np.errstate(invalid="ignore", over="ignore"):
        sums = values.sum(axis=1)
        wrong = ~(np.abs(sums - 1) <= SUM_TOLERANCE) | ~(values.min(axis=1) >= 0)
    if wrong.any():
        row = int(np.flatnonzero(wrong)[0])
        raise SpecificityError(f"row {first_row + row} is not a probability distribution: {_fault(values[row])}")
    return values


def _fault(row: Floats) -> str:
    """What is wrong with a row, and how to correct it."""
    if not np.isfinite(row).all():
        return f"{np.isnan(row).sum()} of its values are NaN and {np.isinf(row).sum()} infinite"
    found = f"minimum {row.min():.4g}, sum {row.sum():.4g}"
    if not row.any():
        return "all its values are 0"
    if row.min() >= 0 and abs(row.sum() - 100) <= 100 * SUM_TOLERANCE:
        return f"{found}; divide percentages by 100"
    return f"{found}; apply softmax to a network's outputs first"


def best_per_depth(block: Probabilities, taxonomy: Taxonomy, *, first_row: int = 0) -> tuple[Integers, Floats]:
    """The most probable node of each depth and its probability, the first in preorder on a tie.

    Args:
        block: Shape B x C.
        taxonomy: A tree with C leaves and depths 0 to D.
        first_row: Number of the first row, for messages.

    Returns:
        Two arrays of shape B x (D + 1); probabilities never rise with depth.

    Raises:
        SpecificityError: as `checked`.
    """
    units, values = _in_units(block, taxonomy, first_row=first_row)
    shape = (len(block), taxonomy.max_depth + 1)
    node_ids, best = np.empty(shape, dtype=np.int32), np.empty(shape, dtype=np.int64)
    rows = np.arange(len(block))
    for depth in range(taxonomy.max_depth, -1, -1):
        cuts = taxonomy.cuts[depth]
        if depth == taxonomy.max_depth:
            sums = units.values
        else:
            values = values.take(cuts.positions, axis=1, mode="clip")
            sums = np.diff(values, axis=1)
        if len(cuts.segments) < sums.shape[1]:
            sums = sums[:, cuts.segments]
        chosen = sums.argmax(axis=1)
        node_ids[:, depth] = cuts.nodes[chosen]
        best[:, depth] = sums[rows, chosen]
    return node_ids, units.probability(best)


def best_paths(block: Probabilities, taxonomy: Taxonomy, *, first_row: int = 0) -> tuple[Integers, Floats, Floats]:
    """The node of each depth with the greatest sum of probabilities along its lineage, the first in preorder on a tie.

    The sum over the lineage of a node, without the root, is how many of its steps are expected to be right.

    Args:
        block: Shape B x C.
        taxonomy: A tree with C leaves and depths 0 to D.
        first_row: Number of the first row, for messages.

    Returns:
        Three arrays of shape B x (D + 1): nodes, their probabilities, and the sums along their lineages, in [0, D].

    Raises:
        SpecificityError: as `checked`.
    """
    units, values = _in_units(block, taxonomy, first_row=first_row)
    levels: list[npt.NDArray[np.integer]] = []
    for depth in range(taxonomy.max_depth, -1, -1):
        cuts = taxonomy.cuts[depth]
        if depth == taxonomy.max_depth:
            sums = units.values
        else:
            values = values.take(cuts.positions, axis=1, mode="clip")
            sums = np.diff(values, axis=1)
        levels.append(sums[:, cuts.segments] if len(cuts.segments) < sums.shape[1] else sums)
    shape = (len(block), taxonomy.max_depth + 1)
    node_ids, best, along = np.zeros(shape, dtype=np.int32), np.empty(shape, dtype=np.int64), np.zeros(shape)
    best[:, 0] = levels[-1][:, 0]
    rows = np.arange(len(block))
    # A sum over a lineage of more than one step must stay within its type.
    spare = WIDE_SPARE if units.bits == WIDE_BITS else 0
    paths = np.zeros((len(block), 1), dtype=units.values.dtype)
    for depth, (parents, sums) in enumerate(zip(taxonomy.parent_positions, reversed(levels[:-1]), strict=True), 1):
        paths = paths.take(parents, axis=1, mode="clip")
        paths += sums >> spare if spare else sums
        chosen = paths.argmax(axis=1)
        node_ids[:, depth] = taxonomy.levels[depth][chosen]
        best[:, depth] = sums[rows, chosen]
        along[:, depth] = np.ldexp(paths[rows, chosen].astype(np.float64), spare - units.bits)
    return node_ids, units.probability(best), along


def range_sums(
    probabilities: Distributions,
    begin: Integers,
    end: Integers,
    taxonomy: Taxonomy,
    *,
    adjust: Callable[[Floats], Floats] | None = None,
) -> Floats:
    """Probability mass of leaf ranges, streaming.

    Args:
        probabilities: Shape N x C; a file is read block by block.
        begin: First class id of each range, shape K, or N x K where each photograph has its own.
        end: One past the last class id of each range; shaped as `begin`.
        taxonomy: A tree with C leaves.
        adjust: Applied to the distributions of each block first, such as a temperature.

    Returns:
        Shape N x K.

    Raises:
        SpecificityError: as `checked`.
    """
    first, last = (np.broadcast_to(edge, (len(probabilities), np.shape(edge)[-1])) for edge in (begin, end))
    masses = np.empty(first.shape)

    def work(rows: slice) -> None:
        block: Probabilities = probabilities[rows]
        if adjust is not None:
            block = adjust(checked(block, taxonomy, first_row=rows.start))
        units, cumulative = _in_units(block, taxonomy, first_row=rows.start)
        sums = np.take_along_axis(cumulative, last[rows], axis=1) - np.take_along_axis(cumulative, first[rows], axis=1)
        masses[rows] = units.probability(sums)

    each_block(probabilities, work)
    return masses


def each_block(probabilities: Distributions, work: Callable[[slice], None]) -> None:
    """Call `work` with the rows of every block; large arrays are divided among threads, one per processor.

    NumPy leaves Python's lock while it computes, so threads gain what processors there are.
    """
    processors = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    threads = max(1, min(processors, probabilities.size // (4 * BLOCK_CELLS)))
    if threads == 1:
        # To start one would take longer than a photograph's sums.
        for rows in blocks(probabilities, begin=0):
            work(rows)
        return
    edges = np.linspace(0, len(probabilities), threads + 1).astype(int)
    stopped = threading.Event()

    def strip(begin: int, end: int) -> None:
        for rows in blocks(probabilities, begin=begin, end=end):
            if stopped.is_set():
                return
            work(rows)

    with ThreadPoolExecutor(threads) as pool:
        try:
            for done in [pool.submit(strip, int(begin), int(end)) for begin, end in itertools.pairwise(edges)]:
                done.result()
        finally:
            # An error or an interrupt does not wait for the other strips.
            stopped.set()


def blocks(probabilities: Distributions, *, begin: int = 0, end: int | None = None) -> Iterator[slice]:
    """The rows from `begin` to `end`, block by block; pages of a memory-mapped file are given back behind them."""
    width = max(1, int(np.prod(probabilities.shape[1:])))
    step = max(1, BLOCK_CELLS // width)
    mapped, read = _mapping(probabilities), 0
    stop = len(probabilities) if end is None else end
    for first in range(begin, stop, step):
        yield slice(first, min(first + step, stop))
        read += step * width * probabilities.itemsize
        if mapped is not None and read >= RELEASE_BYTES:
            mapped.madvise(mmap.MADV_DONTNEED)
            read = 0


def _in_units(block: Probabilities, taxonomy: Taxonomy, *, first_row: int) -> tuple[Units, npt.NDArray[np.integer]]:
    """A block as integers, and their cumulative sums with a leading 0: shapes B x C and B x (C + 1).

    Raises:
        SpecificityError: as `checked`.
    """
    if block.ndim == 2 and block.shape[1] == taxonomy.class_count and block.dtype == np.float16:
        bits = np.ascontiguousarray(block).view(np.uint16)
        if bits.max(initial=0) <= HALF_ONE:  # neither negative nor above one nor NaN
            values = HALVES.take(bits, mode="clip")
            cumulative = _cumulative_sums(values)
            total = cumulative[:, -1] - (1 << HALF_BITS)
            # A sum that left int32 has been negative on the way: no step exceeds one.
            if cumulative.min(initial=0) >= 0 and np.abs(total).max(initial=0) <= SUM_TOLERANCE * (1 << HALF_BITS):
                return Units(values, HALF_BITS), cumulative
    wide = np.rint(np.ldexp(checked(block, taxonomy, first_row=first_row), WIDE_BITS)).astype(np.int64)
    return Units(wide, WIDE_BITS), _cumulative_sums(wide)


def _cumulative_sums(values: npt.NDArray[np.integer]) -> npt.NDArray[np.integer]:
    """Sums along the rows, with a leading 0. Shape B x (C + 1)."""
    sums = np.zeros((values.shape[0], values.shape[1] + 1), dtype=values.dtype)
    np.cumsum(values, axis=1, out=sums[:, 1:])
    return sums


def _mapping(array: Distributions) -> mmap.mmap | None:
    """The read-only file mapping that an array looks into, if it does.

    Pages that were written to a private mapping would be lost; such a mapping is left alone.
    """
    base: Any = array
    while isinstance(base, np.ndarray):
        if isinstance(base, np.memmap) and base.mode != "r":
            return None
        base = base.base
    return base if isinstance(base, mmap.mmap) and hasattr(mmap, "MADV_DONTNEED") else None


def _is_tensor(probabilities: object) -> "TypeGuard[Tensor]":
    """Whether this is a PyTorch tensor, without importing PyTorch where it is not loaded."""
    torch = sys.modules.get("torch")
    return torch is not None and isinstance(probabilities, torch.Tensor)


def _node_tensor(probabilities: "Tensor", taxonomy: Taxonomy) -> "Tensor":
    import torch  # noqa: PLC0415 (loaded already, see _is_tensor)

    if probabilities.ndim != 2 or probabilities.shape[1] != taxonomy.class_count:
        checked(np.empty(tuple(probabilities.shape)), taxonomy)
    leaves = probabilities.to(torch.float64)
    wrong = ~((leaves.sum(1) - 1).abs() <= SUM_TOLERANCE) | ~(leaves >= 0).all(1)
    if bool(wrong.any()):
        row = int(wrong.nonzero()[0])
        checked(leaves[row : row + 1].detach().cpu().numpy(), taxonomy, first_row=row)
    nodes = leaves.new_zeros((len(leaves), taxonomy.node_count))
    nodes[:, torch.from_numpy(taxonomy.leaves)] = leaves
    for level in reversed(taxonomy.levels[1:]):
        parents = torch.from_numpy(taxonomy.parent[level]).to(leaves.device)
        nodes.index_add_(1, parents, nodes[:, torch.from_numpy(level).to(leaves.device)])
    return nodes.clamp(max=1.0)
