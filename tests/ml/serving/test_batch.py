"""Which photographs go through the network together, and what becomes of those that cannot be read."""

from collections.abc import Sequence

import numpy as np
import pytest

from ml.errors import PhotoError
from ml.serving.answering import Answering, Looks
from ml.serving.batch import MOST_UNREADABLE, Batch, Seen, unreadable
from ml.serving.classifier import Views
from ml.serving.identification import Identification
from ml.serving.question import Question
from ml.serving.versions import files_of
from tests.ml.specificity_fixtures import release

QUESTION = Question(threshold=0.0)


class Network:
    """In place of a network: certain of the class that the first pixel names."""

    def __init__(self) -> None:
        self.batches: list[int] = []

    def look(self, photographs: Sequence[Views]) -> Looks:
        self.batches.append(len(photographs))
        classes = [int(views.flat[0]) for views in photographs]
        return Looks(np.eye(4)[classes] * 0.96 + 0.01, np.eye(1280, dtype=np.float32)[classes])


@pytest.fixture(scope="module")
def identification() -> Identification:
    """The registered version, with the network above in the place of its own."""
    spec, _ = release()
    from ml.serving.identification import find  # noqa: PLC0415

    version = find(uri=spec.tracking.uri, name=spec.model_name, alias="challenger")
    with files_of(version, uri=spec.tracking.uri) as artifacts:
        answering = Answering.read(artifacts)
    return Identification(version=version, answering=answering, classifier=Network())  # type: ignore[arg-type]


def network(identification: Identification) -> Network:
    assert isinstance(identification.classifier, Network)
    identification.classifier.batches.clear()
    return identification.classifier


def seen(number: int, organism: str | None = None) -> Seen:
    return Seen(f"{number}.jpg", np.full((1, 2, 2, 3), number % 4, np.uint8), organism)


def broken(name: str, organism: str | None = None) -> Seen:
    return Seen(name, PhotoError("damaged"), organism)


def test_who_goes_on_after_a_list_has_the_same_photographs_together(identification: Identification) -> None:
    looked = network(identification)
    photographs = [broken("a"), *map(seen, range(20)), broken("b"), *map(seen, range(20, 50))]
    lists = list(identification.batches(photographs, QUESTION))
    assert looked.batches == [16, 16, 16, 2]
    assert [name for batch in lists for name, _ in batch] == [each.photo for each in photographs]
    done = len(lists[0])
    again = list(identification.batches([broken("a"), *photographs[done:]], QUESTION))
    assert looked.batches[4:] == [16, 16, 2]
    assert again[0][1:] == lists[1]
    assert again[1:] == lists[2:]


def test_an_organism_is_not_divided_between_lists_and_its_pixels_are_not_held(identification: Identification) -> None:
    looked = network(identification)
    photographs = [*map(seen, range(10)), *(seen(1, "kea") for _ in range(40)), seen(2, "tui"), seen(3)]
    first, second = identification.batches(photographs, QUESTION)
    assert [name for name, _ in first] == [*(f"{number}.jpg" for number in range(10)), "kea"]
    assert [name for name, _ in second] == ["tui", "3.jpg"]
    assert looked.batches == [16, 16, 16, 2, 2]
    kea, tui = first[-1][1], second[0][1]
    assert isinstance(kea, dict)
    assert isinstance(tui, dict)
    assert (kea["photo"], len(kea["photos"]), kea["taxon"]) == ("kea", 40, identification.answering.taxonomy.name[
        identification.answering.taxonomy.leaves[1]
    ])  # fmt: skip
    assert tui["photos"] == ["2.jpg"]


def test_an_organism_is_answered_from_the_photographs_that_can_be_read(identification: Identification) -> None:
    network(identification)
    photographs = [broken("cut.jpg", "kea"), seen(1, "kea"), broken("a", "tui"), broken("b", "tui"), broken("c", "emu")]
    ((kea, tui, emu),) = identification.batches(photographs, QUESTION)
    assert isinstance(kea[1], dict)
    assert kea[1]["photos"] == ["1.jpg"]
    assert {"kind": "unreadable", "text": "answered without cut.jpg, which cannot be read: damaged"} in kea[1][
        "warnings"
    ]
    assert str(tui[1]) == "none of its 2 photographs can be read; a: damaged"
    assert str(emu[1]) == "c: damaged"
    assert [(name, str(error)) for name, error in unreadable([broken("a"), broken("b", "tui")])] == [
        ("a", "damaged"),
        ("tui", "b: damaged"),
    ]


def test_a_million_unreadable_photographs_are_not_held() -> None:
    batch = Batch(size=16, look=Network().look)
    for number in range(MOST_UNREADABLE):
        assert not batch.full
        batch.add(broken(str(number)))
    assert batch.full
