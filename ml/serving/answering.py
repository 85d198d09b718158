"""From the species probabilities of a calibrated model to answers for people. Loads no network."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, NamedTuple, Self

import numpy as np
import numpy.typing as npt

from ml.places.composition import compose
from ml.places.prior import PlacePrior
from ml.places.sites import CASES, Case, Sites
from ml.serving.alone import contradictions, masses
from ml.serving.cases import CalibratedCase, Placed, Setting, placed, read_cases
from ml.serving.common_names import CommonNames
from ml.serving.explanation import stop, warnings
from ml.serving.named_taxa import NamedTaxa
from ml.serving.place_effect import no_effect, place_effect
from ml.serving.promise import Judged, Promises, read_judged
from ml.serving.question import Question, QuestionError
from ml.serving.sighting import sites_of
from ml.serving.taxon_pages import gbif_pages, own_names
from ml.serving.watching import Watched, watched_taxa
from ml.spec import CalibrateResult, Rule
from ml.specificity import Candidates, candidates, restrict, select
from ml.specificity.joint_thresholds import JointThresholds
from ml.specificity.novelty import Novelty
from ml.specificity.temperature import temper
from ml.specificity.thresholds import ThresholdTable
from ml.taxonomy import ROOT, Floats, TaxonError, Taxonomy


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
    settings: Mapping[Case, Setting]
    """Thresholds and promises for the photographs of each case that the version was calibrated for."""
    rule: Rule
    """What the thresholds are the parameters of: a threshold that was asked for is a probability."""
    within: Sequence[int]
    """Node ids; empty: any taxon."""
    renormalise: bool
    top: int
    embedding: bool
    watch: Sequence[Watched]
    """The taxa to keep an eye on: the version's, then those of the question."""
    region: bool = False
    """Whether a part of the photographs was marked."""

    @property
    def thresholds(self) -> Floats:
        """The threshold of each group, where nothing is known beside the photograph. Shape G."""
        return self.settings["neither"].thresholds


class Decided(NamedTuple):
    """The answers about N photographs of one case, as nodes of the tree."""

    allowed: Floats
    nodes: npt.NDArray[np.int32]
    probabilities: Floats
    thresholds: Floats
    groups: npt.NDArray[np.intp]
    found: Candidates


class Chosen(NamedTuple):
    """The answers about N photographs, as nodes of the tree."""

    tempered: Floats
    """Calibrated probabilities of the species by the photographs alone, whatever the question. Shape N x classes."""
    allowed: Floats
    """The same with what their places say, under the question's `within`. Shape N x classes."""
    nodes: npt.NDArray[np.int32]
    """The answer; the root (0) is abstaining. Shape N."""
    probabilities: Floats
    """Its probability. Shape N."""
    thresholds: Floats
    """What the scores were compared with. Shape N."""
    groups: npt.NDArray[np.intp]
    """Each photograph's position among the groups of the table of its case. Shape N."""
    found: Candidates
    """The candidate of each depth under the rule and `within`. Shapes N x (D + 1)."""
    placed: Placed
    """The case of each photograph, and what the prior says of its place."""


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
    prior: PlacePrior | None = None
    """Which species are recorded where and when; None in versions that know no places."""
    place_cases: Mapping[Case, CalibratedCase] = field(default_factory=dict)
    """How photographs with a place are answered, and with place and date; `calibration`, `thresholds` and `judged` are
    those of photographs without."""

    @classmethod
    def read(cls, artifacts: Mapping[str, str], *, names: CommonNames | None = None) -> Self:
        """Read the artifacts of a version by their paths.

        Args:
            artifacts: `taxonomy`, `specificity`, `thresholds` and, if they are there, `novelty`, `joint`, `by_target`,
                `dataset`, `place_prior`, and of each case with a place `thresholds_CASE` and `by_target_CASE`.
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
        prior = PlacePrior.read(Path(artifacts["place_prior"])) if "place_prior" in artifacts else None
        return cls(
            taxonomy=taxonomy,
            calibration=calibration,
            thresholds=thresholds,
            names=own_names(path) | ({} if names is None else names.of(taxonomy)),
            pages=gbif_pages(path, taxonomy, dataset=artifacts.get("dataset")),
            judged={} if by_target is None else read_judged(Path(by_target), photos=calibration.evaluation_photos),
            novelty=Novelty.read(Path(artifacts["novelty"])) if "novelty" in artifacts else None,
            joint=JointThresholds.read(Path(artifacts["joint"])) if "joint" in artifacts else None,
            prior=prior,
            place_cases=read_cases(artifacts, calibration=calibration, prior=prior),
        )

    @cached_property
    def cases(self) -> Mapping[Case, CalibratedCase]:
        """How photographs are answered by what is known of them; `neither` is always there, and comes first."""
        alone = CalibratedCase(
            calibration=self.calibration, thresholds=self.thresholds, judged=self.judged, joint=self.joint
        )
        return {"neither": alone, **({} if self.prior is None else self.place_cases)}

    @property
    def promises(self) -> Promises:
        """What may be said about the targets, where nothing is known beside the photograph."""
        return self.cases["neither"].promises

    def plan(self, question: Question) -> Plan:
        """What `question` means for this model.

        Raises:
            QuestionError: `within` or `watch` names a taxon that the model does not know, or that stands for several;
                or no threshold of the model reaches the target, for what the question says of place and date.
        """
        try:
            within = [self.taxonomy.find(taxon) for taxon in question.within]
            watch = watched_taxa(question.watch, self.taxonomy, own=self.calibration.watch)
        except TaxonError as error:
            raise QuestionError(str(error)) from error
        beyond = {case: own.reaches(question.target) for case, own in self.cases.items()}
        # What a photograph's own EXIF says may bring it into any case.
        if all(beyond.values()) if question.exif else any(beyond.values()):
            # Only then it matters what the place tells: looking places up for the first time takes a moment.
            case = placed(sites_of([question.sighting]), 1, prior=self.prior, calibrated=self.cases).case(0)
            if (reason := beyond[case]) is not None:
                raise QuestionError(reason)
        names = " or ".join(self.taxonomy.name[node] for node in within)
        asked = question.threshold is not None
        return Plan(
            target=None if asked else question.target or self.calibration.target,
            settings={case: own.setting(question, within=names) for case, own in self.cases.items()},
            rule="threshold" if asked else self.thresholds.rule,
            within=within, renormalise=question.renormalise, top=question.top, embedding=question.embedding,
            watch=watch, region=question.region is not None,
        )  # fmt: skip

    def choose(self, probabilities: Floats, plan: Plan, sites: Sites | None = None) -> Chosen:
        """The answer about each photograph, without words.

        Each is answered in its own case: by the temperature and the thresholds of photographs of which as much is
        known. A place that is far from everything that the version knows is none.

        Args:
            probabilities: Of species, before any temperature. Shape N x classes.
            plan: What is asked.
            sites: Where and when the N photographs were taken; None: nothing is known of any.
        """
        tempered = temper(probabilities, self.calibration.temperature)
        where = placed(sites, len(probabilities), prior=self.prior, calibrated=self.cases)
        if where.look is None or not where.cases.any():
            return Chosen(tempered, *self._decided("neither", tempered, plan), where)
        parts, order = [], []
        for position, case in enumerate(CASES):
            rows = np.flatnonzero(where.cases == position)
            if not len(rows):
                continue
            own, known = self.cases[case], tempered[rows]
            if case != "neither":
                composed = compose(probabilities[rows], where.look.rows(rows), exponent=own.exponent)
                known = temper(composed, own.calibration.temperature)
            parts.append(self._decided(case, known, plan))
            order.append(rows)
        return Chosen(tempered, *_in_order(parts, np.argsort(np.concatenate(order))), where)

    def _decided(self, case: Case, tempered: Floats, plan: Plan) -> Decided:
        """The answers about photographs of one case, by their calibrated probabilities."""
        table = self.cases[case].thresholds
        found = self._candidates(tempered, plan, within=plan.within)
        groups = table.group_of(found)
        thresholds = plan.settings[case].thresholds[groups]
        return Decided(self._allowed(tempered, plan), *select(found, thresholds), thresholds, groups, found)

    def _allowed(self, tempered: Floats, plan: Plan) -> Floats:
        if not plan.within:
            return tempered
        return restrict(tempered, self.taxonomy, plan.within, renormalise=plan.renormalise)

    def _candidates(self, tempered: Floats, plan: Plan, *, within: Sequence[int]) -> Candidates:
        return candidates(
            tempered, self.taxonomy, within or None, rule=plan.rule, reward=self.thresholds.reward,
            renormalise=plan.renormalise,
        )  # fmt: skip

    def answers(self, looks: Looks, plan: Plan, sites: Sites | None = None) -> list[dict[str, Any]]:
        """One answer for each photograph.

        Args:
            looks: What the network makes of the photographs.
            plan: What is asked.
            sites: Where and when they were taken, see `choose`.

        Returns:
            Dictionaries of plain values, that JSON can hold:

            - `taxon`, `rank`, `taxon_key`, `depth`, `common_name`, `gbif` (the address of its page, or None),
              `probability`: the answer. Rank `root` and depth 0 mean: not sure of any kingdom.
            - `threshold` and the `rule` that it is of (`ml.specificity.rules`); `group`: the position of the
              photograph's group in the version's table of thresholds for its case (`prior`).
            - `lineage`: kingdom to the answer, and `top`: the most probable species, each with rank, name, taxon_key,
              common_name, gbif and probability; those of `top` with `probability_alone`, too: before the prior.
            - `path`: likewise the candidate of each depth from 1 on, with `depth`, `score`, whether it is `answered`,
              and whether it `follows` from (lies below) the entry before it. At any other threshold t of the same rule
              the answer is the deepest entry with score >= t, or else the root; t rounded to 12 decimals, as scores
              are.
            - `stop`: where the answer stops, and why (`ml.serving.explanation.stop`).
            - `promise`: how often such answers are right (`ml.serving.promise.Promises.of`), in the photograph's case.
            - `watch`: an entry per watched taxon: its probability by the photograph alone, before place and `within`
              are applied, `lineage`, `threshold`, whether it raises the `alarm`, and `basis`: `taxon`, `rank`
              (`ml.spec.WatchedTaxon`) or `asked`, which was not calibrated.
            - `novelty`: how unlike all known species the photograph looks, whatever place and `within` say
              (`ml.specificity.novelty.Novelty.judge`); None where the version cannot tell.
            - `prior`: what place and season did; None where the version knows no places. `case`: `neither`, `place` or
              `place_and_date`; `used`: whether the place told anything; `place` ([latitude, longitude]) and `day` of
              the year, as given; `nearest_km`: the distance to the nearest occurrence that the version knows; `text`:
              one sentence; `alone`: `taxon`, `rank`, `probability` and `common_name` of what would have been answered
              without a place, and `changed`: whether that is another taxon; `occurrences`: how many of those around
              the place are of species of the answer.
            - `warnings`: `kind` (`watch`, `within`, `place`, `novelty`) and `text`, alarms first.
            - `embedding`, where it was asked for.
        """
        return self.told(self.choose(looks.probabilities, plan, sites), looks.embeddings, plan, sites)

    def told(
        self, chosen: Chosen, embeddings: npt.NDArray[np.float32], plan: Plan, sites: Sites | None = None
    ) -> list[dict[str, Any]]:
        """What `answers` gives, about photographs whose answers were chosen; arguments are those of `choose`."""
        taxa = self._taxa
        watched_masses = masses(chosen.tempered, [taxon.node for taxon in plan.watch], self.taxonomy)
        novelty = [None] * len(chosen.nodes) if self.novelty is None else self.novelty.judge(embeddings)
        doubts, alone = self._doubts(chosen, plan), self._alone(chosen, plan)
        answers = []
        for row, (node, group, threshold) in enumerate(
            zip(chosen.nodes.tolist(), chosen.groups.tolist(), chosen.thresholds.tolist(), strict=True)
        ):
            path, watched = taxa.path(chosen.found, row, threshold), taxa.watch(plan.watch, watched_masses[row])
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
                "promise": dict(plan.settings[chosen.placed.case(row)].promises[group]),
                "top": taxa.top(chosen.allowed[row], plan.top, alone=alone.allowed[row]),
                "watch": watched,
                "novelty": novelty[row],
            }  # fmt: skip
            prior = None if self.prior is None else self._effect(chosen, alone, row, sites=sites)
            nowhere = no_effect(prior, sites, row)
            answer |= {"prior": prior, "warnings": warnings(watched, doubts[row], novelty[row], nowhere=nowhere)}
            if plan.embedding:
                answer["embedding"] = embeddings[row].tolist()
            answers.append(answer)
        return answers

    @cached_property
    def _taxa(self) -> NamedTaxa:
        return NamedTaxa(taxonomy=self.taxonomy, names=self.names, pages=self.pages)

    def _alone(self, chosen: Chosen, plan: Plan) -> Decided:
        """What would be answered if no place were known."""
        if chosen.placed.cases.any():
            return self._decided("neither", chosen.tempered, plan)
        return Decided(*chosen[1:-1])

    def _doubts(self, chosen: Chosen, plan: Plan) -> list[str | None]:
        """For each photograph what speaks against `within`."""
        if not plan.within:
            return [None] * len(chosen.nodes)
        free = self._candidates(chosen.tempered, plan, within=())
        answers = select(free, plan.thresholds[self.thresholds.group_of(free)])
        return contradictions(chosen.tempered, answers, plan.within, self.taxonomy)

    def _effect(self, chosen: Chosen, alone: Decided, row: int, *, sites: Sites | None) -> dict[str, Any]:
        """What place and season did to one answer."""
        tree, node = self.taxonomy, int(chosen.nodes[row])
        before = self._taxa.answer(int(alone.nodes[row])) | {"probability": float(alone.probabilities[row])}
        best = [
            self._taxa.species(int(leaves[row].argmax()), chosen.allowed[row], alone=alone.allowed[row])
            for leaves in (chosen.allowed, alone.allowed)
        ]
        leaves = (0, 0) if node == ROOT else (int(tree.leaf_begin[node]), int(tree.leaf_end[node]))
        return place_effect(
            sites,
            chosen.placed,
            row,
            alone=before,
            changed=node != int(alone.nodes[row]),
            leaves=leaves,
            best=best,
            cases=list(self.cases),
        )


def _in_order(parts: Sequence[Decided], order: npt.NDArray[np.intp]) -> Decided:
    """Photographs of several cases, one case after the other, in the order in which they were."""

    def whole(column: str) -> Any:  # noqa: ANN401 (an array)
        return np.concatenate([getattr(part, column) for part in parts])[order]

    arrays = {name: whole(name) for name in Decided._fields if name != "found"}
    found = zip(*(part.found for part in parts), strict=True)
    return Decided(**arrays, found=Candidates(*(np.concatenate(column)[order] for column in found)))
