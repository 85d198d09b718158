"""The prior of place and season at a million occurrences of 20,000 species, and what it is worth on real photographs.

Every contestant is a process of its own on the same drawn world (`bench.places_world`). What the prior is worth is
measured by `bench.places_quality`.
"""

import argparse
import functools
import json
import statistics
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Final

import numpy as np
import numpy.typing as npt

from bench.harness import Goal, Report, Sample, UnavailableError, alternate, measure, median_and_spread
from bench.places_world import drawn, sites_of
from ml.places.choice import choose
from ml.places.composition import compose
from ml.places.prior import EARTH_KM, PRIOR_FILE, PlacePrior, PriorSettings, Records
from ml.places.records import condensed
from ml.taxonomy import Floats

OCCURRENCES: Final = 1_000_000
SPECIES: Final = 20_000
QUERIES: Final = 10_000
CHOOSING: Final = 2_000
NEIGHBOURS: Final = PriorSettings().neighbours
DENSITIES: Final = 100
"""Species whose kernel density is asked for every query by scikit-learn; the cost is the same for each."""
BLOCK: Final = 100


def run(*, folder: Path, runs: int) -> Report:
    """Draw the world, measure all contestants on it, then what the prior is worth."""
    from bench import places_quality  # noqa: PLC0415 (the memory of what is measured is without scikit-learn)

    folder.mkdir(parents=True, exist_ok=True)
    training, asked = drawn(occurrences=OCCURRENCES, species=SPECIES, held_out=QUERIES)
    for name, records in (("training", training), ("asked", asked)):
        np.savez(
            folder / f"{name}.npz", **{key: value for key, value in records._asdict().items() if value is not None}
        )
    del training, asked
    _child("build", folder)
    samples = alternate({name: functools.partial(_child, name, folder) for name in WORK}, runs=runs)
    build, answer = samples["build"], samples["answer"]
    notes = [
        "CPU-seconds of one thread, so that other work on the machine does not count; importing is not measured.",
        (
            f"scikit-learn's BallTree gives the {NEIGHBOURS} neighbours by the haversine distance and nothing else; "
            f"its KernelDensity has one tree a species, asked for {DENSITIES} of them, and scaled to all {SPECIES:,}."
        ),
        f"Choosing: {CHOOSING:,} photographs, as many as are ever used, with drawn probabilities of all species.",
    ]
    goals = [
        Goal(name="build, CPU-seconds", value=_most(build, "seconds"), bound=60, kind="at most"),
        Goal(name=f"{QUERIES:,} queries, CPU-seconds", value=_most(answer, "seconds"), bound=2, kind="at most"),
        Goal(name="file, MB", value=_most(build, "megabytes"), bound=40, kind="at most"),
        Goal(name="memory while answering, MB", value=_most(answer, "peak_megabytes"), bound=300, kind="at most"),
    ]
    further: dict[str, Sequence[Mapping[str, object]]] = {}
    try:
        rows, worth = places_quality.measured()
    except UnavailableError as error:
        notes.append(f"What the prior is worth was not measured: {error}.")
    else:
        further[f"Worth: {places_quality.DIVISIONS} divisions of 660 real photographs of 44 plants"] = rows
        goals += worth
        notes.append(
            "Worth: parameters and temperature are chosen on one half and judged on the other, both ways; means over "
            "the divisions, and 95 % paired bootstrap intervals over photographs. Where neighbours are left out, "
            "parameters are chosen with them and the temperature without."
        )
    return Report(
        part="places",
        title=f"{OCCURRENCES:,} occurrences of {SPECIES:,} species, {QUERIES:,} queries; medians of {runs} runs.",
        rows=[_row(name, samples[name]) for name in WORK],
        goals=goals,
        notes=notes,
        further=further,
    )


def _build(folder: Path) -> dict[str, float]:
    records = _read(folder, "training")
    started = time.process_time()
    prior = PlacePrior(records=records, class_count=SPECIES, settings=PriorSettings())
    file = prior.write(folder / PRIOR_FILE)
    prior.knows(sites_of(records.rows(np.arange(1))))  # makes the tree
    return {"seconds": time.process_time() - started, "megabytes": file.stat().st_size / 1e6}


def _read_file(folder: Path) -> dict[str, float]:
    one = sites_of(_read(folder, "asked").rows(np.arange(1)))
    started = time.process_time()
    PlacePrior.read(folder / PRIOR_FILE).look(one)
    return {"seconds": time.process_time() - started}


def _answer(folder: Path) -> dict[str, float]:
    sites = sites_of(_read(folder, "asked"))
    prior = PlacePrior.read(folder / PRIOR_FILE)
    prior.knows(sites.rows(slice(1)))
    started, wall = time.process_time(), time.perf_counter()
    prior.look(sites)
    return {"seconds": time.process_time() - started, "wall": time.perf_counter() - wall}


def _compose(folder: Path) -> dict[str, float]:
    asked = _read(folder, "asked")
    prior = PlacePrior.read(folder / PRIOR_FILE)
    look = prior.look(sites_of(asked))
    seconds, better = 0.0, 0.0
    for start in range(0, QUERIES, BLOCK):
        rows = slice(start, start + BLOCK)
        alone = _probabilities(asked.class_id[rows], seed=start)
        started = time.process_time()
        composed = compose(alone, look.rows(rows), exponent=1.0)
        seconds += time.process_time() - started
        truth = asked.class_id[rows]
        better += float((composed.argmax(axis=1) == truth).sum() - (alone.argmax(axis=1) == truth).sum())
    return {"seconds": seconds, "points": 100 * better / QUERIES}


def _choose(folder: Path) -> dict[str, float]:
    asked = _read(folder, "asked").rows(np.arange(CHOOSING))
    prior = PlacePrior.read(folder / PRIOR_FILE)
    prior.knows(sites_of(asked))
    probabilities = np.concatenate(
        [_probabilities(asked.class_id[start : start + BLOCK], seed=start) for start in range(0, CHOOSING, BLOCK)]
    )
    started = time.process_time()
    settings = choose(prior, sites_of(asked), probabilities, asked.class_id)
    return {"seconds": time.process_time() - started, "exponent": settings.exponent}


def _merge(folder: Path) -> dict[str, float]:
    records = _read(folder, "training")
    started = time.process_time()
    rows = len(condensed(records, most=OCCURRENCES // 4).day)
    return {"seconds": time.process_time() - started, "rows": rows}


def _ball_tree(folder: Path) -> dict[str, float]:
    from sklearn.neighbors import BallTree  # noqa: PLC0415 (the memory of the others is without it)

    records, asked = _read(folder, "training"), _read(folder, "asked")
    started = time.process_time()
    tree = BallTree(_radians(records), metric="haversine")
    built = time.process_time()
    tree.query(_radians(asked), k=NEIGHBOURS)
    return {"seconds": time.process_time() - built, "build": built - started}


def _densities(folder: Path) -> dict[str, float]:
    from sklearn.neighbors import KernelDensity  # noqa: PLC0415 (as above)

    records, asked = _read(folder, "training"), _read(folder, "asked")
    species = np.random.default_rng(0).choice(SPECIES, DENSITIES, replace=False)
    places, queries = _radians(records), _radians(asked)
    started = time.process_time()
    for one in species:
        density = KernelDensity(bandwidth=50 / EARTH_KM, metric="haversine", algorithm="ball_tree")
        density.fit(places[records.class_id == one]).score_samples(queries)
    return {"seconds": (time.process_time() - started) * SPECIES / DENSITIES}


WORK: Final[Mapping[str, Callable[[Path], dict[str, float]]]] = {
    "build": _build,
    "read": _read_file,
    "answer": _answer,
    "compose": _compose,
    "choose": _choose,
    "merge": _merge,
    "ball-tree": _ball_tree,
    "kernel-density": _densities,
}
NAMES: Final = {
    "build": "round, count, write, and make the tree",
    "read": "read the file, and make the tree",
    "answer": f"{QUERIES:,} queries: neighbours and what they weigh",
    "compose": f"{QUERIES:,} distributions of {SPECIES:,} species composed with the answers",
    "choose": "choose the parameters",
    "merge": "merge by cells to a quarter of the rows",
    "ball-tree": f"scikit-learn's BallTree: neighbours of {QUERIES:,} queries",
    "kernel-density": f"scikit-learn's KernelDensity a species: {QUERIES:,} queries, scaled",
}


def _probabilities(labels: npt.NDArray[np.int32], *, seed: int) -> Floats:
    """A drawn network's: the true species is among the most probable ones more often than not."""
    generator = np.random.default_rng(seed)
    logits = generator.gumbel(size=(len(labels), SPECIES)).astype(np.float32)
    logits[np.arange(len(labels)), labels] += generator.normal(9, 3, len(labels))
    powers = np.exp(logits - logits.max(axis=1, keepdims=True))
    return np.asarray(powers / powers.sum(axis=1, keepdims=True))


def _radians(records: Records) -> Floats:
    return np.radians(np.stack([records.latitude, records.longitude], axis=1), dtype=np.float64)


def _read(folder: Path, name: str) -> Records:
    with np.load(folder / f"{name}.npz") as columns:
        return Records(**columns)


def _peak_megabytes() -> float:
    """The largest resident memory; `getrusage` would include what the parent had when it forked."""
    for line in Path("/proc/self/status").read_text(encoding="utf-8").splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) * 1024 / 1e6
    raise RuntimeError("/proc/self/status does not state VmHWM")


def _child(name: str, folder: Path) -> Sample:
    return measure([sys.executable, "-m", "bench.places", name, str(folder)], environment={"OMP_NUM_THREADS": "1"})


def _most(samples: Sequence[Sample], fact: str) -> float:
    return max(sample.facts[fact] for sample in samples)


def _row(name: str, samples: Sequence[Sample]) -> Mapping[str, object]:
    return {
        "work": NAMES[name],
        "CPU-seconds": median_and_spread([sample.facts["seconds"] for sample in samples], digits=2),
        "peak memory, MB": f"{statistics.median(sample.facts['peak_megabytes'] for sample in samples):.0f}",
        "beside": ", ".join(
            f"{fact.replace('_', ' ')} {statistics.median(sample.facts[fact] for sample in samples):,.4g}"
            for fact in samples[0].facts
            if fact not in {"seconds", "peak_megabytes"}
        ),
    }


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("work", choices=sorted(WORK))
    parser.add_argument("folder", type=Path)
    options = parser.parse_args()
    facts = WORK[options.work](options.folder)
    print(json.dumps(facts | {"peak_megabytes": _peak_megabytes()}))
