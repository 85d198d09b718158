"""A model version in memory, as the page's server asks it: photographs decoded one by one, answered in batches."""

import json
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

from ml.errors import PhotoError
from ml.page.taxon_search import TaxonSearch
from ml.serving.answering import Answering, Looks, Plan
from ml.serving.classifier import Classifier, Views
from ml.serving.identification import Identification
from ml.serving.joint import answer_together
from ml.serving.question import Question, Region
from ml.serving.versions import files_of, find_version
from ml.spec import card_body

Answer = dict[str, Any]
"""Of one photograph or organism: an answer, or `photo` and `error`."""


@dataclass(frozen=True, eq=False, kw_only=True)
class ServedModel:
    """One version; nothing of it changes while it answers."""

    identification: Identification
    search: TaxonSearch
    card: str
    """Its model card, in Markdown."""
    dataset_version: str | None
    """What it was trained on, where its documents say so."""

    @classmethod
    def load(cls, *, uri: str, name: str, number: str) -> Self:
        """Load a version.

        Args:
            uri: MLflow's registry.
            name: The registered model.
            number: The version's number, or an alias.

        Raises:
            ModelError: there is no such version, or it cannot be used; says what to do.
        """
        version = find_version(uri=uri, name=name, alias=number)
        with files_of(version, uri=uri) as artifacts:
            answering = Answering.read(artifacts)
            identification = Identification(version=version, answering=answering, classifier=Classifier(artifacts))
            return cls(
                identification=identification,
                search=TaxonSearch(answering.taxonomy),
                card=_card(artifacts),
                dataset_version=_dataset_version(artifacts),
            )

    @property
    def number(self) -> str:
        """The version's number."""
        return self.identification.version.number

    @property
    def model(self) -> dict[str, str]:
        """Which model answers."""
        return {"name": self.identification.version.name, "version": self.number}

    def plan(self, question: Question) -> Plan:
        """What a question means for this version.

        Raises:
            QuestionError: it does not know a taxon, or reaches no such target.
        """
        return self.identification.answering.plan(question)

    def decode(self, content: bytes, *, region: Region | None) -> Views | PhotoError:
        """What the network sees of a photograph, or why it cannot."""
        try:
            return self.identification.classifier.views(content, region=region)
        except PhotoError as error:
            return error
        except MemoryError:
            return PhotoError("there is not enough memory to decode it")

    def look(self, photographs: Sequence[Views]) -> Looks:
        """What the network makes of photographs."""
        return self.identification.classifier.look(photographs)

    def answers(self, names: Sequence[str], decoded: Sequence[Views | PhotoError], plan: Plan) -> list[Answer]:
        """An answer or an error for each photograph, in order."""
        seen = [views for views in decoded if not isinstance(views, PhotoError)]
        answers = iter(self.identification.answering.answers(self.look(seen), plan) if seen else [])
        said = self._said(plan)
        return [
            {"photo": name, **({"error": str(views)} if isinstance(views, PhotoError) else {**said, **next(answers)})}
            for name, views in zip(names, decoded, strict=True)
        ]

    def together(self, organism: str, names: Sequence[str], looks: Looks, plan: Plan) -> Answer:
        """One answer about an organism, from what the network makes of all its photographs."""
        answer = answer_together(self.identification.answering, looks, plan)
        return {"photo": organism, **self._said(plan), **answer, "photos": list(names)}

    def _said(self, plan: Plan) -> dict[str, Any]:
        taxonomy = self.identification.answering.taxonomy
        return {
            "model": self.model,
            "target": plan.target,
            "within": [taxonomy.describe(node) for node in plan.within],
            "renormalise": plan.renormalise,
        }


def _card(artifacts: Mapping[str, str]) -> str:
    with suppress(KeyError, OSError, UnicodeDecodeError):
        return card_body(Path(artifacts["model_card"]).read_text(encoding="utf-8"))
    return ""


def _dataset_version(artifacts: Mapping[str, str]) -> str | None:
    """The version in the document `dataset`, which versions of earlier code may lack."""
    with suppress(KeyError, OSError, ValueError, AttributeError):
        version = json.loads(Path(artifacts["dataset"]).read_text(encoding="utf-8")).get("dataset_version")
        return version if isinstance(version, str) else None
    return None
