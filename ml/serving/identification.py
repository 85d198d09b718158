"""A registered version that is asked about photographs: what the command, the page and the exam share.

Each photograph gets an answer or an error, in order; several photographs of one organism get one.
"""

import itertools
import sys
from collections.abc import Iterable, Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Self

from ml.ending import ENDING, complain
from ml.errors import PhotoError
from ml.serving.ahead import ahead
from ml.serving.answer_text import Answer
from ml.serving.batch import Batch, Named, Seen
from ml.serving.question import Question
from ml.serving.sighting import NOTHING, Sighting
from ml.serving.versions import Version, files_of, find_version

if TYPE_CHECKING:
    from ml.serving.answering import Answering
    from ml.serving.classifier import Classifier, Views
    from ml.serving.common_names import CommonNames

BATCH: Final = 16
"""Photographs that go through the network together."""
AHEAD: Final = 3 * BATCH
"""Photographs that are read and decoded ahead of the network, as the little that it sees of them."""

Entry = tuple[str, bytes | PhotoError]
"""A photograph's path, and its content or why it has none."""


@dataclass(frozen=True, eq=False, kw_only=True)
class Identification:
    """A model version, loaded."""

    version: Version
    answering: "Answering"
    classifier: "Classifier"

    @classmethod
    def load(
        cls, *, uri: str, name: str, alias: str, question: Question | None = None, names: "CommonNames | None" = None
    ) -> Self:
        """The version of `name` under `alias` in the registry `uri`.

        Args:
            uri: MLflow's registry.
            name: The registered model.
            alias: An alias or a version's number.
            question: What will be asked; it is checked before the network loads, which takes seconds.
            names: Common names, which count for more than those of the version.

        Raises:
            ModelError: there is no such version, or it cannot be used; says what to do.
            QuestionError: the model does not know a taxon, or reaches no such target.
        """
        return cls.of_version(find(uri=uri, name=name, alias=alias), uri=uri, question=question, names=names)

    @classmethod
    def of_version(
        cls, version: Version, *, uri: str, question: Question | None = None, names: "CommonNames | None" = None
    ) -> Self:
        """Load a version that was found; arguments and errors are those of `load`."""
        _tell(f"reading version {version.number} of {version.name}")
        with ExitStack() as copied:
            ENDING.push(copied)
            artifacts = copied.enter_context(files_of(version, uri=uri))
            from ml.serving.answering import Answering  # noqa: PLC0415 (PyArrow; needed only now)

            answering = Answering.read(artifacts, names=names)
            if question is not None:
                answering.plan(question)
            from ml.serving.classifier import Classifier  # noqa: PLC0415 (torch and timm take seconds)

            classifier = Classifier(artifacts)
        return cls(version=version, answering=answering, classifier=classifier)

    def answers(
        self, entries: Iterable[Entry], question: Question, *, organism: str | None = None
    ) -> Iterator[tuple[str, Answer | PhotoError]]:
        """For each photograph, in order, its path and the answer, or why there is none.

        Args:
            entries: Photographs; they are decoded in threads, ahead of the network, and at most `AHEAD` are held.
            question: What is asked about each.
            organism: The name of the one organism that all of them show; there is one answer then, under this name.

        Raises:
            QuestionError: the model does not know a taxon, or reaches no such target.
        """

        def see(entry: Entry) -> Seen:
            return self.seen(*entry, question, organism=organism)

        remaining = iter(entries)
        first = list(itertools.islice(remaining, 2))
        # A single photograph needs no threads.
        seen = ahead(see, itertools.chain(first, remaining), most=AHEAD) if len(first) > 1 else map(see, first)
        for batch in self.batches(seen, question):
            yield from batch

    def seen(
        self, photo: str, content: bytes | PhotoError, question: Question, *, organism: str | None = None,
        sighting: Sighting = NOTHING,
    ) -> Seen:  # fmt: skip
        """What will be answered of a photograph: the part that the network sees, and where and when it was taken.

        What is said of the photograph counts for more than what the question says of all, and that for more than the
        photograph's own EXIF, which is read only where the question asks for it. Any thread may ask.

        Args:
            photo: What it is called.
            content: Its bytes, or why there are none.
            question: What is asked.
            organism: The name of the organism that it shows with those next to it; None: by itself.
            sighting: What is said of this photograph.
        """
        known = sighting.or_else(question.sighting)
        if question.exif and isinstance(content, bytes):
            from ml.serving.exif_sighting import exif_sighting  # noqa: PLC0415 (only where it is asked for)

            known = known.or_else(exif_sighting(content))
        return Seen(photo, self.views(content, question), organism, known)

    def views(self, content: bytes | PhotoError, question: Question) -> "Views | PhotoError":
        """The part of a photograph that the network sees, or why there is none. Any thread may ask."""
        if isinstance(content, PhotoError):
            return content
        try:
            return self.classifier.views(content, region=question.region)
        except PhotoError as error:
            return error

    def batches(self, photographs: Iterable[Seen], question: Question) -> Iterator[list[Named]]:
        """Answers as they are known, in order: those of at least `BATCH` readable photographs at a time.

        Which photographs go through the network together depends only on the photographs since the last list: who goes
        on after it gets the same numbers. An organism is never divided between two lists.

        Args:
            photographs: What is seen of each.
            question: What is asked about each photograph, or about each organism.

        Returns:
            One entry per photograph that shows an organism by itself, and one per organism with several, under its
            name; photographs that could not be read are left out of the evidence, and named among its `warnings`.

        Raises:
            QuestionError: the model does not know a taxon, or reaches no such target.
        """
        plan = self.answering.plan(question)
        said = {
            "model": {"name": self.version.name, "version": self.version.number},
            "target": plan.target,
            "within": [self.answering.taxonomy.describe(node) for node in plan.within],
            "renormalise": plan.renormalise,
        }
        batch = Batch(size=BATCH, look=self.classifier.look)
        for seen in photographs:
            if batch.full and not batch.continues(seen):
                yield _said(batch.answers(self.answering, plan), said)
                batch = Batch(size=BATCH, look=self.classifier.look)
            batch.add(seen)
        if not batch.empty:
            yield _said(batch.answers(self.answering, plan), said)


def find(*, uri: str, name: str, alias: str) -> Version:
    """The version of `name` under `alias`, an alias or a number, in the registry `uri`.

    Raises:
        ModelError: there is no such version; says what to do.
    """
    _tell(f"asking for the {alias} of {name}")
    return find_version(uri=uri, name=name, alias=alias)


def _said(named: Iterable[Named], said: Mapping[str, object]) -> list[Named]:
    """Answers with their name, and what was asked of which model."""
    return [
        (name, answer if isinstance(answer, PhotoError) else {"photo": name, **said, **answer})
        for name, answer in named
    ]


def _tell(message: str) -> None:
    """Tell somebody who waits at a terminal what takes long."""
    if sys.stderr is not None and sys.stderr.isatty():
        complain(f"{message} ...")
