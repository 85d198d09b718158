"""What one photograph costs: a first answer in a new process, in a warm one, and from a page that runs.

Asks the champion of the configured scope, by default that of the demo (`make demo`).
"""

import contextlib
import json
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Final

import requests

from bench.harness import Goal, Report, Sample, UnavailableError, alternate, measure, median_and_spread
from ml.serving.versions import CHAMPION, ModelError, Version, files_of, find_version
from pipeline.config.settings import Settings, load_settings
from pipeline.paths import PROJECT_ROOT

COMMAND: Final = (sys.executable, "-m", "pipeline.commands.cli")
PASSIVE: Final = {"OMP_WAIT_POLICY": "PASSIVE"}
ENVIRONMENT: Final = {**PASSIVE, "PYTHONPATH": str(PROJECT_ROOT), "NATUREWATCH_LAST_SCOPE": ""}
ROUNDS: Final = 20
"""Photographs of each warm contestant in one run."""
READY_SECONDS: Final = 180.0
COLD, BARE, HELP = "naturewatch identify", "import torch, build and load the network", "naturewatch identify --help"
SERVED: Final = "naturewatch identify, while a page runs"


def run(*, folder: Path, runs: int) -> Report:
    """Measure; children alternate, and so do the contestants in a warm process.

    Raises:
        UnavailableError: the scope has no champion yet.
    """
    del folder
    settings = load_settings()
    uri, name = settings.tracking_uri, settings.registry.model_name
    try:
        version = find_version(uri=uri, name=name, alias=CHAMPION)
        photo = next(settings.paths.photos.glob("*/*.jpg"))
    except (ModelError, StopIteration) as error:
        raise UnavailableError(f"the scope {settings.name} has no model: {error or 'no photograph'}") from error
    with files_of(version, uri=uri) as artifacts:
        samples = alternate(_children(artifacts, photo), runs=runs)
    with _page(settings):
        samples |= alternate({SERVED: lambda: _measured(*COMMAND, "identify", str(photo))}, runs=runs)
    warm = _warm(uri, version, photo.read_bytes(), rounds=ROUNDS * runs)
    cold_cpu, cold_wall = (_ratio(samples, COLD, BARE, of=of) for of in ("cpu_seconds", "wall_seconds"))
    alone = statistics.median(ours / bare for ours, bare in zip(*warm.values(), strict=True))
    return Report(
        part="identify_start",
        title=(
            f"One photograph of {photo.stat().st_size / 1000:.0f} kB, asked of {name} version {version.number} of the "
            f"scope {settings.name}, {runs} times; load {os.getloadavg()[0]:.0f}."
        ),
        rows=[_row(what, each) for what, each in samples.items()]
        + [
            {"what": what, "CPU seconds": median_and_spread(each, digits=4), "seconds": ""}
            for what, each in warm.items()
        ],
        goals=[
            Goal(name="cold, CPU time / bare", value=cold_cpu, bound=1.5, kind="at most"),
            Goal(name="cold, wall clock / bare", value=cold_wall, bound=1.5, kind="at most"),
            Goal(name="--help, seconds", value=_median(samples[HELP], "wall_seconds"), bound=0.5, kind="at most"),
            Goal(name="warm, CPU time / decoding and network", value=alone, bound=1.15, kind="at most"),
        ],
        notes=[
            "Ratios are medians over neighbouring runs.",
            (
                "OMP_WAIT_POLICY is PASSIVE for all: threads that wait in a loop for one that other work keeps from "
                "the processor would burn more seconds than a whole start."
            ),
            (
                "Warm is `Identification.answers` and the JSON of the answer; beside it the photograph is decoded, cut "
                "into the network's views, and goes through the network and a softmax."
            ),
        ],
    )


def _children(artifacts: Mapping[str, str], photo: Path) -> dict[str, Callable[[], Sample]]:
    network = json.loads(Path(artifacts["network"]).read_text(encoding="utf-8"))
    architecture = network.get("architecture") or network["backbone"]
    bare = str(Path(__file__).with_name("identify_bare.py"))
    return {
        COLD: lambda: _measured(*COMMAND, "identify", "--no-server", str(photo)),
        BARE: lambda: _measured(sys.executable, bare, architecture, artifacts["weights"]),
        HELP: lambda: _measured(*COMMAND, "identify", "--help"),
    }


def _measured(*command: str) -> Sample:
    return measure(command, environment=ENVIRONMENT)


def _warm(uri: str, version: Version, content: bytes, *, rounds: int) -> dict[str, list[float]]:
    """CPU seconds of a photograph in this process, ours first; the first of each is not counted."""
    os.environ.update(PASSIVE)
    import torch  # noqa: PLC0415 (the children are measured before this process grows)

    from ml.images.photograph import upright_pixels  # noqa: PLC0415 (as above)
    from ml.images.views import resize, standardise  # noqa: PLC0415 (as above)
    from ml.networks.inference import seen_boxes  # noqa: PLC0415 (as above)
    from ml.serving.identification import Identification  # noqa: PLC0415 (as above)
    from ml.serving.question import Question  # noqa: PLC0415 (as above)

    loaded, question = Identification.of_version(version, uri=uri), Question()
    network, device = loaded.classifier.network, loaded.classifier.device
    spec = network.spec

    def ours() -> None:
        json.dumps([answer for _, answer in loaded.answers([("photograph", content)], question)])

    def bare() -> None:
        views = resize(upright_pixels(content), boxes=seen_boxes(spec, region=None), image_size=spec.image_size)
        with torch.inference_mode():
            pixels = standardise(device.pixels(torch.from_numpy(views[None])), spec.mean, spec.std)
            network(pixels).softmax(dim=-1).cpu().numpy()

    seconds: dict[str, list[float]] = {"in a warm process": [], "decoding and the bare network": []}
    for number in range(rounds + 1):
        for found, contestant in zip(seconds.values(), (ours, bare), strict=True):
            before = time.process_time()
            contestant()
            if number:
                found.append(time.process_time() - before)
    return seconds


@contextlib.contextmanager
def _page(settings: Settings) -> Iterator[None]:
    """A page of the scope, while the block runs."""
    command = [*COMMAND, "page", "--port", "0", "--no-browser"]
    started = time.monotonic()
    with subprocess.Popen(
        command, env={**os.environ, **ENVIRONMENT}, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    ) as page:
        try:
            while not _answers(settings.paths.running_page, pid=page.pid):
                if page.poll() is not None or time.monotonic() - started > READY_SECONDS:
                    raise RuntimeError("the page does not answer")
                time.sleep(0.2)
            yield
        finally:
            page.terminate()
            page.wait()


def _answers(record: Path, *, pid: int) -> bool:
    with contextlib.suppress(OSError, ValueError, KeyError, requests.RequestException):
        said = json.loads(record.read_text(encoding="utf-8"))
        return bool(said["pid"] == pid and requests.get(f"{said['address']}/health", timeout=2).ok)
    return False


def _row(what: str, samples: Sequence[Sample]) -> dict[str, object]:
    return {
        "what": what,
        "CPU seconds": median_and_spread([sample.cpu_seconds for sample in samples], digits=2),
        "seconds": median_and_spread([sample.wall_seconds for sample in samples], digits=2),
    }


def _median(samples: Sequence[Sample], of: str) -> float:
    return statistics.median(float(getattr(sample, of)) for sample in samples)


def _ratio(samples: Mapping[str, Sequence[Sample]], ours: str, bare: str, *, of: str) -> float:
    pairs = zip(samples[ours], samples[bare], strict=True)
    return statistics.median(float(getattr(mine, of)) / float(getattr(other, of)) for mine, other in pairs)
