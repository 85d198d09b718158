"""A registered version that is asked about photographs: what the command, the page and the exam share.

Each photograph gets an answer or an error, in order.
"""

import itertools
import sys
from collections.abc import Iterable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Self

from ml.ending import ENDING, complain
from ml.errors import PhotoError
from ml.serving.answer_text import Answer
from ml.serving.question import Question
from ml.serving.versions import Version, files_of, find_version

if TYPE_CHECKING:
    from ml.serving.answering import Answering
    from ml.serving.classifier import Classifier, Views

BATCH: Final = 16
"""Photographs that are answered together."""

Entry = tuple[str, bytes | PhotoError]
"""A photograph's path, and its content or why it has none."""


@dataclass(frozen=True, eq=False, kw_only=True)
class Identification:
    """A model version, loaded."""

    version: Version
    answering: "Answering"
    classifier: "Classifier"

    @classmethod
    def load(cls, *, uri: str, name: str, alias: str, question: Question | None = None) -> Self:
        """The version of `name` under `alias` in the registry `uri`.

        Args:
            uri: MLflow's registry.
            name: The registered model.
            alias: An alias or a version's number.
            question: What will be asked; it is checked before the network loads, which takes seconds.

        Raises:
            ModelError: there is no such version, or it cannot be used; says what to do.
            QuestionError: the model does not know a taxon, or reaches no such target.
        """
        _tell(f"asking for the {alias} of {name}")
        version = find_version(uri=uri, name=name, alias=alias)
        _tell(f"reading version {version.number} of {name}")
        with ExitStack() as copied:
            ENDING.push(copied)
            artifacts = copied.enter_context(files_of(version, uri=uri))
            from ml.serving.answering import Answering  # noqa: PLC0415 (NumPy and PyArrow; needed only now)

            answering = Answering.read(artifacts)
            if question is not None:
                answering.plan(question)
            from ml.serving.classifier import Classifier  # noqa: PLC0415 (torch and timm take seconds)

            classifier = Classifier(artifacts)
        return cls(version=version, answering=answering, classifier=classifier)

    def answers(self, entries: Iterable[Entry], question: Question) -> Iterator[tuple[str, Answer | PhotoError]]:
        """For each photograph, in order, its path and the answer, or why there is none.

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
        remaining = iter(entries)
        while batch := [self._look(*entry, question=question) for entry in itertools.islice(remaining, BATCH)]:
            seen = [views for _, views in batch if not isinstance(views, PhotoError)]
            answers = iter(self.answering.answers(self.classifier.look(seen), plan) if seen else [])
            for photo, views in batch:
                yield photo, views if isinstance(views, PhotoError) else {"photo": photo, **said, **next(answers)}

    def _look(self, photo: str, content: bytes | PhotoError, *, question: Question) -> "tuple[str, Views | PhotoError]":
        """The part of a photograph that the network sees, or why there is none."""
        if isinstance(content, PhotoError):
            return photo, content
        try:
            return photo, self.classifier.views(content, region=question.region)
        except PhotoError as error:
            return photo, error


def _tell(message: str) -> None:
    """Tell somebody who waits at a terminal what takes long."""
    if sys.stderr is not None and sys.stderr.isatty():
        complain(f"{message} ...")
