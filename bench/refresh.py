"""A refresh against training from nothing, on real photographs: a tenth of them come new, some with new species.

Of the training photographs of each seed a tenth is held back, all of every twentieth species among them. A champion is
trained on the others from nothing. Then all photographs are there: the refresh goes on from the champion for a third of
the steps, and another network is trained from nothing. Both are judged on the same validation photographs.
"""

import hashlib
import json
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from numpy.typing import NDArray

from bench.experiments import dataset
from bench.experiments.dataset import Dataset
from bench.harness import PHOTOS, Goal, Report, UnavailableError
from ml.child.pipes import Reporter
from ml.spec import PACKAGE_BACKBONE, RESULT_FILE, NetworkName, TrainResult, TrainSpec, WarmStart
from ml.training.cross_validation import FOLDS
from ml.training.recipes import Recipe, recipe_of
from ml.training.refreshing import refreshed

SEEDS: Final = (1, 2, 3)
HELD_BACK: Final = 0.1
"""Share of the training photographs that come new."""
NEW_SPECIES: Final = 20
"""One species of so many is wholly new."""
IMAGE_SIZE: Final = 96
PACKED: Final = 224
"""The image size that the photographs are kept for; they are larger than the network's input."""
RECIPES: Final = ("sample", "frozen")
NETWORK: Final[NetworkName] = "baseline_matched"
RESAMPLINGS: Final = 10_000


@dataclass(frozen=True, kw_only=True)
class Growth:
    """The tables of one seed before its growth."""

    after: Dataset
    folder: Path
    """`split.parquet`, `taxonomy.parquet` and the `class_map.parquet` that leads to those of `after`."""
    new_species: frozenset[int]
    """Class ids, after the growth, of species that were not there before."""


def run(*, folder: Path, runs: int) -> Report:
    """Train what is missing of `runs` seeds, and compare.

    Raises:
        UnavailableError: the photographs are not on this machine.
    """
    seeds = SEEDS[:runs]
    folder.mkdir(parents=True, exist_ok=True)
    if set(seeds) - {each.seed for each in dataset.read(folder)}:
        if not PHOTOS.exists():
            raise UnavailableError(f"the photographs {PHOTOS} are not there")
        dataset.prepare(photos=PHOTOS, folder=folder, seeds=list(seeds), image_size=PACKED)
    datasets = [each for each in dataset.read(folder) if each.seed in seeds]
    growths = [grown(each, folder=folder / f"before-{each.seed}") for each in datasets]
    rows: list[dict[str, object]] = []
    goals: list[Goal] = []
    notes: list[str] = []
    for recipe in RECIPES:
        trained = [Trained.of(growth, recipe=recipe, folder=folder) for growth in growths]
        rows += [row for each in trained for row in each.rows()]
        goals += _goals(recipe, trained)
        notes.append(_told(recipe, trained))
    first = pq.read_metadata(growths[0].folder / "split.parquet").num_rows
    last = pq.read_metadata(growths[0].after.table("split")).num_rows
    return Report(
        part="refresh",
        title=(
            f"{first:,} photographs grow to {last:,} (seed {seeds[0]}), with {len(growths[0].new_species)} new "
            f"species; {PACKAGE_BACKBONE} at {IMAGE_SIZE} pixels, one view."
        ),
        rows=rows,
        goals=goals,
        notes=[
            *notes,
            "`known`: photographs of species that the champion knows, told among all species; `new`: the others.",
            "Intervals are a paired bootstrap over the photographs of each seed.",
        ],
    )


def _goals(recipe: str, trained: Sequence["Trained"]) -> list[Goal]:
    mean = float(np.mean([each.differences().mean() for each in trained]))
    goals = [
        Goal(
            name=f"{recipe}: points of top-1 on known species, refresh less from nothing",
            value=100 * mean, bound=0.0, kind="at least",
        )
    ]  # fmt: skip
    share = max(each.refresh.steps / max(1, each.nothing.steps) for each in trained)
    name = f"{recipe}: steps of the refresh / of training from nothing"
    if not share:
        whole, name = recipe_of(recipe, NETWORK), f"{recipe}: iterations of all fits, refresh / from nothing"
        share = iterations(refreshed(whole), folds=1) / iterations(whole, folds=FOLDS)
    return [*goals, Goal(name=name, value=share, bound=1 / 3, kind="at most")]


def iterations(recipe: Recipe, *, folds: int) -> int:
    """Of all fits of a head, at most: for each strength of the penalty one a fold, and the last."""
    assert recipe.probe is not None  # noqa: S101 (a recipe that fits a head)
    values = recipe.probe.weight_decay
    return recipe.probe.iterations * (1 + (folds * len(values) if isinstance(values, tuple) else 0))


def _told(recipe: str, trained: Sequence["Trained"]) -> str:
    low, high = interval([each.differences() for each in trained])
    mean = float(np.mean([each.differences().mean() for each in trained]))
    better = float(np.mean([each.refresh.right[each.known].mean() - each.champion.right.mean() for each in trained]))
    fresh = {
        name: np.concatenate([getattr(each, name).right[~each.known] for each in trained])
        for name in ("refresh", "nothing")
    }
    right = {name: 100 * photos.mean() for name, photos in fresh.items()}
    return (
        f"{recipe}, {len(trained)} seeds: on known species the refresh is {100 * mean:+.2f} points from training from "
        f"nothing (95 % interval {100 * low:+.2f} to {100 * high:+.2f}) and {100 * better:+.2f} from its champion. Of "
        f"{len(fresh['refresh'])} photographs of new species it tells {right['refresh']:.1f} %, training from nothing "
        f"{right['nothing']:.1f} %."
    )


def grown(after: Dataset, *, folder: Path) -> Growth:
    """Hold back a tenth of the training photographs, and write the tables of what was there before."""
    from pipeline.dataset.crosswalk import read_crosswalk  # noqa: PLC0415 (slow imports)
    from pipeline.query import to_parquet  # noqa: PLC0415
    from pipeline.tables import CONTRACTS  # noqa: PLC0415

    split, taxonomy = pq.read_table(after.table("split")), pq.read_table(after.table("taxonomy"))
    generator = np.random.default_rng(after.seed)
    classes = np.unique(split["class_id"].to_numpy())
    new_species = frozenset(generator.choice(classes, size=len(classes) // NEW_SPECIES, replace=False).tolist())
    held_back = _held_back(split, new_species=new_species, generator=generator)
    old_taxonomy, renumbered = without_species(taxonomy, species=new_species)
    folder.mkdir(parents=True, exist_ok=True)
    pq.write_table(old_taxonomy, folder / "taxonomy.parquet")
    kept = split.filter(pa.array(~held_back))
    labels = pa.array(
        [renumbered[label] for label in kept["class_id"].to_pylist()], split.schema.field("class_id").type
    )
    pq.write_table(kept.set_column(kept.column_names.index("class_id"), "class_id", labels), folder / "split.parquet")
    empty = CONTRACTS["clean_occurrences"].schema.empty_table()
    observations = pa.schema([(name, pa.string()) for name in ("occurrence_key", "checklist_key", "species_key")])
    to_parquet(
        "class_map",
        inputs={
            "old_taxonomy": old_taxonomy,
            "old_observations": observations.empty_table(),
            "taxonomy": taxonomy,
            "clean_occurrences": empty,
            "crosswalk": read_crosswalk(None),
        },
        output=folder / "class_map.parquet",
    )
    return Growth(after=after, folder=folder, new_species=new_species)


def _held_back(split: pa.Table, *, new_species: frozenset[int], generator: np.random.Generator) -> NDArray[np.bool_]:
    """Which rows come new: those of new species, and by chance others of the training side up to the tenth."""
    labels, training = split["class_id"].to_numpy(), pc.equal(split["split"], "train").to_numpy(zero_copy_only=False)
    found = np.isin(labels, list(new_species))
    others = np.flatnonzero(training & ~found)
    generator.shuffle(others)
    left = {label: int(np.sum(labels[others] == label)) for label in np.unique(labels[others]).tolist()}
    wanted = int(HELD_BACK * training.sum()) - int((found & training).sum())
    for row in others.tolist():
        if wanted <= 0:
            break
        if left[labels[row]] > 1:
            left[labels[row]] -= 1
            found[row] = True
            wanted -= 1
    return found


def without_species(taxonomy: pa.Table, *, species: frozenset[int]) -> tuple[pa.Table, dict[int, int]]:
    """The tree without some species and the taxa that only they were below, and the new class id of each other one."""
    rows = taxonomy.sort_by("node_id").to_pylist()
    empty = {row["node_id"] for row in rows if set(range(row["leaf_begin"], row["leaf_end"])) <= species}
    kept = [row for row in rows if row["node_id"] not in empty]
    node_of = {row["node_id"]: at for at, row in enumerate(kept)}
    remaining = [row["class_id"] for row in kept if row["class_id"] is not None]
    class_of = {label: at for at, label in enumerate(remaining)}
    changed = [
        row
        | {
            "node_id": node_of[row["node_id"]],
            "parent_id": node_of.get(row["parent_id"]),
            "class_id": class_of.get(row["class_id"]),
            "leaf_begin": int(np.searchsorted(remaining, row["leaf_begin"])),
            "leaf_end": int(np.searchsorted(remaining, row["leaf_end"])),
        }
        for row in kept
    ]
    return pa.Table.from_pylist(changed, schema=taxonomy.schema), class_of


@dataclass(frozen=True, kw_only=True)
class Network:
    """One trained network, on the validation photographs after the growth."""

    right: NDArray[np.bool_]
    steps: int

    @classmethod
    def of(cls, result: TrainResult) -> "Network":
        """What a training came to."""
        table = pq.read_table(result.predictions, columns=["photo_id", "class_id", "predicted_class_id"])
        table = table.sort_by("photo_id")
        history = pq.read_table(result.history)["step"].to_numpy()
        return cls(
            right=table["class_id"].to_numpy() == table["predicted_class_id"].to_numpy(),
            steps=int(history.max(initial=0)),
        )


@dataclass(frozen=True, kw_only=True)
class Trained:
    """The networks of one seed and recipe."""

    growth: Growth
    recipe: str
    champion: Network
    refresh: Network
    nothing: Network
    known: NDArray[np.bool_]
    """Which validation photographs are of species that the champion knew."""

    @classmethod
    def of(cls, growth: Growth, *, recipe: str, folder: Path) -> "Trained":
        """Train the champion, the refresh, and a network from nothing, as far as they are not there."""
        champion = train(growth, before=True, recipe=recipe, folder=folder, start=None)
        start_from = WarmStart(
            network=champion.network,
            weights=champion.weights,
            taxonomy=growth.folder / "taxonomy.parquet",
            class_map=growth.folder / "class_map.parquet",
        )
        refresh = train(growth, before=False, recipe=recipe, folder=folder, start=start_from)
        nothing = train(growth, before=False, recipe=recipe, folder=folder, start=None)
        truth = pq.read_table(nothing.predictions, columns=["photo_id", "class_id"]).sort_by("photo_id")
        return cls(
            growth=growth,
            recipe=recipe,
            champion=Network.of(champion),
            refresh=Network.of(refresh),
            nothing=Network.of(nothing),
            known=~np.isin(truth["class_id"].to_numpy(), list(growth.new_species)),
        )

    def differences(self) -> NDArray[np.float64]:
        """Right answers of the refresh less those of the network from nothing, photographs of known species."""
        return self.refresh.right[self.known].astype(float) - self.nothing.right[self.known]

    def rows(self) -> list[dict[str, object]]:
        """A row for each network."""
        found: list[dict[str, object]] = []
        for name in ("champion", "refresh", "nothing"):
            network: Network = getattr(self, name)
            known = network.right if name == "champion" else network.right[self.known]
            new = "" if name == "champion" else f"{100 * network.right[~self.known].mean():.1f}"
            found.append(
                {
                    "recipe": self.recipe, "seed": self.growth.after.seed, "network": name, "steps": network.steps,
                    "known, %": f"{100 * known.mean():.1f}", "new, %": new,
                }
            )  # fmt: skip
        return found


def train(growth: Growth, *, before: bool, recipe: str, folder: Path, start: WarmStart | None) -> TrainResult:
    """Train one network, or read what it came to before."""
    from ml.devices import joined  # noqa: PLC0415 (torch)
    from ml.training import train as training  # noqa: PLC0415

    tables = growth.folder if before else growth.after.folder
    decides = [
        recipe,
        growth.after.version,
        growth.after.seed,
        IMAGE_SIZE,
        before,
        start and start.model_dump(mode="json"),
    ]
    spec_hash = hashlib.sha256(json.dumps(decides).encode()).hexdigest()[:16]
    output = folder / "models" / spec_hash
    spec = TrainSpec(
        network=NETWORK, split=tables / "split.parquet", taxonomy=tables / "taxonomy.parquet",
        photos=growth.after.index, output=output, spec_hash=spec_hash, backbone=PACKAGE_BACKBONE, weights="package",
        recipe=recipe, image_size=IMAGE_SIZE, features=folder / "features", workers=1, seed=growth.after.seed,
        warm_start=start,
    )  # fmt: skip
    output.mkdir(parents=True, exist_ok=True)

    def note(line: str) -> None:
        with (output / "log.txt").open("a", encoding="utf-8") as stream:
            stream.write(line + "\n")

    with joined() as device:
        training.run(spec, device=device, reporter=Reporter(note), stop=threading.Event())
    return TrainResult.read(output / RESULT_FILE)


def interval(differences: Sequence[NDArray[np.float64]]) -> tuple[float, float]:
    """The 95 % interval of the mean over seeds, by bootstrap over each seed's photographs."""
    generator = np.random.default_rng(2026)
    means = np.zeros(RESAMPLINGS)
    for each in differences:
        # Photographs of one value are alike: how many of each value are drawn is all that counts.
        values, counts = np.unique(each, return_counts=True)
        drawn = generator.multinomial(len(each), counts / len(each), size=RESAMPLINGS)
        means += drawn @ values / len(each) / len(differences)
    low, high = np.quantile(means, [0.025, 0.975])
    return float(low), float(high)
