"""What can be made to go wrong on purpose, for which photographs, and how often. No HTTP here."""

import hashlib
from collections import Counter
from collections.abc import Iterable

FAULTS = {
    "rate_limit": "429 with Retry-After: 1, on the first request of a photograph and once for the search",
    "unavailable": "503 on the first request of a photograph",
    "stall": "headers and a part of the body, then silence, on the first request of a photograph",
    "truncated": "a JPEG that ends too early, always",
    "html": "an HTML page with status 200, always",
    "png": "PNG bytes under a .jpg address, always",
    "gone": "404, always",
    "private_redirect": "a redirect to http://10.0.0.1/, always",
    "outage": "403 for half of all photographs, as where one of two servers is out, always",
}
"""Name to what it does; `python -m demo --help` prints this."""

TRANSIENT = frozenset({"rate_limit", "unavailable", "stall"})
ONE_IN = {"outage": 2}
"""Fault -> it hits about one photograph in so many; those that are not listed, one in `FEW`."""
FEW = 32


class UnknownFaultError(Exception):
    """A fault was asked for that does not exist."""


def parse_faults(text: str) -> frozenset[str]:
    """Names from a comma separated list.

    Raises:
        UnknownFaultError: A name is not in `FAULTS`.
    """
    names = frozenset(name.strip() for name in text.split(",") if name.strip())
    unknown = sorted(names - FAULTS.keys())
    if unknown:
        raise UnknownFaultError(f"unknown fault {', '.join(unknown)}; known are {', '.join(FAULTS)}")
    return names


def is_hit(fault: str, photo_id: str) -> bool:
    """Whether a fault hits a photograph: by hash, so the same ones on every run and in every release."""
    digest = hashlib.sha256(f"{fault}:{photo_id}".encode()).digest()
    return int.from_bytes(digest[:4], "big") % ONE_IN.get(fault, FEW) == 0


class Faults:
    """The faults that are switched on, and what was hit already.

    A photograph suffers one fault at most: the first that hits it, in the order of `FAULTS`.
    """

    def __init__(self, names: Iterable[str]) -> None:
        """Switch on the faults of these names."""
        chosen = frozenset(names)
        self._names = [name for name in FAULTS if name in chosen]
        self._hits: Counter[str] = Counter()

    def assigned(self, photo_id: str) -> str | None:
        """The fault of a photograph, whether or not it is over."""
        return next((name for name in self._names if is_hit(name, photo_id)), None)

    def strike(self, photo_id: str) -> str | None:
        """The fault of this request for a photograph; a transient one strikes the first request only."""
        fault = self.assigned(photo_id)
        if fault is None:
            return None
        self._hits[photo_id] += 1
        return None if fault in TRANSIENT and self._hits[photo_id] > 1 else fault

    def strike_search(self) -> bool:
        """Whether this search is refused for too many requests: once, when rate_limit is on."""
        if "rate_limit" not in self._names or self._hits["/search"]:
            return False
        self._hits["/search"] += 1
        return True
