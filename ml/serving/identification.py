"""One registered version, ready to answer one question about any number of photographs, in bounded memory."""

import itertools
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from typing import TYPE_CHECKING, Self

from ml.errors import PhotoError
from ml.serving.answer_text import Answer
from ml.serving.question import Question
from ml.serving.versions import Version, files_of, find_version

if TYPE_CHECKING:
    from ml.serving.answering import Answering, Plan
    from ml.serving.classifier import Classifier, Views

BATCH = 16
"""Photographs that are answered together."""

Entry = tuple[str, bytes | PhotoError]
"""A photograph's path, and its content or why it has none."""


@dataclass(frozen=True, eq=False, kw_only=True)
class Identification:
    """A model version with a question that it can answer."""

    version: Version
    question: Question
    answering: "Answering"
    plan: "Plan"
    classifier: "Classifier"

    @classmethod
    def load(
        cls, question: Question, *, uri: str, name: str, alias: str, ending: ExitStack, tell: Callable[[str], None]
    ) -> Self:
        """The version of `name` under `alias`; the question is settled before the network is loaded.

        Args:
            question: What is asked.
            uri: The registry.
            name: The registered model.
            alias: Which version.
            ending: Gets what must be undone if the process ends on the way.
            tell: Is told what takes long.

        Raises:
            ModelError: there is no such version, or it cannot be used; says what to do.
            QuestionError: the model does not know a taxon, or reaches no such target.
        """
        tell(f"asking for the {alias} of {name}")
        version = find_version(uri=uri, name=name, alias=alias)
        tell(f"reading version {version.number} of {name}")
        with ExitStack() as copied:
            ending.push(copied)
            artifacts = copied.enter_context(files_of(version, uri=uri))
            from ml.serving.answering import Answering  # noqa: PLC0415 (NumPy and PyArrow; needed only now)

            answering = Answering.read(artifacts)
            plan = answering.plan(question)
            from ml.serving.classifier import Classifier  # noqa: PLC0415 (torch and timm take seconds)

            classifier = Classifier(artifacts)
        return cls(version=version, question=question, answering=answering, plan=plan, classifier=classifier)

    def answers(self, entries: Iterable[Entry]) -> Iterator[tuple[str, Answer | PhotoError]]:
        """For each photograph, in order, its path and the answer, or why there is none."""
        said = {
            "model": {"name": self.version.name, "version": self.version.number},
            "target": self.plan.target,
            "within": [self.answering.taxonomy.describe(node) for node in self.plan.within],
            "renormalise": self.plan.renormalise,
        }
        remaining = iter(entries)
        while batch := [self._look(*entry) for entry in itertools.islice(remaining, BATCH)]:
            seen = [views for _, views in batch if not isinstance(views, PhotoError)]
            answers = iter(self.answering.answers(self.classifier.probabilities(seen), self.plan) if seen else [])
            for photo, views in batch:
                yield photo, views if isinstance(views, PhotoError) else {"photo": photo, **said, **next(answers)}

    def _look(self, photo: str, content: bytes | PhotoError) -> "tuple[str, Views | PhotoError]":
        """What the network sees of a photograph, or why it sees nothing."""
        if isinstance(content, PhotoError):
            return photo, content
        try:
            return photo, self.classifier.views(content, region=self.question.region)
        except PhotoError as error:
            return photo, error
