"""A model version in memory, as the page's server asks it: photographs decoded one by one, answered in batches."""

import json
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Self

from ml.errors import PhotoError
from ml.page.occurrence_cells import bounds_of, occurrence_cells
from ml.page.taxon_search import TaxonSearch
from ml.serving.answering import Answering, Plan
from ml.serving.batch import Batch, Seen
from ml.serving.classifier import Classifier
from ml.serving.common_names import CommonNames
from ml.serving.identification import BATCH, Identification
from ml.serving.question import Question
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
    def load(cls, *, uri: str, name: str, number: str, names: Path | None = None) -> Self:
        """Load a version.

        Args:
            uri: MLflow's registry.
            name: The registered model.
            number: The version's number, or an alias.
            names: A table of common names.

        Raises:
            ModelError: there is no such version, or it cannot be used; says what to do.
            NameTableError: the table of common names cannot be used.
        """
        common = None if names is None else CommonNames.read(names)
        version = find_version(uri=uri, name=name, alias=number)
        with files_of(version, uri=uri) as artifacts:
            answering = Answering.read(artifacts, names=common)
            identification = Identification(version=version, answering=answering, classifier=Classifier(artifacts))
            return cls(
                identification=identification,
                search=TaxonSearch(answering.taxonomy, common_name=answering.names.get),
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

    @cached_property
    def places(self) -> dict[str, Any] | None:
        """How many occurrences the version has learnt the places of, and the bounds around them; None without."""
        prior = self.identification.answering.prior
        if prior is None:
            return None
        return {"occurrences": int(prior.records.counts.sum()), "bounds": bounds_of(prior.records)}

    @cached_property
    def cells(self) -> dict[str, Any] | None:
        """Where they lie (`ml.page.occurrence_cells`); None without."""
        prior = self.identification.answering.prior
        return None if prior is None else occurrence_cells(prior.records)

    def plan(self, question: Question) -> Plan:
        """What a question means for this version.

        Raises:
            QuestionError: it does not know a taxon, or reaches no such target.
        """
        return self.identification.answering.plan(question)

    def decode(self, name: str, content: bytes, question: Question, *, organism: str | None = None) -> Seen:
        """What will be answered of a photograph, or why there is nothing. Any thread may ask."""
        try:
            return self.identification.seen(name, content, question, organism=organism)
        except MemoryError:
            return Seen(name, PhotoError("there is not enough memory to decode it"), organism)

    def batch(self) -> Batch:
        """An empty batch of photographs, for one thread at a time."""
        return Batch(size=BATCH, look=self.identification.classifier.look)

    def answers(self, batch: Batch, plan: Plan) -> list[Answer]:
        """An answer or an error for each photograph of a batch, or for each organism, in order."""
        taxonomy = self.identification.answering.taxonomy
        said = {
            "model": self.model,
            "target": plan.target,
            "within": [taxonomy.describe(node) for node in plan.within],
            "renormalise": plan.renormalise,
        }
        return [
            {"photo": name, **({"error": str(found)} if isinstance(found, PhotoError) else {**said, **found})}
            for name, found in batch.answers(self.identification.answering, plan)
        ]


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
