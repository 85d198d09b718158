"""A hundred and more files that people and attackers hand over as photographs, each with what is right for it.

They are made anew, always the same, and none is kept in the repository. `cases()` is what tests run through: with
`ml.images.photograph.upright_pixels`, with the command, and over HTTP (`content` under the file name `name`).
"""

import functools
from dataclasses import dataclass, field
from typing import Literal

import numpy as np
from numpy.typing import NDArray

Right = Literal["answer", "error", "either"]
Pixels = NDArray[np.uint8]


@dataclass(frozen=True, kw_only=True, eq=False)
class Case:
    """One file and what is right for it."""

    name: str
    """A file name; no two cases share one. The ending may lie."""
    content: bytes = field(repr=False)
    right: Right
    """`answer`: read, as `pixels`. `error`: refused in one sentence. `either`: damage that a decoder may or may not
    see, and nothing beside these two."""
    pixels: Pixels | None = field(default=None, repr=False)
    """What a sound reader sees, upright, where the right is an answer. Shape (H, W, 3)."""
    tolerance: float = 0
    """By how much a value may differ from `pixels` on average."""
    says: str = "."
    """A regular expression that is found in the sentence of an error."""


@functools.cache
def cases() -> tuple[Case, ...]:
    """All of them, in the same order and with the same bytes in every process."""
    from tests import malformed_heif, malformed_jpeg, malformed_others, malformed_png, malformed_webp  # noqa: PLC0415

    modules = (malformed_jpeg, malformed_png, malformed_webp, malformed_heif, malformed_others)
    found = tuple(case for module in modules for case in module.cases())
    names = [case.name for case in found]
    assert len(set(names)) == len(names), sorted(name for name in names if names.count(name) > 1)
    return found
