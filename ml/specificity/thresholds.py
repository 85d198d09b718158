"""Thresholds per target accuracy and group: learnt from one half of the labelled photographs, judged on the other.

A photograph's group is what the network itself takes it for, its most probable kingdom or class: the true one is not
known when a threshold is needed. So the target holds within every group of photographs that are taken for the same
taxon. The table of all thresholds travels with the model; it is looked up without interpolation.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self, cast

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq

from ml.errors import DataError
from ml.evaluation.reliability import clopper_pearson
from ml.files import replacing
from ml.spec import OperatingPoint, Reward, Rule, SpecificityOptions
from ml.specificity.answers import Answers, Candidates, curve_of, select
from ml.specificity.guarantee import effective_number, guaranteed_threshold, one_per_group
from ml.specificity.operating_points import DECIMALS, OperatingCurve
from ml.specificity.rules import check_rule, information_bits
from ml.specificity.threshold_search import choose_threshold
from ml.specificity.tree_sums import SpecificityError
from ml.taxonomy import ROOT, Floats, Integers, Taxonomy

STANDARD_TARGETS = (0.8, 0.9, 0.95, 0.99)
"""Operating points that are reported for every network."""
TABULATED_TARGETS = (*(round(0.5 + step / 100, 2) for step in range(50)), 0.995, 0.999)
"""Targets that a model can be asked for; one in between is answered with the next higher."""


@dataclass(frozen=True, eq=False, kw_only=True)
class ThresholdTable:
    """K targets x G groups; the first group is the root: every photograph that is in no other."""

    targets: Floats
    """Accuracies, rising. Shape K."""
    groups: Integers
    """Node ids, all of one depth but for the root, which comes first. Shape G."""
    group_depth: int
    """Depth of the groups: a photograph's group is its most probable node there; 0 without groups."""
    thresholds: Floats
    """Shape K x G."""
    reachable: npt.NDArray[np.bool_]
    """Whether the target is met on the photographs that chose (with a guarantee: is promised). Shape K x G."""
    rule: Rule = "threshold"
    """What the thresholds are the parameters of, see `ml.specificity.rules`."""
    reward: Reward = "depth"
    """Of the rule `reward`."""

    def position(self, target: float) -> int:
        """The entry of the lowest tabulated target that is at least `target`, reached or not; K where none is."""
        return int(np.searchsorted(self.targets, round(target, DECIMALS)))

    def row(self, target: float) -> int:
        """The entry of the lowest tabulated target that is at least `target`.

        Raises:
            ValueError: no tabulated target is so high, or no threshold reaches it in any group.
        """
        position = self.position(target)
        if position < len(self.targets) and self.reachable[position].any():
            return position
        usable = self.targets[self.reachable.any(axis=1)]
        most = f"the most is {usable[-1]:.1%}" if len(usable) else "nor any other"
        raise ValueError(f"no threshold of this model reaches an accuracy of {target:.1%}; {most}")

    def of_groups(self, row: int) -> Floats:
        """The threshold of each group in one row. Shape G."""
        thresholds: Floats = self.thresholds[row]
        return thresholds

    def group_of(self, found: Candidates) -> npt.NDArray[np.intp]:
        """Each photograph's position among the groups. Shape N."""
        nodes = found.node_ids[:, self.group_depth]
        same = nodes[:, None] == self.groups[None, 1:]
        return np.where(same.any(axis=1), same.argmax(axis=1) + 1, 0) if same.size else np.zeros(len(nodes), dtype=int)

    def rows(self, *, keys: Mapping[int, str | None]) -> list[dict[str, object]]:
        """A row per target and group, as `thresholds.parquet` has them; `keys` are the groups' taxon keys."""
        return [
            {
                "target": float(target),
                "group_node_id": int(node),
                "group_taxon_key": keys[int(node)],
                "threshold": float(self.thresholds[row, column]),
                "reachable": bool(self.reachable[row, column]),
            }
            for row, target in enumerate(self.targets)
            for column, node in enumerate(self.groups)
        ]

    @property
    def facts(self) -> dict[str, str]:
        """What the metadata of a file say beside the rows."""
        return {"group_depth": str(self.group_depth), "rule": self.rule, "reward": self.reward}

    def write(self, path: Path, *, keys: Mapping[int, str | None]) -> Path:
        """Write `thresholds.parquet` atomically, a row per target and group; `keys` are the groups' taxon keys."""
        with replacing(path) as partial:
            table = pa.Table.from_pylist(self.rows(keys=keys)).replace_schema_metadata(self.facts)
            pq.write_table(table, partial, compression="zstd")
        return path

    @classmethod
    def read(cls, path: Path) -> Self:
        """Read what `write` wrote; a file that names no rule is of the rule `threshold`.

        Raises:
            DataError: the file is missing, damaged, or not a table of thresholds.
        """
        try:
            columns, facts = read_columns(path)
            return cls.of_columns(columns, facts)
        except (OSError, KeyError, ValueError, pa.ArrowException) as error:
            raise DataError(f"{path} is not a table of thresholds ({error}); run the calibration again") from error

    @classmethod
    def of_columns(cls, columns: Mapping[str, Sequence[Any]], facts: Mapping[bytes, bytes]) -> Self:
        """The thresholds in the rows that `rows` made, by column, with `facts` as Parquet keeps them.

        Raises:
            KeyError: a column or a fact is missing.
            ValueError: there is not a row for each target and group, or the rule is unknown.
        """
        rule, reward = facts.get(b"rule", b"threshold").decode(), facts.get(b"reward", b"depth").decode()
        check_rule(rule, reward)
        targets, groups = np.unique(columns["target"]), np.unique(columns["group_node_id"])
        shape = (len(targets), len(groups))
        return cls(
            targets=targets,
            groups=groups.astype(np.int32),
            group_depth=int(facts[b"group_depth"]),
            thresholds=np.array(columns["threshold"], np.float64).reshape(shape),
            reachable=np.array(columns["reachable"], np.bool_).reshape(shape),
            rule=cast("Rule", rule),
            reward=cast("Reward", reward),
        )


def read_columns(path: Path) -> tuple[dict[str, list[Any]], dict[bytes, bytes]]:
    """A small table by column, and what its metadata say.

    `pyarrow.parquet.read_table`, and PyArrow's way to NumPy, would load pandas where it is installed.

    Raises:
        OSError: the file is missing.
        pyarrow.ArrowException: it is damaged.
    """
    with pq.ParquetFile(path) as file:
        table = file.read()
    return table.to_pydict(), table.schema.metadata or {}


@dataclass(frozen=True, eq=False, kw_only=True)
class Half:
    """Photographs with their labels: one half of the validation side."""

    found: Candidates
    """The candidate of each depth under the rule. Shapes N x (D + 1)."""
    labels: Integers
    """True class ids. Shape N."""
    observations: npt.NDArray[np.object_] | None = None
    """Which observation each photograph belongs to. Shape N; None: every photograph stands for itself."""

    def rows(self, rows: npt.NDArray[np.integer] | npt.NDArray[np.bool_]) -> "Half":
        """Some of the photographs."""
        observations = None if self.observations is None else self.observations[rows]
        return Half(found=self.found.rows(rows), labels=self.labels[rows], observations=observations)

    def curve(self, taxonomy: Taxonomy) -> OperatingCurve:
        """What each threshold does on this half."""
        return curve_of(self.found, self.labels, taxonomy)


def learn(half: Half, taxonomy: Taxonomy, *, targets: Sequence[float], options: SpecificityOptions) -> ThresholdTable:
    """Choose a threshold for every target and group.

    A group needs `options.group_photos` photographs for a threshold of its own; the others share one. Where the others
    together are fewer, too, they get the strictest threshold of all, and no promise.

    Args:
        half: The photographs that choose, with the candidates of the rule `options.rule`.
        taxonomy: Their tree.
        targets: Accuracies.
        options: Method, reward, guarantee, groups and seed; `options.target` has no part in it.

    Raises:
        SpecificityError: the tree has no such groups, or a target is outside (0, 1).
    """
    wanted = np.array(sorted(set(targets)))
    half = choosers(half, options)
    depth = depth_of_groups(options, taxonomy)
    nodes = half.found.node_ids[:, depth]
    groups = groups_of(half.found, depth=depth, least=options.group_photos)
    rest = ~np.isin(nodes, groups[1:])
    few = len(groups) > 1 and int(rest.sum()) < options.group_photos
    members = [np.ones_like(rest) if few else rest, *(nodes == node for node in groups[1:])]
    columns = [_choose(half.rows(rows), taxonomy, wanted, options, groups=len(groups)) for rows in members]
    thresholds = np.stack([column for column, _ in columns], axis=1)
    reachable = np.stack([column for _, column in columns], axis=1)
    if few:
        # Too little is known of the others to choose for them: the strictest of all thresholds is on the safe side.
        thresholds[:, 0], reachable[:, 0] = thresholds.max(axis=1), reachable.all(axis=1)
    return ThresholdTable(
        targets=wanted, groups=groups, group_depth=depth, thresholds=thresholds, reachable=reachable,
        rule=options.rule, reward=options.reward,
    )  # fmt: skip


def depth_of_groups(options: SpecificityOptions, taxonomy: Taxonomy) -> int:
    """The depth of the taxa that are groups, 0 without groups; a rank's depth depends on how many ranks a tree has.

    Raises:
        SpecificityError: the tree has no taxa of the rank, or has them at several depths.
    """
    rank = options.groups
    if rank == "none":
        return 0
    depths = sorted({int(depth) for depth, own in zip(taxonomy.depth, taxonomy.rank, strict=True) if own == rank})
    if not depths:
        raise SpecificityError(f"the taxonomy has no {rank}; choose other groups")
    if len(depths) > 1:
        raise SpecificityError(
            f"the taxonomy has {rank} at the depths {', '.join(map(str, depths))}; choose other groups"
        )
    return depths[0]


def choosers(half: Half, options: SpecificityOptions) -> Half:
    """The photographs that choose: with a guarantee one of each observation, as they must be independent."""
    if options.delta is None or half.observations is None:
        return half
    return half.rows(one_per_group(half.observations, seed=options.seed))


def promises(table: ThresholdTable, half: Half, options: SpecificityOptions) -> bool:
    """Whether the thresholds that `learn` chose from `half` are promised for every photograph, those of no group too.

    Others that are too few have the strictest threshold of the groups, which nothing was proved about.
    """
    if options.delta is None or len(table.groups) == 1:
        return options.delta is not None
    others = int((table.group_of(choosers(half, options).found) == 0).sum())
    return others == 0 or others >= options.group_photos


def groups_of(found: Candidates, *, depth: int, least: int) -> Integers:
    """The root, then the nodes of a depth that at least `least` photographs are taken for, in preorder."""
    if depth == ROOT:
        return np.zeros(1, dtype=np.int32)
    nodes, photos = np.unique(found.node_ids[:, depth], return_counts=True)
    # Photographs that end above the depth, in a shallow leaf, have a node of no group.
    return np.concatenate([[ROOT], nodes[photos >= least]]).astype(np.int32)


def judge(
    answers: Answers,
    labels: Integers,
    taxonomy: Taxonomy,
    *,
    target: float,
    threshold: float,
    observations: npt.NDArray[np.object_] | None = None,
    reachable: bool = True,
    guaranteed: bool = False,
) -> OperatingPoint:
    """Compare the answers that thresholds for `target` gave with the truth.

    Photographs of one observation are alike: the interval of the accuracy is as wide as that of fewer independent ones
    (`ml.specificity.guarantee.effective_number`).

    Args:
        answers: Of N photographs, not 0.
        labels: True class ids. Shape N.
        taxonomy: Their tree.
        target: Accuracy wanted.
        threshold: Passed on.
        observations: Which observation each photograph belongs to; None: each is one. Shape N.
        reachable: Passed on.
        guaranteed: Passed on.
    """
    right = taxonomy.contains(answers.node_ids, labels)
    independent = effective_number(observations, photos=len(right))
    low, high = clopper_pearson(int(right.sum()) * independent / len(right), independent)
    return OperatingPoint(
        target=target,
        threshold=threshold,
        reachable=reachable,
        accuracy=float(right.mean()),
        accuracy_low=low,
        accuracy_high=high,
        depth=float(taxonomy.depth[answers.node_ids].mean()),
        abstention=float((answers.node_ids == ROOT).mean()),
        guaranteed=guaranteed,
        information=float(information_bits(taxonomy)[answers.node_ids].mean()),
        photos=len(right),
    )


def judge_table(
    table: ThresholdTable, half: Half, taxonomy: Taxonomy, *, target: float, guaranteed: bool = False
) -> OperatingPoint:
    """What the thresholds of a target are worth on `half`, which should not have chosen them."""
    position = table.position(target)
    thresholds = table.thresholds[position]
    return judge(
        select(half.found, thresholds[table.group_of(half.found)]), half.labels, taxonomy, target=target,
        threshold=float(thresholds[0]), observations=half.observations,
        reachable=bool(table.reachable[position].all()), guaranteed=guaranteed,
    )  # fmt: skip


def _choose(
    half: Half, taxonomy: Taxonomy, targets: Floats, options: SpecificityOptions, *, groups: int
) -> tuple[Floats, npt.NDArray[np.bool_]]:
    """Thresholds of one group, and whether they reach their targets."""
    curve = half.curve(taxonomy)
    thresholds, reachable = np.ones(len(targets)), np.zeros(len(targets), dtype=bool)
    for position, target in enumerate(targets.tolist()):
        if options.delta is not None:
            promised = guaranteed_threshold(curve, target=target, delta=options.delta / groups)
            if promised is not None:
                thresholds[position], reachable[position] = promised, True
            continue
        chosen = choose_threshold(
            half.found, half.labels, taxonomy, target=target, method=options.method, reward=options.reward,
            seed=options.seed, curve=curve,
        )  # fmt: skip
        thresholds[position], reachable[position] = chosen.threshold, chosen.reachable
    return thresholds, reachable
