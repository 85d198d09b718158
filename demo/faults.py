"""What goes wrong on purpose: named faults, each hitting the same few photographs on every run."""

from collections import Counter
from dataclasses import dataclass
from typing import Final

from demo.taxa import digest


@dataclass(frozen=True, kw_only=True)
class Fault:
    """One named fault."""

    summary: str
    failures: int | None
    """How many requests for a photograph fail before one succeeds; None means all."""


FAULTS: Final = {
    "rate_limit": Fault(summary="429 with Retry-After: 1, once; also once for the first search", failures=1),
    "unavailable": Fault(summary="503, twice", failures=2),
    "stall": Fault(summary="headers and a part of the body, then silence, once", failures=1),
    "truncated": Fault(summary="a JPEG that ends in the middle", failures=None),
    "html": Fault(summary="an HTML page with status 200", failures=None),
    "png": Fault(summary="a PNG under a .jpg address", failures=None),
    "gone": Fault(summary="404", failures=None),
    "private_redirect": Fault(summary="a redirect into a private network (10.0.0.1)", failures=None),
}
"""The faults by name."""
_BUCKETS: Final = 100
"""Each fault hits one photograph in so many."""


class FaultError(ValueError):
    """A fault of an unknown name was asked for."""


class Faults:
    """The faults that are switched on, and how often they have struck.

    Args:
        names: Names among `FAULTS`.

    Raises:
        FaultError: a name is unknown.
    """

    def __init__(self, names: tuple[str, ...] = ()) -> None:
        unknown = sorted(set(names) - set(FAULTS))
        if unknown:
            raise FaultError(f"unknown fault {', '.join(unknown)}; known are {', '.join(FAULTS)}")
        self._names = frozenset(names)
        self._struck: Counter[str] = Counter()

    def of(self, photo_id: str) -> str | None:
        """The fault that belongs to a photograph, if it is switched on: always the same one."""
        place = digest("fault", photo_id) % _BUCKETS
        name = list(FAULTS)[place] if place < len(FAULTS) else None
        return name if name in self._names else None

    def strike(self, photo_id: str) -> str | None:
        """The fault that this request for a photograph meets; transient ones wear off."""
        name = self.of(photo_id)
        if name is None:
            return None
        self._struck[photo_id] += 1
        failures = FAULTS[name].failures
        return name if failures is None or self._struck[photo_id] <= failures else None

    def strike_search(self) -> bool:
        """Whether this search is told to slow down: the first one, with `rate_limit`."""
        self._struck["search"] += 1
        return "rate_limit" in self._names and self._struck["search"] == 1
