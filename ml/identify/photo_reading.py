"""Photographs on their way to the network: read, fetched and decoded ahead of it, by several threads."""

import itertools
import threading
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Final

from ml.errors import PhotoError
from ml.identify.organisms import Organism
from ml.identify.photographs import Address, Photograph

if TYPE_CHECKING:
    from ml.identify.downloads import Downloads
    from ml.serving.batch import Named, Seen
    from ml.serving.identification import Identification
    from ml.serving.question import Question

FIRST: Final = 8
"""Photographs that are read before the model is loaded: there may be nothing to ask it."""

Member = tuple[Photograph, str | None]
"""A photograph, and the name of the organism that it shows with those next to it; None: by itself."""


@dataclass(kw_only=True)
class Reader:
    """Reads photographs; any thread may ask."""

    allow_private_hosts: bool = False
    seconds: float = 60.0
    """For one address in all."""
    _downloads: "Downloads | None" = field(default=None, init=False)
    _lock: threading.Lock = field(default_factory=threading.Lock, init=False)

    def content(self, photograph: Photograph) -> bytes | PhotoError:
        """The bytes of a photograph, or why there are none."""
        source = photograph.source
        try:
            match source:
                case Path():
                    from ml.serving.inputs import read_photograph  # noqa: PLC0415 (NumPy and Pillow)

                    return read_photograph(source)
                case Address():
                    return self._opened().get(source)
                case _:
                    return source
        except PhotoError as error:
            return error

    def close(self) -> None:
        """End what fetches."""
        with self._lock:
            if self._downloads is not None:
                self._downloads.close()
                self._downloads = None

    def _opened(self) -> "Downloads":
        with self._lock:
            if self._downloads is None:
                from ml.identify.downloads import Downloads, Limits  # noqa: PLC0415 (aiohttp)

                self._downloads = Downloads(
                    allow_private=self.allow_private_hosts,
                    limits=Limits(seconds=self.seconds, silence=min(self.seconds, 20.0)),
                )
            return self._downloads


def answered(
    organisms: Iterable[Organism], *, reader: Reader, ask: "Callable[[Iterator[Member]], Iterator[list[Named]]]"
) -> "Iterator[list[Named]]":
    """The answers about organisms, in their order, some at a time.

    Args:
        organisms: What is asked about.
        reader: Reads their photographs.
        ask: Answers about photographs; not called where none of them can be read.
    """
    from ml.serving.ahead import ahead  # noqa: PLC0415 (where there is something to ask, as the next)
    from ml.serving.batch import Seen, unreadable  # noqa: PLC0415

    members = ((photo, each.name) for each in organisms for photo in each.photographs)
    first = list(itertools.islice(members, FIRST))
    contents = list(ahead(lambda member: reader.content(member[0]), first, most=FIRST))
    read = [
        (replace(photo, source=content), organism) for (photo, organism), content in zip(first, contents, strict=True)
    ]
    following = next(members, None)
    if following is not None or any(isinstance(content, bytes) for content in contents):
        begin = read if following is None else [*read, following]
        del first, contents, read
        yield from ask(_then(begin, members))
        return
    errors = ((photo, photo.source, organism) for photo, organism in read)
    yield unreadable(Seen(photo.name, why, name) for photo, why, name in errors if isinstance(why, PhotoError))


def _then(begin: list[Member], rest: Iterator[Member]) -> Iterator[Member]:
    """One after the other; the contents of the first are not held longer than they are needed."""
    begin.reverse()
    while begin:
        yield begin.pop()
    yield from rest


def by_network(
    members: Iterator[Member], *, reader: Reader, question: "Question", load: "Callable[[], Identification]"
) -> "Iterator[list[Named]]":
    """The answers of a network that this process loads. Memory does not grow with the number of photographs.

    Args:
        members: Photographs, those of one organism next to each other.
        reader: Reads them.
        question: What is asked about each photograph or organism.
        load: Loads the model.
    """
    model = load()
    # Loaded with the model.
    from ml.serving.ahead import ahead, one_ahead  # noqa: PLC0415
    from ml.serving.identification import AHEAD  # noqa: PLC0415

    def see(member: Member) -> "Seen":
        photo, organism = member
        return model.seen(photo.name, reader.content(photo), question, organism=organism, sighting=photo.sighting)

    # Answers are written while the network looks at the next photographs.
    yield from one_ahead(model.batches(ahead(see, members, most=AHEAD), question))
