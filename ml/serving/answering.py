"""From the species probabilities of a calibrated model to answers for people. Loads no network."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, NamedTuple, Self

import numpy as np
import numpy.typing as npt

from ml.serving.common_names import CommonNames
from ml.serving.explanation import SMALL, outside, stop, warnings
from ml.serving.named_taxa import NamedTaxa
from ml.serving.promise import Judged, Promises, read_judged
from ml.serving.question import Question, QuestionError
from ml.serving.taxon_pages import gbif_pages, own_names
from ml.serving.watching import Watched, watched_taxa
from ml.spec import CalibrateResult, Rule
from ml.specificity import Candidates, candidates, restrict, select
from ml.specificity.joint_thresholds import JointThresholds
from ml.specificity.novelty import Novelty
from ml.specificity.operating_points import DECIMALS
from ml.specificity.temperature import temper
from ml.specificity.thresholds import ThresholdTable
from ml.specificity.tree_sums import range_sums
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
    """The threshold of each group of the model's table, to 12 decimals. Shape G."""
    rule: Rule
    """What the thresholds are the parameters of: a threshold that was asked for is a probability."""
    within: Sequence[int]
    """Node ids; empty: any taxon."""
    renormalise: bool
    top: int
    embedding: bool
    promises: Sequence[dict[str, Any]]
    """What is promised to each group, see `ml.serving.promise`. Shape G."""
    watch: Sequence[Watched]
    """The taxa to keep an eye on: the version's, then those of the question."""
    region: bool = False
    """Whether a part of the photographs was marked."""


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
    """What the scores were compared with. Shape N."""
    groups: npt.NDArray[np.intp]
    """Each photograph's position among the groups of the table. Shape N."""
    found: Candidates
    """The candidate of each depth under the rule and `within`. Shapes N x (D + 1)."""


@dataclass(frozen=True, eq=False, kw_only=True)
class Answering:
    """The taxonomy and the calibration of one model version, and what its taxa are called."""

    taxonomy: Taxonomy
    calibration: CalibrateResult
    thresholds: ThresholdTable
    names: Mapping[int, str] = field(default_factory=dict)
    """Common names by node, where there are any."""
    pages: Mapping[int, str] = field(default_factory=dict)
    """Addresses of pages at GBIF by node, where there are any."""
    judged: Mapping[float, Judged] = field(default_factory=dict)
    """How often answers at each tabulated target were right; empty in versions without the artifact `by_target`."""
    novelty: Novelty | None = None
    """None in versions of networks that were trained without embeddings."""
    joint: JointThresholds | None = None
    """How several photographs of one organism are answered as one; None in versions that are not calibrated for it."""

    @classmethod
    def read(cls, artifacts: Mapping[str, str], *, names: CommonNames | None = None) -> Self:
        """Read the artifacts of a version by their paths.

        Args:
            artifacts: `taxonomy`, `specificity`, `thresholds` and, if they are there, `novelty`, `joint`, `by_target`
                and `dataset`.
            names: Common names; they count for more than those of the taxonomy.

        Raises:
            KeyError: one of them is not among the artifacts.
            DocumentError: the calibration was written by other code, or is damaged.
            MlError: a table is damaged.
        """
        path = Path(artifacts["taxonomy"])
        taxonomy = Taxonomy.read(path)
        calibration = CalibrateResult.read(Path(artifacts["specificity"]))
        thresholds = ThresholdTable.read(Path(artifacts["thresholds"]))
        by_target = artifacts.get("by_target")
        return cls(
            taxonomy=taxonomy,
            calibration=calibration,
            thresholds=thresholds,
            names=own_names(path) | ({} if names is None else names.of(taxonomy)),
            pages=gbif_pages(path, taxonomy, dataset=artifacts.get("dataset")),
            judged={} if by_target is None else read_judged(Path(by_target), photos=calibration.evaluation_photos),
            novelty=Novelty.read(Path(artifacts["novelty"])) if "novelty" in artifacts else None,
            joint=JointThresholds.read(Path(artifacts["joint"])) if "joint" in artifacts else None,
        )

    @cached_property
    def promises(self) -> Promises:
        """What may be said about the targets."""
        return Promises(calibration=self.calibration, table=self.thresholds, tabulated=self.judged)

    def plan(self, question: Question) -> Plan:
        """What `question` means for this model.

        Raises:
            QuestionError: `within` or `watch` names a taxon that the model does not know, or that stands for several;
                or no threshold of the model reaches the target.
        """
        try:
            within = [self.taxonomy.find(taxon) for taxon in question.within]
            watch = watched_taxa(question.watch, self.taxonomy, own=self.calibration.watch)
            target, thresholds = self._thresholds(question)
        except (TaxonError, ValueError) as error:
            raise QuestionError(str(error)) from error
        promises = [
            self.promises.of(
                target, group, threshold=float(threshold), region=question.region is not None,
                within=" or ".join(self.taxonomy.name[node] for node in within),
            )
            for group, threshold in enumerate(thresholds)
        ]  # fmt: skip
        return Plan(
            target=target, thresholds=thresholds, rule="threshold" if target is None else self.thresholds.rule,
            within=within, renormalise=question.renormalise, top=question.top, embedding=question.embedding,
            promises=promises, watch=watch, region=question.region is not None,
        )  # fmt: skip

    def _thresholds(self, question: Question) -> tuple[float | None, Floats]:
        """The target that is asked for, if one is, and the threshold of each group."""
        target, table = question.target, self.thresholds
        if question.threshold is not None:
            target, thresholds = None, np.full(len(table.groups), float(question.threshold))
        elif target is not None:
            thresholds = table.of_groups(table.row(target))
        else:
            # What was calibrated is served even where it stayed out of reach: with the threshold 1.
            target = self.calibration.target
            thresholds = table.of_groups(table.position(target))
        return target, np.round(thresholds, DECIMALS)

    def choose(self, probabilities: Floats, plan: Plan) -> Chosen:
        """The answer about each photograph, without words.

        Args:
            probabilities: Of species, before any temperature. Shape N x classes.
            plan: What is asked.
        """
        taxonomy, tempered = self.taxonomy, temper(probabilities, self.calibration.temperature)
        found = self._candidates(tempered, plan, within=plan.within)
        groups = self.thresholds.group_of(found)
        thresholds = plan.thresholds[groups]
        allowed = restrict(tempered, taxonomy, plan.within, renormalise=plan.renormalise) if plan.within else tempered
        return Chosen(tempered, allowed, *select(found, thresholds), thresholds, groups, found)

    def _candidates(self, tempered: Floats, plan: Plan, *, within: Sequence[int]) -> Candidates:
        return candidates(
            tempered, self.taxonomy, within or None, rule=plan.rule, reward=self.thresholds.reward,
            renormalise=plan.renormalise,
        )  # fmt: skip

    def answers(self, looks: Looks, plan: Plan) -> list[dict[str, Any]]:
        """One answer for each photograph.

        Args:
            looks: What the network makes of the photographs.
            plan: What is asked.

        Returns:
            Dictionaries of plain values, that JSON can hold:

            - `taxon`, `rank`, `taxon_key`, `depth`, `common_name`, `gbif` (the address of its page, or None),
              `probability`: the answer. Rank `root` and depth 0 mean: not sure of any kingdom.
            - `threshold` and the `rule` that it is of (`ml.specificity.rules`); `group`: the position of the
              photograph's group in the version's table of thresholds.
            - `lineage`: kingdom to the answer, and `top`: the most probable species, each with rank, name, taxon_key,
              common_name, gbif and probability.
            - `path`: likewise the candidate of each depth from 1 on, with `depth`, `score`, whether it is `answered`,
              and whether it `follows` from (lies below) the entry before it. At any other threshold t of the same rule
              the answer is the deepest entry with score >= t, or else the root; t rounded to 12 decimals, as scores
              are.
            - `stop`: where the answer stops, and why (`ml.serving.explanation.stop`).
            - `promise`: how often such answers are right (`ml.serving.promise.Promises.of`).
            - `watch`: an entry per watched taxon: its probability before `within` is applied, `lineage`, `threshold`,
              whether it raises the `alarm`, and `basis`: `taxon`, `rank` (`ml.spec.WatchedTaxon`) or `asked`, which was
              not calibrated.
            - `novelty`: how unlike all known species the photograph looks, whatever `within` says
              (`ml.specificity.novelty.Novelty.judge`); None where the version cannot tell.
            - `warnings`: `kind` (`watch`, `within`, `novelty`) and `text`, alarms first.
            - `embedding`, where it was asked for.
        """
        chosen, taxa = self.choose(looks.probabilities, plan), self._taxa
        masses = self._watched_masses(chosen.tempered, plan)
        novelty = [None] * len(masses) if self.novelty is None else self.novelty.judge(looks.embeddings)
        contradictions = self._contradictions(chosen, plan)
        answers = []
        for row, (node, group, threshold) in enumerate(
            zip(chosen.nodes.tolist(), chosen.groups.tolist(), chosen.thresholds.tolist(), strict=True)
        ):
            path, watched = taxa.path(chosen.found, row, threshold), taxa.watch(plan.watch, masses[row])
            answer: dict[str, Any] = {
                **taxa.answer(node),
                "probability": float(chosen.probabilities[row]),
                "threshold": threshold,
                "rule": plan.rule,
                "group": group,
                "lineage": taxa.lineage(node, chosen.allowed[row]),
                "path": path,
                "stop": stop(
                    path, int(self.taxonomy.depth[node]), leaf=bool(self.taxonomy.class_id[node] >= 0),
                    threshold=threshold, rule=plan.rule,
                ),
                "promise": dict(plan.promises[group]),
                "top": taxa.top(chosen.allowed[row], plan.top),
                "watch": watched,
                "novelty": novelty[row],
                "warnings": warnings(watched, contradictions[row], novelty[row]),
            }  # fmt: skip
            if plan.embedding:
                answer["embedding"] = looks.embeddings[row].tolist()
            answers.append(answer)
        return answers

    @cached_property
    def _taxa(self) -> NamedTaxa:
        return NamedTaxa(taxonomy=self.taxonomy, names=self.names, pages=self.pages)

    def _watched_masses(self, tempered: Floats, plan: Plan) -> Floats:
        """The probability of each watched taxon, whatever the answer or `within`. Shape N x taxa."""
        if not plan.watch:
            return np.empty((len(tempered), 0))
        nodes = [taxon.node for taxon in plan.watch]
        tree = self.taxonomy
        return np.round(range_sums(tempered, tree.leaf_begin[nodes], tree.leaf_end[nodes], tree), DECIMALS)

    def _contradictions(self, chosen: Chosen, plan: Plan) -> list[str | None]:
        """For each photograph what speaks against `within`."""
        if not plan.within:
            return [None] * len(chosen.nodes)
        tree = self.taxonomy
        free = self._candidates(chosen.tempered, plan, within=())
        nodes, probabilities = select(free, plan.thresholds[self.thresholds.group_of(free)])
        covered, disjoint = np.zeros(tree.class_count), np.ones(len(nodes), dtype=bool)
        for taxon in plan.within:
            begin, end = tree.leaf_begin[taxon], tree.leaf_end[taxon]
            covered[begin:end] = 1
            disjoint &= (tree.leaf_end[nodes] <= begin) | (end <= tree.leaf_begin[nodes])
        inside = chosen.tempered @ covered
        names = [tree.name[taxon] for taxon in plan.within]
        return [
            outside(names, mass, f"{tree.rank[node]} {tree.name[node]}" if node else None, probability)
            if elsewhere or mass < SMALL
            else None
            for node, probability, mass, elsewhere in zip(
                nodes.tolist(), probabilities.tolist(), inside.tolist(), disjoint.tolist(), strict=True
            )
        ]
