"""What a server of the page is told when it starts: which model, which files, which limits."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from ml.images.photograph import MAX_PIXELS
from ml.serving.versions import CHAMPION

LOOPBACK: Final = frozenset({"127.0.0.1", "localhost", "::1"})
"""Names of this machine that another machine cannot reach it by."""


@dataclass(frozen=True, kw_only=True)
class Limits:
    """What one request, and all of them together, may take."""

    files: int = 200
    """Photographs of a request."""
    file_bytes: int = 64_000_000
    """Of one photograph."""
    request_bytes: int = 1_000_000_000
    """Of a whole request."""
    pixels: int = MAX_PIXELS
    """Of one photograph; a larger one is not decoded."""
    places: int = 16
    """Requests with photographs that are received, wait or are answered at the same time."""
    decoders: int = 2
    """Threads that decode photographs: each holds the pixels of one."""
    stall_seconds: float = 30
    """For the next piece of a request's body."""
    upload_seconds: float = 900
    """For all of a request's body."""
    answer_seconds: float = 900
    """For waiting and answering, once a request is there."""


@dataclass(frozen=True, kw_only=True)
class PageSettings:
    """Of one server."""

    tracking_uri: str
    """MLflow's registry."""
    model_name: str
    alias: str = CHAMPION
    """An alias, or a version's number."""
    names: Path | None = None
    """A table of common names."""
    examples: Path | None = None
    """A table of example photographs, see `ml.page.photo_examples`."""
    photos: Path | None = None
    """The folder that the paths of that table start from."""
    report: Path | None = None
    """The report of the dataset and its model, one HTML file."""
    hosts: frozenset[str] = LOOPBACK
    """Names, in lower case and without a port, that this server may be asked by."""
    origins: frozenset[str] = frozenset()
    """Other sites whose pages may ask it, as `https://example.org`."""
    poll_seconds: float = 5
    """Between two looks at the registry."""
    limits: Limits = field(default_factory=Limits)
