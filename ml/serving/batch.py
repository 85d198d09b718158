"""Photographs that are answered together: through the network in steps, joined by the organisms that they show."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, NamedTuple

from ml.errors import PhotoError
from ml.serving.answer_text import Answer
from ml.serving.sighting import NOTHING, Sighting, sites_of

if TYPE_CHECKING:
    from ml.serving.answering import Answering, Looks, Plan
    from ml.serving.classifier import Views

MOST_UNREADABLE: Final = 256
"""A batch ends after so many photographs without views, too: a million of them are not to be held."""


class Seen(NamedTuple):
    """What the network will see of a photograph, or why there is nothing."""

    photo: str
    """Its path, or whatever it is called by."""
    views: "Views | PhotoError"
    organism: str | None = None
    """Photographs that follow each other with one name here show one organism; None: by itself."""
    sighting: Sighting = NOTHING
    """Where and when it was taken."""


Named = tuple[str, Answer | PhotoError]
"""A photograph, or an organism, by its name; and the answer, or why there is none."""


@dataclass(kw_only=True)
class _Organism:
    name: str | None
    """None: a photograph by itself."""
    photos: list[str] = field(default_factory=list)
    rows: list[int] = field(default_factory=list)
    """Of the looks of the batch."""
    errors: list[tuple[str, PhotoError]] = field(default_factory=list)


class Batch:
    """Whole organisms with at least `size` photographs in all. At most `size` photographs are held as pixels."""

    def __init__(self, *, size: int, look: "Callable[[Sequence[Views]], Looks]") -> None:
        """An empty batch.

        Args:
            size: Photographs that go through the network at a time.
            look: What the network makes of photographs.
        """
        self._size, self._look = size, look
        self._organisms: list[_Organism] = []
        self._waiting: list[Views] = []
        self._looks: list[Looks] = []
        self._sightings: list[Sighting] = []
        self._readable = self._unreadable = 0

    @property
    def empty(self) -> bool:
        """Whether nothing was added."""
        return not self._organisms

    @property
    def full(self) -> bool:
        """Whether the next organism belongs into the next batch."""
        return self._readable >= self._size or self._unreadable >= MOST_UNREADABLE

    def continues(self, seen: Seen) -> bool:
        """Whether a photograph shows the organism of the last one."""
        return seen.organism is not None and not self.empty and self._organisms[-1].name == seen.organism

    def add(self, seen: Seen) -> None:
        """Add a photograph; the network looks at every `size` of them at once."""
        if not self.continues(seen):
            self._organisms.append(_Organism(name=seen.organism))
        organism = self._organisms[-1]
        organism.photos.append(seen.photo)
        if isinstance(seen.views, PhotoError):
            organism.errors.append((seen.photo, seen.views))
            self._unreadable += 1
            return
        organism.rows.append(self._readable)
        self._readable += 1
        self._sightings.append(seen.sighting)
        self._waiting.append(seen.views)
        if len(self._waiting) == self._size:
            self._through_the_network()

    def answers(self, answering: "Answering", plan: "Plan") -> list[Named]:
        """The name of each organism, or of its only photograph, and the answer about it or why there is none."""
        import numpy as np  # noqa: PLC0415 (which a running page spares, as the next)

        from ml.serving.joint import answer_together  # noqa: PLC0415

        self._through_the_network()
        looks, sites = _joined(self._looks), sites_of(self._sightings)
        alone = [organism.rows[0] for organism in self._organisms if organism.name is None and organism.rows]
        single = iter(answering.answers(_part(looks, alone), plan, sites.rows(np.array(alone))) if alone else ())
        answers: list[Named] = []
        for organism in self._organisms:
            if not organism.rows:
                answers.append(_no_answer(organism))
            elif organism.name is None:
                answers.append((organism.photos[0], next(single)))
            else:
                where = sites.rows(np.array(organism.rows))
                answer = answer_together(answering, _part(looks, organism.rows), plan, where)
                answers.append((organism.name, _of_several(answer, organism)))
        return answers

    def errors(self) -> list[Named]:
        """The names of organisms without a readable photograph, and why they have no answer."""
        return [_no_answer(organism) for organism in self._organisms if not organism.rows]

    def _through_the_network(self) -> None:
        if self._waiting:
            self._looks.append(self._look(self._waiting))
            self._waiting = []


def unreadable(photographs: Iterable[Seen]) -> list[Named]:
    """The errors of photographs of which none can be read, as a batch would tell them: no model is needed for that."""
    batch = Batch(size=1, look=_nothing)
    for seen in photographs:
        batch.add(seen)
    return batch.errors()


def _nothing(_: "Sequence[Views]") -> "Looks":
    raise AssertionError("a photograph that cannot be read has no views")


def _joined(looks: "list[Looks]") -> "Looks":
    import numpy as np  # noqa: PLC0415 (as above)

    from ml.serving.answering import Looks  # noqa: PLC0415 (as above)

    if not looks:
        return Looks(np.empty((0, 0)), np.empty((0, 0), np.float32))
    return Looks(*(np.concatenate(parts) for parts in zip(*looks, strict=True)))


def _part(looks: "Looks", rows: list[int]) -> "Looks":
    return looks._replace(probabilities=looks.probabilities[rows], embeddings=looks.embeddings[rows])


def _no_answer(organism: _Organism) -> Named:
    photo, error = organism.errors[0]
    if organism.name is None:
        return photo, error
    if len(organism.errors) == 1:
        return organism.name, PhotoError(f"{photo}: {error}")
    return organism.name, PhotoError(f"none of its {len(organism.errors)} photographs can be read; {photo}: {error}")


def _of_several(answer: Answer, organism: _Organism) -> Answer:
    """An answer with the photographs that it is from, and a warning about those that could not be read."""
    unreadable = {photo for photo, _ in organism.errors}
    photos = [photo for photo in organism.photos if photo not in unreadable]
    if not organism.errors:
        return {**answer, "photos": photos}
    warnings = [
        {"kind": "unreadable", "text": f"answered without {photo}, which cannot be read: {error}"}
        for photo, error in organism.errors
    ]
    return {**answer, "photos": photos, "warnings": [*answer.get("warnings", []), *warnings]}
