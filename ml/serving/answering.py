"""From the species probabilities of a calibrated model to answers for people. Loads no network."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple, Self

import numpy as np
import numpy.typing as npt

from ml.serving.question import Question, QuestionError
from ml.spec import CalibrateResult, Rule
from ml.specificity import candidates, restrict, select
from ml.specificity.joint_thresholds import JointThresholds
from ml.specificity.novelty import Novelty
from ml.specificity.operating_points import DECIMALS
from ml.specificity.temperature import temper
from ml.specificity.thresholds import ThresholdTable
from ml.specificity.tree_sums import sum_up
from ml.taxonomy import Floats, TaxonError, Taxonomy


class Looks(NamedTuple):
    """What a network makes of N photographs."""

    probabilities: Floats
    """Of species, before any temperature. Shape N x classes."""
    embeddings: npt.NDArray[np.float32]
    """Pooled features, what the head sees. Shape N x F."""


@dataclass(frozen=True, eq=False, kw_only=True)
class Plan:
    """A question in the terms of one model."""

    target: float | None
    """The accuracy that the thresholds stand for; None where a threshold was asked for."""
    thresholds: Floats
    """The threshold of each group of the model's table. Shape G."""
    rule: Rule
    """What the thresholds are the parameters of: a threshold that was asked for is a probability."""
    within: Sequence[int]
    """Node ids; empty: any taxon."""
    renormalise: bool
    top: int
    embedding: bool


class Chosen(NamedTuple):
    """The answers about N photographs, as nodes of the tree."""

    tempered: Floats
    """Calibrated probabilities of the species, whatever the question. Shape N x classes."""
    allowed: Floats
    """The same under the question's `within`."""
    nodes: npt.NDArray[np.int32]
    """The answer; the root (0) is abstaining. Shape N."""
    probabilities: Floats
    """Its probability. Shape N."""
    thresholds: Floats
    """What it was compared with. Shape N."""


@dataclass(frozen=True, eq=False, kw_only=True)
class Answering:
    """The taxonomy and the calibration of one model version."""

    taxonomy: Taxonomy
    calibration: CalibrateResult
    thresholds: ThresholdTable
    novelty: Novelty | None = None
    """None in versions of networks that were trained without embeddings."""
    joint: JointThresholds | None = None
    """How several photographs of one organism are answered as one; None in versions that are not calibrated for it."""

    @classmethod
    def read(cls, artifacts: Mapping[str, str]) -> Self:
        """Read the artifacts `taxonomy`, `specificity`, `thresholds`, and `novelty` and `joint` if they are there.

        Raises:
            KeyError: one of them is not among the artifacts.
            DocumentError: the calibration was written by other code, or is damaged.
            MlError: a table is damaged.
        """
        return cls(
            taxonomy=Taxonomy.read(artifacts["taxonomy"]),
            calibration=CalibrateResult.read(Path(artifacts["specificity"])),
            thresholds=ThresholdTable.read(Path(artifacts["thresholds"])),
            novelty=Novelty.read(Path(artifacts["novelty"])) if "novelty" in artifacts else None,
            joint=JointThresholds.read(Path(artifacts["joint"])) if "joint" in artifacts else None,
        )

    def plan(self, question: Question) -> Plan:
        """What `question` means for this model.

        Raises:
            QuestionError: `within` names a taxon that the model does not know, or that stands for several; or no
                threshold of the model reaches the target.
        """
        try:
            within = [self.taxonomy.find(taxon) for taxon in question.within]
            target, thresholds = self._thresholds(question)
        except (TaxonError, ValueError) as error:
            raise QuestionError(str(error)) from error
        return Plan(
            target=target, thresholds=thresholds, rule="threshold" if target is None else self.thresholds.rule,
            within=within, renormalise=question.renormalise, top=question.top, embedding=question.embedding,
        )  # fmt: skip

    def _thresholds(self, question: Question) -> tuple[float | None, Floats]:
        """The target that is asked for, if one is, and the threshold of each group."""
        target, thresholds = question.target, self.thresholds
        if question.threshold is not None:
            return None, np.full(len(thresholds.groups), question.threshold)
        if target is not None:
            return target, thresholds.of_groups(thresholds.row(target))
        # What was calibrated is served even where it stayed out of reach: with the threshold 1.
        target = self.calibration.target
        return target, thresholds.of_groups(thresholds.position(target))

    def choose(self, probabilities: Floats, plan: Plan) -> Chosen:
        """The answer about each photograph, without words.

        Args:
            probabilities: Of species, before any temperature. Shape N x classes.
            plan: What is asked.
        """
        taxonomy, tempered = self.taxonomy, temper(probabilities, self.calibration.temperature)
        found = candidates(
            tempered, taxonomy, plan.within or None, rule=plan.rule, reward=self.thresholds.reward,
            renormalise=plan.renormalise,
        )  # fmt: skip
        thresholds = plan.thresholds[self.thresholds.group_of(found)]
        allowed = restrict(tempered, taxonomy, plan.within, renormalise=plan.renormalise) if plan.within else tempered
        return Chosen(tempered, allowed, *select(found, thresholds), thresholds)

    def answers(self, looks: Looks, plan: Plan) -> list[dict[str, Any]]:
        """One answer for each photograph.

        Args:
            looks: What the network makes of the photographs.
            plan: What is asked.

        Returns:
            Dictionaries: taxon, rank, taxon_key, depth, probability, threshold and the rule that it is of
            (`ml.specificity.rules`), lineage (kingdom to the answer) and top, each with probabilities. Rank `root` and
            depth 0 mean: not sure of any kingdom. `watch` has an entry per watched taxon: its probability before
            `within` is applied, and whether it raises the alarm. `novelty` says how unlike all known species the
            photograph looks, whatever `within` says, as `ml.specificity.novelty.Novelty.judge` explains; None where the
            version cannot tell. `embedding` is there where it was asked for.
        """
        taxonomy, chosen = self.taxonomy, self.choose(looks.probabilities, plan)
        watch = self._watch(chosen.tempered)
        novelty = [None] * len(watch) if self.novelty is None else self.novelty.judge(looks.embeddings)
        allowed = chosen.allowed
        species = np.argsort(-allowed, axis=1, kind="stable")[:, : plan.top]
        rows = zip(
            chosen.nodes, chosen.probabilities, chosen.thresholds, sum_up(allowed, taxonomy), species, watch, novelty,
            strict=True,
        )  # fmt: skip
        answers: list[dict[str, Any]] = [
            {
                "taxon": taxonomy.name[node],
                "rank": taxonomy.rank[node],
                "taxon_key": taxonomy.taxon_key[node],
                "depth": int(taxonomy.depth[node]),
                "probability": float(probability),
                "threshold": float(used),
                "rule": plan.rule,
                "lineage": [self._describe(step, float(masses[step])) for step in taxonomy.lineage(int(node))[1:]],
                "top": [self._describe(int(leaf), float(masses[leaf])) for leaf in taxonomy.leaves[best]],
                "watch": watched,
                "novelty": unlike,
            }
            for node, probability, used, masses, best, watched, unlike in rows
        ]
        if plan.embedding:
            for answer, embedding in zip(answers, looks.embeddings.tolist(), strict=True):
                answer["embedding"] = embedding
        return answers

    def _watch(self, probabilities: Floats) -> list[list[dict[str, Any]]]:
        """For each photograph an entry per watched taxon, independent of the answer and of filters."""
        watched = self.calibration.watch
        masses = np.round(sum_up(probabilities, self.taxonomy)[:, [taxon.node_id for taxon in watched]], DECIMALS)
        return [
            [
                {
                    **self._describe(taxon.node_id, float(mass)),
                    "lineage": taxon.taxon,
                    "threshold": taxon.threshold,
                    "alarm": bool(mass >= round(taxon.threshold, DECIMALS)),
                }
                for taxon, mass in zip(watched, row, strict=True)
            ]
            for row in masses
        ]

    def _describe(self, node: int, probability: float) -> dict[str, Any]:
        """A taxon and how probable it is."""
        return {
            "rank": self.taxonomy.rank[node],
            "name": self.taxonomy.name[node],
            "taxon_key": self.taxonomy.taxon_key[node],
            "probability": probability,
        }
