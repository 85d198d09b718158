"""`naturewatch identify FOLDER --output FILE`: 1,000 real photographs against the bare network at the same batch.

Beside the rate: resident memory over the photographs, and a command that is killed half way and goes on.
"""

import argparse
import csv
import json
import os
import resource
import statistics
import subprocess
import sys
import threading
import time
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import psutil

from bench.harness import PHOTOS, Goal, Report, Sample, UnavailableError, alternate, measure, median_and_spread

COUNT, SIDE, BACKBONE = 1000, 224, "tf_efficientnet_lite0"
MODEL: Final = "folder"
NOTE: Final = (
    "The bare network has all views decoded in memory before its clock starts; the command reads, decodes, answers and "
    "keeps each batch on the disk while its clock runs. Loading the network is outside both."
)
_END: Final = b'{"end":true}'


def run(*, folder: Path, runs: int) -> Report:
    """Measure on a registered network with random weights, in `folder`.

    Raises:
        UnavailableError: there are no real photographs.
    """
    folder.mkdir(parents=True, exist_ok=True)
    photographs, load = _photographs(folder), os.getloadavg()[0]
    uri = _registered(folder)
    child = [sys.executable, "-m", "bench.identify_folder", "--uri", uri, "--photographs", str(photographs)]
    number = iter(range(10_000))

    def bare() -> Sample:
        return measure([*child, "bare"])

    def command() -> Sample:
        return measure([*child, "command", "--output", str(folder / f"{os.getpid()}-{next(number)}.jsonl")])

    samples = alternate({"bare network": bare, "naturewatch identify": command}, runs=runs)
    killed = _killed_and_gone_on(child, folder)
    ours, theirs = samples["naturewatch identify"], samples["bare network"]
    return Report(
        part="identify_folder",
        title=f"{COUNT:,} photographs in one folder, two views of {SIDE} pixels, {BACKBONE}, batches of 16",
        rows=[*(_row(name, each) for name, each in samples.items()), killed],
        goals=_goals(ours, theirs, same=killed["same bytes"] == "yes"),
        notes=[NOTE, f"Load average before: {load:.1f}. Other programs on the machine slow contestants unequally."],
    )


def _goals(ours: Sequence[Sample], theirs: Sequence[Sample], *, same: bool) -> list[Goal]:
    pairs = list(zip(ours, theirs, strict=True))
    rate = statistics.median(bare.facts["seconds"] / own.facts["seconds"] for own, bare in pairs)
    work = statistics.median(own.facts["cpu"] / bare.facts["cpu"] for own, bare in pairs)
    growth = max(one.facts["late_rss"] / one.facts["early_rss"] for one in ours)
    return [
        Goal(name="rate, of the bare network's in the same run (median)", value=rate, bound=0.8, kind="at least"),
        Goal(name="CPU seconds, of the bare network's (median)", value=work, bound=1.25, kind="at most"),
        Goal(name="resident memory, last quarter to second quarter", value=growth, bound=1.05, kind="at most"),
        Goal(name="a killed run that went on ends in the same bytes", value=float(same), bound=1.0, kind="at least"),
    ]


def _row(name: str, samples: Sequence[Sample]) -> dict[str, object]:
    return {
        "contestant": name,
        "photographs/s": median_and_spread([COUNT / one.facts["seconds"] for one in samples], digits=1),
        "CPU ms per photograph": median_and_spread([1000 * one.facts["cpu"] / COUNT for one in samples], digits=1),
        "peak MB": median_and_spread([one.peak_rss_bytes / 1e6 for one in samples]),
        "whole seconds": median_and_spread([one.wall_seconds for one in samples], digits=1),
    }


def _photographs(folder: Path) -> Path:
    """A folder of links to the first `COUNT` real photographs."""
    if not PHOTOS.exists():
        raise UnavailableError(f"there are no photographs at {PHOTOS}")
    links = folder / "photographs"
    links.mkdir(exist_ok=True)
    with PHOTOS.open(encoding="utf-8", newline="") as stream:
        paths = [PHOTOS.parent / row["path"] for row in csv.DictReader(stream)][:COUNT]
    for number, path in enumerate(paths):
        link = links / f"{number:04}.jpg"
        if not link.is_symlink():
            link.symlink_to(path)
    return links


def _registered(folder: Path) -> str:
    """A registry with the network; returns its address."""
    import torch  # noqa: PLC0415 (children need it, and this process only here)
    from safetensors.torch import save_file  # noqa: PLC0415

    from ml.networks.description import NetworkSpec  # noqa: PLC0415
    from ml.networks.network import create  # noqa: PLC0415
    from ml.serving.register import run as register  # noqa: PLC0415
    from ml.taxonomy import Taxonomy  # noqa: PLC0415
    from tests.ml.specificity_fixtures import QUIET, register_spec  # noqa: PLC0415

    store = folder / "store"
    uri = f"sqlite:///{store / 'mlflow.db'}"
    if (store / "release" / "result.json").exists():
        return uri
    store.mkdir(parents=True, exist_ok=True)
    spec = register_spec(store)
    torch.manual_seed(7)
    network = create(NetworkSpec(backbone=BACKBONE, image_size=SIDE), Taxonomy.read(spec.taxonomy))
    save_file(network.state_dict(), spec.weights)
    network.spec.write(spec.network)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # MLflow's own, from logging a model
        register(spec.model_copy(update={"model_name": MODEL}), reporter=QUIET)
    return uri


def _killed_and_gone_on(child: Sequence[str], folder: Path) -> dict[str, object]:
    """Kill a command half way by SIGKILL, call it again, and compare with one that was not killed."""
    output, whole = folder / f"{os.getpid()}-killed.jsonl", folder / f"{os.getpid()}-0.jsonl"
    journal = output.with_name(output.name + ".journal")
    command = [*child, "command", "--output", str(output)]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as running:
        while not journal.exists() or journal.read_bytes().count(_END) < COUNT // 32:
            if running.poll() is not None:
                raise RuntimeError(f"the command ended by itself with status {running.returncode}")
            time.sleep(0.05)
        running.kill()
    kept = journal.read_bytes().count(b'{"key"')
    again = measure(command)
    return {
        "contestant": f"killed after {kept} photographs, and gone on",
        "CPU ms per photograph": f"{1000 * again.facts['cpu'] / (COUNT - kept):.1f}",
        "peak MB": f"{again.peak_rss_bytes / 1e6:,.0f}",
        "whole seconds": f"{again.wall_seconds:.1f}",
        "same bytes": "yes" if output.read_bytes() == whole.read_bytes() else "no",
    }


def _used() -> tuple[float, float]:
    used = resource.getrusage(resource.RUSAGE_SELF)
    return time.perf_counter(), used.ru_utime + used.ru_stime


def _bare(uri: str, photographs: Path) -> dict[str, float]:
    """The network alone, on views that are in memory."""
    from ml.serving.identification import BATCH, Identification  # noqa: PLC0415

    model = Identification.load(uri=uri, name=MODEL, alias="challenger")
    views = [model.classifier.views(path.read_bytes()) for path in sorted(photographs.iterdir())]
    model.classifier.look(views[:BATCH])
    started, cpu = _used()
    for begin in range(0, len(views), BATCH):
        model.classifier.look(views[begin : begin + BATCH])
    ended, used = _used()
    return {"seconds": ended - started, "cpu": used - cpu}


def _command(uri: str, photographs: Path, output: Path) -> dict[str, float]:
    """The command, from the moment when the network is loaded to its end, with its memory at each batch."""
    from ml.identify.command import main  # noqa: PLC0415
    from ml.serving.classifier import Classifier  # noqa: PLC0415
    from ml.serving.identification import BATCH, Identification  # noqa: PLC0415

    model = Identification.load(uri=uri, name=MODEL, alias="challenger")
    warm = [path.read_bytes() for path in sorted(photographs.iterdir())[:BATCH]]
    model.classifier.look([model.classifier.views(content) for content in warm])
    Identification.of_version = lambda *_, **__: model  # type: ignore[method-assign]
    process, done, samples, ended = psutil.Process(), [0], list[tuple[int, int]](), threading.Event()
    look = Classifier.look

    def counted(self: Classifier, views: Sequence[object]) -> object:
        done[0] += len(views)
        return look(self, views)  # type: ignore[arg-type]

    def sample() -> None:
        while not ended.wait(0.02):
            samples.append((done[0], process.memory_info().rss))

    Classifier.look = counted  # type: ignore[method-assign,assignment]
    watching = threading.Thread(target=sample)
    watching.start()
    started, cpu = _used()
    status = main([str(photographs), "--output", str(output), "--tracking-uri", uri, "--model", f"{MODEL}@challenger"])
    finished, used = _used()
    ended.set()
    watching.join()
    if status:
        raise RuntimeError(f"the command ended with status {status}")
    total = max(done[0], 1)
    early = [rss for at, rss in samples if total / 4 <= at < total / 2]
    late = [rss for at, rss in samples if at >= 3 * total / 4]
    return {
        "seconds": finished - started,
        "cpu": used - cpu,
        "early_rss": float(max(early, default=1)),
        "late_rss": float(max(late, default=1)),
    }


def _child() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("contestant", choices=["bare", "command"])
    parser.add_argument("--uri", required=True)
    parser.add_argument("--photographs", type=Path, required=True)
    parser.add_argument("--output", type=Path)
    options = parser.parse_args()
    if options.contestant == "bare":
        facts = _bare(options.uri, options.photographs)
    else:
        facts = _command(options.uri, options.photographs, options.output)
    print(json.dumps(facts))


if __name__ == "__main__":
    _child()
