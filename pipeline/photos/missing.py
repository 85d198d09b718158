"""What a fetch could not get for reasons that pass, and whether a dataset may be made without it."""

import datetime as dt
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

FEW: Final = 5
"""So many photographs may always be missing, ..."""
FEW_SHARE: Final = 0.25
"""... but no more than this share: a small scope is not held up by one bad address, and never lost as a whole."""
_NAMED: Final = 3
"""Hosts that a message names."""


@dataclass(frozen=True, kw_only=True)
class Missing:
    """The photographs that one host did not give."""

    host: str
    photos: int
    reason: str
    """Of the host where it was left alone, else of the last photograph."""
    opens_at: float | None = None
    """Until when it asked to be left alone, in seconds since the epoch."""


def allowed(photos: int, *, most_failed: float) -> float:
    """How many of so many photographs may be missing."""
    return max(most_failed * photos, min(FEW, FEW_SHARE * photos)) if most_failed else 0


def shortfall(missing: Iterable[Missing], *, photos: int, most_failed: float) -> str | None:
    """Why a fetch is incomplete, and what to do, in one sentence; None where it is complete enough.

    Args:
        missing: What was not got, by host.
        photos: All photographs of the index.
        most_failed: The setting `photos.most_failed`.
    """
    hosts = sorted(missing, key=lambda host: (-host.photos, host.host))
    waiting = sum(host.photos for host in hosts)
    if waiting <= allowed(photos, most_failed=most_failed):
        return None
    named = [f"{host.photos:,} of {host.host or 'malformed addresses'} ({host.reason})" for host in hosts[:_NAMED]]
    if len(hosts) > _NAMED:
        named.append(f"{sum(host.photos for host in hosts[_NAMED:]):,} of {len(hosts) - _NAMED:,} other hosts")
    return (
        f"{waiting:,} of {photos:,} photographs could not be fetched: {', '.join(named)}; what came is kept; "
        f"run the same command again {_when(hosts)} to fetch the rest, or raise photos.most_failed "
        f"(now {most_failed:g}, here {waiting / photos:.3g}) to go on without them"
    )


def _when(hosts: list[Missing]) -> str:
    moments = [host.opens_at for host in hosts if host.opens_at is not None]
    if not moments:
        return f"once {hosts[0].host} gives them" if len(hosts) == 1 else "once these hosts give them"
    try:
        return f"after {dt.datetime.fromtimestamp(max(moments), tz=dt.UTC):%Y-%m-%d %H:%M} UTC"
    except (OverflowError, ValueError, OSError):
        return "when the host has opened again, for which it named no moment that a calendar has"
