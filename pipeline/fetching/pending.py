"""The photographs of one run: read from the table of the pending ones, and what has become of each so far."""

import asyncio
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import pyarrow.parquet as pq
from yarl import URL

from pipeline.fetching.addresses import host_of
from pipeline.fetching.exchange import Exchange
from pipeline.fetching.hosts import Host
from pipeline.photos.examine import Examined

SLICE: Final = 5_000
"""Photographs of a host that are held in memory at a time."""


@dataclass(kw_only=True, slots=True)
class Photo:
    """A photograph that is to be fetched."""

    photo_id: str
    url: str
    """Its address in the index, which it is recorded under."""
    other_url: str | None
    """Another address that was given for it; it is asked for where the first one does not give it."""
    host: Host
    """That of the address that is asked for, which may redirect to others."""
    exchange: Exchange
    """The last one."""
    attempt: int = 0
    """Requests that were made for it in this run, redirects apart."""
    doubted: bool = False
    """Whether a body came that may have been cut."""
    examined: asyncio.Future[Examined["Photo"]] | None = None
    """Where the fetch waits to hear what the body is."""


def photos_of(wanted: Path, *, first: int, number: int, host: Host) -> Iterator[Photo]:
    """The `number` rows from `first` on, which are of `host`; a slice of them is in memory at a time."""
    last = first + number
    with pq.ParquetFile(wanted) as table:
        begin = 0
        for group in range(table.num_row_groups):
            end = begin + table.metadata.row_group(group).num_rows
            if begin < last and first < end:
                batches = table.iter_batches(
                    batch_size=SLICE, row_groups=[group], columns=["photo_id", "url", "other_url"], use_threads=False
                )
                for batch in batches:
                    skipped = min(max(first - begin, 0), batch.num_rows)
                    chosen = batch.slice(skipped, max(0, last - begin - skipped))
                    for row in chosen.to_pylist():
                        yield Photo(**row, host=host, exchange=Exchange(host=host.name))
                    begin += batch.num_rows
            begin = end


def host_of_authority(authority: str) -> str:
    """Whose limits an authority (host and port) is under."""
    return host_of_url(f"http://{authority}/")


def host_of_url(url: str) -> str:
    """Whose limits an address is under; those without a host share one, they are refused later."""
    try:
        return host_of(URL(url))
    except ValueError:
        return ""


def authority_of(exchange: Exchange) -> str | None:
    """The host that was asked last, as an address writes it; None where none was."""
    if exchange.sent_at is None:
        return None
    return f"[{exchange.host}]" if ":" in exchange.host else exchange.host
