"""Reads a whole search of GBIF, page by page, and checks the pages against the number of records that GBIF states."""

import gzip
import json
from collections.abc import Callable
from pathlib import Path
from typing import Final

from pipeline.errors import GbifError
from pipeline.gbif.answers import Page
from pipeline.gbif.client import Api, Parameters

PAGE: Final = 300
"""Records per page, GBIF's maximum."""
SEARCH_LIMIT: Final = 100_000
"""GBIF serves no page of a search that ends beyond this record."""
SEARCHES: Final = 3
"""How often a search is started if its pages do not fit together: GBIF's index changes while it is read."""

Log = Callable[[str], object]


def read_search(api: Api, parameters: Parameters, *, target: Path, log: Log) -> None:
    """Write the records of a search as gzipped lines of JSON; it is repeated if its pages do not fit together.

    Args:
        api: The client.
        parameters: What is searched for.
        target: The file.
        log: Receives lines about the progress.

    Raises:
        GbifError: there are too many records for a search, its pages never fit, or GBIF refused or did not answer.
    """
    fault = None
    for _ in range(SEARCHES):
        if fault is not None:
            log(f"{fault}; searching again")
        with gzip.GzipFile(target, "wb", mtime=0) as stream:
            fault = _read_pages(api, parameters, stream=stream, log=log)
        if fault is None:
            return
    raise GbifError(f"{fault}, {SEARCHES} times; start again later, or use source.mode download")


def _read_pages(api: Api, parameters: Parameters, *, stream: gzip.GzipFile, log: Log) -> str | None:
    """Write the records of all pages; return a sentence if records are missing or came twice, else None."""
    keys: set[object] = set()
    offset, count = 0, None
    while count is None or offset < count:
        window = {"limit": min(PAGE, SEARCH_LIMIT - offset), "offset": offset}
        page = api.get("/occurrence/search", Page, {**parameters, **window})
        if page.count > SEARCH_LIMIT:
            raise GbifError(
                f"the scope has {page.count:,} records, a search serves {SEARCH_LIMIT:,}; use source.mode download"
            )
        if count not in {None, page.count}:
            return f"GBIF's search had {count:,} records, and at record {offset:,} it had {page.count:,}"
        count = page.count
        stream.writelines(json.dumps(item, sort_keys=True).encode() + b"\n" for item in page.results)
        keys.update(item.get("key") for item in page.results)
        offset += len(page.results)
        log(f"searched {offset:,} of {count:,} records")
        if page.end_of_records or not page.results:
            break
    if offset != count:
        return f"GBIF's search ended at {offset:,} of {count:,} records"
    if len(keys) != count:
        return f"GBIF's search has {count:,} records, its pages held {len(keys):,} different ones"
    return None
