"""Which source the replica serves. Only the choice: each source lives in a module of its own."""

from pathlib import Path

from demo.folder import FolderSource
from demo.organisms import RenderedSource
from demo.records import Source

RELEASES = (1, 2)


def open_source(*, photos: Path | None, release: int) -> Source:
    """Open a folder of labelled photographs, or, without one, the rendered organisms.

    Args:
        photos: CSV of labelled photographs (columns as `demo.folder.COLUMNS`), or None.
        release: 1, or 2 for the same world a year later (see `demo.releases`).

    Raises:
        ValueError: The release is neither 1 nor 2.
        FolderError: The CSV or a photograph that it names cannot be used.
    """
    if release not in RELEASES:
        raise ValueError(f"release {release} does not exist; choose one of {', '.join(map(str, RELEASES))}")
    return RenderedSource(release=release) if photos is None else FolderSource(csv=photos, release=release)
