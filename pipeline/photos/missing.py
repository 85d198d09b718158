"""What a fetch could not get for reasons that pass, and whether a dataset may be made without it."""

import datetime as dt
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from typing import Final

from pipeline.photos.incomplete import IncompleteFetch, IncompleteHost

FEW: Final = 5
"""So many photographs may always be missing, ..."""
FEW_SHARE: Final = 0.25
"""... but no more than this share: a small scope is not held up by one bad address, and never lost as a whole."""
RETRY_AFTER: Final = dt.timedelta(hours=6)
"""When to try again where no host named a moment: most outages are over by then, and a blocked address is not worse."""
_NAMED: Final = 3
"""Hosts that a message names."""


@dataclass(frozen=True, kw_only=True)
class Missing:
    """The photographs that one host did not give."""

    host: str
    photos: int
    reason: str
    """Of the host where it was left alone, else of the last photograph."""
    closed: bool = False
    """Whether the host was left alone for the rest of the run."""
    opens_at: float | None = None
    """Until when it asked to be left alone, in seconds since the epoch."""


def allowed(photos: int, *, most_failed: float) -> float:
    """How many of so many photographs may be missing."""
    return max(most_failed * photos, min(FEW, FEW_SHARE * photos)) if most_failed else 0


def incomplete(
    missing: Iterable[Missing],
    *,
    photos: int,
    most_failed: float,
    ended_at: dt.datetime,
    optional_hosts: Collection[str] = (),
) -> IncompleteFetch | None:
    """Why a fetch is incomplete, and what to do; None where it is complete enough.

    It is incomplete where more than the allowed share is missing, and, whatever the share, where a host was left alone
    while photographs of it were wanted: what a host in trouble did not give would be given another time.

    Args:
        missing: What was not got, by host.
        photos: All photographs of the index.
        most_failed: The setting `photos.most_failed`; 1 allows everything.
        ended_at: When the fetch ended, in UTC.
        optional_hosts: The setting `photos.optional_hosts`: hosts whose photographs may be missing.
    """
    optional = {host.lower() for host in optional_hosts}
    hosts = sorted(
        (host for host in missing if host.photos and host.host.lower() not in optional),
        key=lambda host: (-host.photos, host.host),
    )
    waiting = sum(host.photos for host in hosts)
    closed = [host for host in hosts if host.closed]
    if waiting <= allowed(photos, most_failed=most_failed) and (most_failed == 1 or not closed):
        return None
    retry_at, unnamed = _retry_at(hosts, ended_at=ended_at)
    named = [f"{host.photos:,} of {host.host or 'malformed addresses'} ({host.reason})" for host in hosts[:_NAMED]]
    if len(hosts) > _NAMED:
        named.append(f"{sum(host.photos for host in hosts[_NAMED:]):,} of {len(hosts) - _NAMED:,} other hosts")
    return IncompleteFetch(
        recorded_at=ended_at.replace(microsecond=0),
        retry_at=retry_at,
        missing=waiting,
        hosts=tuple(
            IncompleteHost(
                host=host.host,
                photos=host.photos,
                closed=host.closed,
                reason=host.reason,
                opens_at=_moment(host.opens_at),
            )
            for host in hosts
        ),
        reason=(
            f"{waiting:,} of {photos:,} photographs could not be fetched: {', '.join(named)}; what came is kept; "
            f"run the same command again after {retry_at:%Y-%m-%d %H:%M} UTC{unnamed} to fetch the rest, or "
            + _without_them(closed, share=waiting / photos, most_failed=most_failed)
        ),
    )


def _without_them(closed: Sequence[Missing], *, share: float, most_failed: float) -> str:
    """How to go on without what is missing."""
    if closed:
        names = ", ".join(host.host for host in closed[:_NAMED])
        return f"add {names} to photos.optional_hosts to go on without {'it' if len(closed) == 1 else 'them'}"
    return f"raise photos.most_failed (now {most_failed:g}, here {share:.3g}) to go on without them"


def _retry_at(hosts: Iterable[Missing], *, ended_at: dt.datetime) -> tuple[dt.datetime, str]:
    """The last moment that a host named, else some hours later; and a remark where a moment cannot be kept."""
    wanted = [host for host in hosts if host.opens_at is not None]
    moments = [moment for host in wanted if (moment := _moment(host.opens_at)) is not None]
    remark = "" if len(moments) == len(wanted) else " (a host named no moment that a calendar has)"
    # A minute's fraction less would be too early: messages and schedules count in minutes.
    retry_at = max([ended_at, *moments]) + dt.timedelta(minutes=1) if moments else ended_at + RETRY_AFTER
    return retry_at.replace(second=0, microsecond=0), remark


def _moment(seconds: float | None) -> dt.datetime | None:
    """A moment of the calendar with whole seconds; None where there is none."""
    try:
        moment = None if seconds is None else dt.datetime.fromtimestamp(seconds, tz=dt.UTC).replace(microsecond=0)
    except (OverflowError, ValueError, OSError):
        return None
    # The last days of the calendar leave no room to count from.
    return moment if moment is None or moment.year < dt.MAXYEAR else None
