"""Probabilities as integers: multiples of a small unit, whose sums are exact in any order.

Every float16 in [0, 1] is a multiple of 2^-24, which fits int32; wider types are rounded to multiples of 2^-60 in
int64, an error below 1e-14 for the sum over 19,027 of them. Arrays lie in this thread's scratch memory: what a function
returns holds until the function is called again.
"""

import math
import threading
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from ml.specificity.operating_points import Floats

HALF_BITS, WIDE_BITS = 24, 60
HALF_ONE = 0x3C00
"""The bits of 1.0 as float16; non-negative float16 numbers are ordered as their bits are."""


class Units(NamedTuple):
    """Probabilities as multiples of 2^-`bits`."""

    values: npt.NDArray[np.integer]
    bits: int

    def probability(self, sums: npt.NDArray[np.integer]) -> Floats:
        """Sums as probabilities; rounding of the input above one is cut off."""
        return np.minimum(np.ldexp(sums.astype(np.float64), -self.bits), 1.0)


def units_of_halves(bits: npt.NDArray[np.uint16]) -> npt.NDArray[np.int32]:
    """Float16 numbers in [0, 1], given by their bits, as multiples of 2^-24.

    Moved into the fields of a float32 with the exponent raised by 24, the bits of a normal number are the result. Those
    of a subnormal number m x 2^-24 come out as 512 + m / 2, below 1024; there 2 x - 1024 undoes it, elsewhere it is
    greater. NumPy's own conversion of float16 takes ten times as long.
    """
    moved = scratch("moved", bits.shape, np.uint32)
    np.copyto(moved, bits)
    moved <<= 13
    moved += (127 - 15 + HALF_BITS) << 23
    number = moved.view(np.float32)
    doubled = scratch("doubled", bits.shape, np.float32)
    np.multiply(number, 2, out=doubled)
    doubled -= 1024
    np.minimum(number, doubled, out=number)
    units = doubled.view(np.int32)
    np.copyto(units, number, casting="unsafe")
    return units


def cumulative_sums(values: npt.NDArray[np.integer]) -> npt.NDArray[np.integer]:
    """Sums along the rows, with a leading 0. Shape B x (C + 1)."""
    sums = scratch("cumulative", (values.shape[0], values.shape[1] + 1), values.dtype)
    sums[:, 0] = 0
    np.cumsum(values, axis=1, dtype=values.dtype, out=sums[:, 1:])
    return sums


def units_of_wide(values: Floats) -> npt.NDArray[np.int64]:
    """Probabilities in [0, 1 + a rounding] as multiples of 2^-60."""
    return np.rint(np.ldexp(values, WIDE_BITS)).astype(np.int64)


class _Memory(threading.local):
    def __init__(self) -> None:
        self.arrays: dict[str, npt.NDArray[Any]] = {}


_memory = _Memory()


def scratch(name: str, shape: tuple[int, ...], dtype: npt.DTypeLike) -> npt.NDArray[Any]:
    """This thread's array of a name, with any content: pages asked of the system per block cost more than the sums."""
    wanted = math.prod(shape)
    kept = _memory.arrays.get(name)
    if kept is None or kept.size < wanted or kept.dtype != dtype:
        kept = _memory.arrays[name] = np.empty(wanted, dtype=dtype)
    return kept[:wanted].reshape(shape)
