"""The dataset at the scale of the paper and eight times that: time, memory, and species without validation photographs.

`run` prepares and measures; `python -m bench.dataset DATA_ROOT` is the child that is measured, one step after another.
"""

import json
import math
import os
import random
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from bench.harness import Goal, Report, Sample, alternate, measure, median_and_spread
from bench.simulate import (
    LARGEST,
    PAPER_PHOTOS,
    PAPER_SPECIES,
    PAPER_WITHOUT_VALIDATION,
    law_of_the_paper,
    simulate,
)
from pipeline.config.settings import Settings
from pipeline.dataset.clean import build_clean_occurrences
from pipeline.dataset.leakage import build_leakage
from pipeline.dataset.species import build_species
from pipeline.dataset.split import build_genus_photos, build_split, split_gaps
from pipeline.dataset.taxonomy import build_taxonomy
from pipeline.history.taxonomy_history import build_taxonomy_history
from pipeline.photos.index import build_photo_index
from pipeline.query import count

SPECIES = 100_000
TIMES = 8
"""The large table has so many times the photographs of the paper's."""
READS = 20_000
"""Photographs that are read in random order, of 33,000 bytes."""


def run(*, folder: Path, runs: int) -> Report:
    """Measure the SQL from occurrences to the split on two simulated tables, and the reading of the pack."""
    scales = {"paper": folder / "paper", "ten million": folder / "ten-million"}
    for name, times in (("paper", 1), ("ten million", TIMES)):
        if not (scales[name] / "tables" / "photos.parquet").exists():
            simulate(scales[name] / "tables", species=SPECIES, times=times, seed=1)
    paper = alternate({"paper": lambda: _child(scales["paper"])}, runs=runs)["paper"]
    large = alternate({"ten million": lambda: _child(scales["ten million"])}, runs=1)["ten million"]
    reads = _reads(folder / "reads")
    facts = paper[0].facts
    share = facts["without_validation"] / facts["species"]
    # Kept counts are lower than drawn ones by what the other rules remove; the drawn counts predict within chance.
    predicted = facts["predicted"] / facts["species"]
    error = math.sqrt(predicted * (1 - predicted) / facts["species"])
    paper_share = PAPER_WITHOUT_VALIDATION / PAPER_SPECIES
    rows = [_row("paper scale", paper), _row(f"{TIMES} times the photographs", large)]
    rows += [
        {"table": f"random reads: {name}", "seconds": f"{READS / rate:.2f} for {READS:,}"}
        for name, rate in reads.items()
    ]
    return Report(
        part="dataset",
        title=(
            "All of sql/ from occurrences to the split (cleaning, photo index, species, taxonomy with class map and "
            f"diff, split, genus photographs): {SPECIES:,} simulated species with a long tail."
        ),
        rows=rows,
        goals=[
            Goal(name="paper scale, seconds", value=max(s.wall_seconds for s in paper), bound=60, kind="at most"),
            Goal(
                name="paper scale, peak GiB",
                value=max(s.peak_rss_bytes for s in paper) / 2**30,
                bound=4,
                kind="at most",
            ),
            Goal(name="ten million photographs, seconds", value=large[0].wall_seconds, bound=480, kind="at most"),
            Goal(
                name="species without validation: standard errors from the prediction",
                value=abs(share - predicted) / error,
                bound=3,
                kind="at most",
            ),
            Goal(
                name="species without validation: points from the paper's",
                value=100 * abs(share - paper_share),
                bound=1,
                kind="at most",
            ),
            Goal(
                name="random reads, pack over files",
                value=reads["pack"] / reads["files"],
                bound=1,
                kind="at least",
            ),
        ],
        notes=_notes(paper[0].facts, large[0].facts, predicted=predicted, error=error),
    )


def _notes(facts: Mapping[str, float], large: Mapping[str, float], *, predicted: float, error: float) -> list[str]:
    """The law, what it predicts, and where the time went."""
    law, species = law_of_the_paper(), facts["species"]
    lost, lost_by_observation = facts["without_validation"], facts["without_validation_by_observation"]
    paper_share = PAPER_WITHOUT_VALIDATION / PAPER_SPECIES

    def steps(found: Mapping[str, float]) -> str:
        prefix = "seconds_"
        named = {name.removeprefix(prefix): value for name, value in found.items() if name.startswith(prefix)}
        return ", ".join(f"{name} {value:.1f}" for name, value in named.items())

    the_law = (
        f"The law: a species has n photographs with probability proportional to n^-{law.exponent:.3f}, "
        f"1 <= n <= {LARGEST:,}. The cut is a round number; the exponent is the one that gives the paper's "
        f"{PAPER_PHOTOS:,} / {PAPER_SPECIES:,} = {PAPER_PHOTOS / PAPER_SPECIES:.1f} photographs per kept species. It "
        f"keeps {law.kept():.1%} of the species, {law.kept() * SPECIES:,.0f} of {SPECIES:,}, and leaves "
        f"{law.without_validation():.2%} of them without a validation photograph (the sum of p(n) 0.8^n)."
    )
    measured = (
        f"Measured, split by photograph: {species:,.0f} species with {facts['photos']:,.0f} photographs, {lost:,.0f} "
        f"({lost / species:.2%}) without a validation photograph; their own counts predict {predicted:.2%}, with a "
        f"standard error of {error:.2%}. The paper: {PAPER_WITHOUT_VALIDATION:,} of {PAPER_SPECIES:,} "
        f"({paper_share:.2%})."
    )
    by_observation = (
        f"Split by observation, the same photographs leave {lost_by_observation:,.0f} species "
        f"({lost_by_observation / species:.2%})."
    )
    leakage = (
        "Leakage looks for near-identical pairs among random fingerprints; it comes after the pack and is not part of "
        f"the time above: {facts['leakage_seconds']:.1f} s at the paper's scale."
    )
    reads = (
        f"Random reads: {READS:,} files of 33,000 bytes under their hashes against one pack, both in the page cache, "
        "one thread."
    )
    return [
        the_law,
        measured,
        by_observation,
        f"Seconds per step at the paper's scale: {steps(facts)}.",
        f"Seconds per step at {TIMES} times that: {steps(large)}.",
        leakage,
        reads,
    ]


def _child(root: Path) -> Sample:
    sample = measure([sys.executable, "-m", "bench.dataset", str(root)])
    apart = sample.facts["leakage_seconds"]
    return Sample(
        wall_seconds=sample.wall_seconds - apart,
        cpu_seconds=sample.cpu_seconds,
        peak_rss_bytes=int(sample.facts["peak_before_leakage"]),
        facts=sample.facts,
    )


def _row(name: str, samples: list[Sample]) -> dict[str, object]:
    facts = samples[0].facts
    return {
        "table": name,
        "occurrences": f"{facts['occurrences']:,.0f}",
        "photographs": f"{facts['candidates']:,.0f}",
        "kept species": f"{facts['species']:,.0f}",
        "kept photographs": f"{facts['photos']:,.0f}",
        "seconds": median_and_spread([s.wall_seconds for s in samples], digits=1),
        "peak GiB": f"{max(s.peak_rss_bytes for s in samples) / 2**30:.2f}",
    }


def _steps(root: Path) -> dict[str, float]:
    """The child: every step in turn, then what it found."""
    settings = Settings(name="bench", data_root=root, split={"unit": "photo"})
    paths = settings.paths
    steps: dict[str, Callable[[], object]] = {
        "clean": lambda: build_clean_occurrences(paths, settings),
        "index": lambda: build_photo_index(paths, settings),
        "species": lambda: build_species(paths, settings),
        "taxonomy": lambda: build_taxonomy(paths, settings),
        "history": lambda: build_taxonomy_history(paths, settings),
        "split": lambda: build_split(paths, settings),
        "genus": lambda: build_genus_photos(paths, settings),
    }
    facts: dict[str, float] = {}
    for name, step in steps.items():
        started = time.perf_counter()
        step()
        facts[f"seconds_{name}"] = time.perf_counter() - started
    facts["peak_before_leakage"] = _peak()
    gaps = split_gaps(paths, settings)
    kept = pq.read_table(paths.table("species"), columns=["photos"])["photos"].to_numpy()
    facts |= {
        "occurrences": count(paths.table("occurrences")),
        "candidates": count(paths.table("photos")),
        "species": len(kept),
        "photos": float(kept.sum()),
        "predicted": float((0.8**kept).sum()),
        "without_validation": len(gaps["photo"].without_validation),
        "without_validation_by_observation": len(gaps["observation"].without_validation),
    }
    started = time.perf_counter()
    if len(kept) < 2 * PAPER_SPECIES:
        _write_fingerprints(settings)
        started = time.perf_counter()
        build_leakage(paths)
    return {**facts, "leakage_seconds": time.perf_counter() - started}


def _write_fingerprints(settings: Settings) -> None:
    """An index of the pack with random hashes."""
    photo_ids = pq.read_table(settings.paths.table("split"), columns=["photo_id"])["photo_id"]
    dice = np.random.default_rng(1)
    hashes = dice.integers(-(2**63), 2**63 - 1, size=len(photo_ids), dtype=np.int64)
    settings.paths.training_photos.mkdir(parents=True, exist_ok=True)
    pq.write_table(pa.table({"photo_id": photo_ids, "fingerprint": hashes}), settings.paths.pack_index)


def _peak() -> float:
    """The largest resident memory of this process so far, in bytes."""
    status = Path("/proc/self/status").read_text(encoding="utf-8")
    return float(status.split("VmHWM:")[1].split()[0]) * 1024


def _reads(folder: Path) -> dict[str, float]:
    """Photographs a second in random order, from single files and from one pack."""
    dice = random.Random(1)  # noqa: S311 (names and bytes to read, no secret)
    folder.mkdir(parents=True, exist_ok=True)
    names = [f"{dice.getrandbits(256):064x}" for _ in range(READS)]
    pack = folder / "pack.bin"
    if not pack.exists():
        for name in names:
            path = folder / name[:2] / f"{name}.jpg"
            path.parent.mkdir(exist_ok=True)
            path.write_bytes(dice.randbytes(33_000))
        with pack.open("wb") as stream:
            for name in names:
                stream.write((folder / name[:2] / f"{name}.jpg").read_bytes())
    order = list(range(READS))
    dice.shuffle(order)

    def from_files() -> int:
        return sum(len((folder / names[i][:2] / f"{names[i]}.jpg").read_bytes()) for i in order)

    def from_pack() -> int:
        with pack.open("rb") as stream:
            return sum(len(os.pread(stream.fileno(), 33_000, i * 33_000)) for i in order)

    rates: dict[str, list[float]] = {"files": [], "pack": []}
    for _ in range(3):
        for name, read in (("files", from_files), ("pack", from_pack)):
            started = time.perf_counter()
            read()
            rates[name].append(READS / (time.perf_counter() - started))
    return {name: sorted(values)[1] for name, values in rates.items()}


if __name__ == "__main__":
    print(json.dumps(_steps(Path(sys.argv[1]))))
