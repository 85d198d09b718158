"""Writing photo indexes, and reading what a fetch made of them, for the tests of the fetcher."""

from collections.abc import Mapping
from typing import Any

import psutil

from pipeline.config.settings import Settings
from tests.pipeline import tiny


def write_index(settings: Settings, urls: Mapping[str, str], *, others: Mapping[str, str] | None = None) -> None:
    """A photo index of the photographs at the given addresses, by photo id, of which some have others as well."""
    rows = [
        {
            "photo_id": photo_id,
            "occurrence_key": f"k{photo_id}",
            "observation_id": f"o{photo_id}",
            "url": url,
            "licence": "CC-BY",
            "rights_holder": "A. Holder",
            "creator": "A. Creator",
            "other_url": (others or {}).get(photo_id),
        }
        for photo_id, url in sorted(urls.items())
    ]
    tiny.write(settings.paths, "photo_index", rows)


def ledger(settings: Settings) -> dict[str, dict[str, Any]]:
    """The rows of the ledger by photo id."""
    return {row["photo_id"]: row for row in tiny.read(settings.paths.table("photos"))}


def stable(settings: Settings) -> list[dict[str, Any]]:
    """The ledger without what may differ between two runs with the same outcome."""
    varying = {"fetched_at", "attempts"}
    return [
        {name: value for name, value in row.items() if name not in varying}
        for row in tiny.read(settings.paths.table("photos"))
    ]


def bodies(settings: Settings) -> dict[str, bytes]:
    """Every file below the folder of photographs, by name."""
    folder = settings.paths.photos
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def attempts(settings: Settings) -> list[dict[str, Any]]:
    """Every sealed attempt in the order in which they were written."""
    rows = [row for path in settings.paths.attempts.glob("*.parquet") for row in tiny.read(path)]
    return sorted(rows, key=lambda row: int(row["line"]))


def workers() -> set[psutil.Process]:
    """The processes that verify photographs for this one; the standard library's resource tracker is none of them."""
    children = psutil.Process().children()
    return {child for child in children if any("multiprocessing.spawn" in word for word in child.cmdline())}
