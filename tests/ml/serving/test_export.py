"""Exported models: answers of a stranger's script are those that are served, for any number of photographs."""

import importlib.util
import json
import runpy
import subprocess
import sys
from pathlib import Path
from typing import Literal, get_args

import numpy as np
import pyarrow.parquet as pq
import pytest
import torch

from ml.child.pipes import Reporter
from ml.identify.command import main as identify
from ml.networks.description import NetworkSpec
from ml.networks.network import build, save
from ml.serving import export
from ml.serving.answering import Answering, Looks
from ml.serving.classifier import Classifier
from ml.serving.export import Exported, FormatName
from ml.serving.export_folder import copy_artifacts, describe
from ml.serving.question import Question
from ml.serving.versions import Version
from ml.spec import RESULT_FILE, CalibrateResult, Reward, Rule, TestTime
from ml.specificity.stage import run as calibrate
from ml.specificity.temperature import temper
from tests.ml.specificity_fixtures import calibrate_spec, photograph_bytes, release
from tests.ml.world import PROCESSOR

NEEDS_ONNX = pytest.mark.skipif(
    any(importlib.util.find_spec(name) is None for name in (*export.NEEDED, "onnxruntime")),
    reason="the extra `export` (onnx, onnxscript, onnxruntime) is not installed",
)


def registry() -> list[str]:
    spec, _ = release()
    return ["--tracking-uri", spec.tracking.uri, "--model-name", spec.model_name]


@pytest.fixture(scope="module", params=["pt2", pytest.param("onnx", marks=NEEDS_ONNX)])
def exported(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("exported") / "made"
    arguments = [release()[1].version, "--format", request.param, "--output", str(folder), *registry()]
    assert export.main(arguments) == 0
    return folder


def test_a_stranger_s_script_gives_the_served_answers(
    exported: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    photos = []
    for name, size in (("wide.jpg", (96, 64)), ("high.png", (70, 130)), ("square.jpg", (64, 64))):
        photos.append(tmp_path / name)
        photos[-1].write_bytes(photograph_bytes(size=size, form="PNG" if name.endswith("png") else "JPEG"))
    arguments = [str(photo) for photo in photos]
    assert identify([*arguments, "--json", *registry(), "--alias", "challenger"]) == 0
    served = json.loads(capsys.readouterr().out)
    command = [sys.executable, "-W", "ignore", str(exported / "answer.py"), *arguments]
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=300, cwd=tmp_path)
    found = [json.loads(line) for line in done.stdout.splitlines()]
    for ours, theirs in zip(served, found, strict=True):
        names = ("photo", "taxon", "rank", "taxon_key", "threshold", "rule")
        assert {name: theirs[name] for name in names} == {name: ours[name] for name in names}
        # Pillow's resizing rounds in other places than torch's.
        assert theirs["probability"] == pytest.approx(ours["probability"], abs=5e-3)
        for share in ("known", "novel"):
            assert theirs["novelty"][share] == pytest.approx(ours["novelty"][share], abs=0.03)


@pytest.mark.parametrize(
    ("rule", "reward", "groups"),
    [("threshold", "depth", "none"), ("reward", "depth", "kingdom"), ("reward", "information", "none"),
     ("distance", "depth", "kingdom")],
)  # fmt: skip
def test_a_stranger_s_script_answers_by_the_rule_of_the_calibration(
    tmp_path: Path, rule: Rule, reward: Reward, groups: Literal["none", "kingdom"]
) -> None:
    chosen = {"rule": rule, "reward": reward, "groups": groups, "group_photos": 10, "target": 0.8}
    spec = calibrate_spec(tmp_path / "calibration").model_copy(update={**chosen, "tracking": None})
    calibrate(spec, reporter=Reporter(lambda _: None))
    result = spec.output / RESULT_FILE
    thresholds = CalibrateResult.read(result).thresholds
    artifacts = {"taxonomy": str(spec.taxonomy), "specificity": str(result), "thresholds": str(thresholds)}
    served, folder = Answering.read(artifacts), tmp_path / "exported"
    copy_artifacts(artifacts, folder=folder)
    network = NetworkSpec(backbone="test_convnext", classes=4, image_size=32)
    version = Version(name="tiny", number="1", folder="")
    describe(folder, model="model.pt2", version=version, answering=served, spec=network, outputs=["probabilities"])
    script = runpy.run_path(str(folder / "answer.py"))
    # As a network gives them, in single precision.
    rows = np.random.default_rng(1).dirichlet(np.full(4, 0.4), size=200).astype(np.float32).astype(np.float64)
    answers = served.answers(Looks(rows, np.zeros((len(rows), 1), np.float32)), served.plan(Question()))
    found = [script["answer"](row) for row in rows]
    names = ("taxon", "rank", "taxon_key", "threshold", "rule")
    assert [[one[name] for name in names] for one in found] == [[one[name] for name in names] for one in answers]
    assert [one["probability"] for one in found] == pytest.approx([one["probability"] for one in answers])
    assert len({one["rank"] for one in found}) > 2
    told = {"threshold": "at least the threshold", "reward": f"its {reward}", "distance": "S - t d"}
    assert told[rule] in " ".join((folder / "README.md").read_text("utf-8").split())


def test_the_folder_holds_what_an_answer_needs(exported: Path) -> None:
    spec, _ = release()
    assert (exported / "taxonomy.parquet").read_bytes() == spec.taxonomy.read_bytes()
    assert (exported / "attribution.parquet").read_bytes() == spec.attribution.read_bytes()
    labels = json.loads((exported / "labels.json").read_text("utf-8"))
    assert [label["class_id"] for label in labels] == [0, 1, 2, 3]
    assert labels[3]["lineage"].endswith("Morus > Morus alba")
    facts = json.loads((exported / "model.json").read_text("utf-8"))
    assert facts["parts"] == [[0.0625, 0.0625, 0.9375, 0.9375]]
    assert (facts["image_size"], facts["outputs"]) == (64, ["probabilities", "embedding", "distance"])
    assert "parts of each photograph" in (exported / "README.md").read_text("utf-8")


def test_shares_of_the_table_are_those_that_are_served(exported: Path) -> None:
    spec, _ = release()
    novelty = Answering.read(
        {"taxonomy": str(spec.taxonomy), "specificity": str(spec.specificity),
         "thresholds": str(spec.specificity.parent / "thresholds.parquet"),
         "novelty": str(spec.specificity.parent / "novelty.safetensors")}
    ).novelty  # fmt: skip
    assert novelty is not None
    table = pq.read_table(exported / "novelty.parquet").to_pydict()
    rows = np.array(table["distance"], dtype=np.float32)
    asked = np.concatenate([novelty.known[::17], novelty.left_out[::17], np.array([0, 0.51234, 1.9], np.float32)])
    places = np.searchsorted(rows, asked)
    assert [table["known"][place] for place in places] == novelty.p_values(asked).tolist()
    assert [table["novel"][place] for place in places] == novelty.found(asked)


@pytest.mark.parametrize("test_time", get_args(TestTime))
@pytest.mark.parametrize("views", [(1.0,), (1.0, 0.5)])
@pytest.mark.parametrize("temperature", [1.0, 1.7])
def test_from_bytes_on_it_computes_what_is_served(
    tmp_path: Path, test_time: TestTime, views: tuple[float, ...], temperature: float
) -> None:
    torch.manual_seed(2)
    spec = NetworkSpec(backbone="test_convnext", classes=5, image_size=32, views=views, test_time=test_time)
    network = build(spec).eval()
    described, weights = tmp_path / "network.json", tmp_path / "weights.safetensors"
    save(network, folder=tmp_path)
    served = Classifier({"network": str(described), "weights": str(weights)}, device=PROCESSOR)
    parts = [served.views(photograph_bytes(size=size)) for size in ((96, 64), (40, 80), (33, 33))]
    module = Exported(network, temperature=temperature, novelty=None)
    with torch.no_grad():
        probabilities, embeddings = module(torch.from_numpy(np.stack(parts)))
    looks = served.look(parts)
    assert np.allclose(probabilities, temper(looks.probabilities, temperature), atol=1e-5)
    assert np.allclose(embeddings, looks.embeddings, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("format_name", ["pt2", pytest.param("onnx", marks=NEEDS_ONNX)])
def test_two_views_and_their_mirror_images_are_exported_for_any_number_of_photographs(
    tmp_path: Path, format_name: FormatName
) -> None:
    torch.manual_seed(2)
    spec = NetworkSpec(backbone="test_convnext", classes=5, image_size=32, views=(1.0, 0.5), test_time="mirror")
    module = Exported(build(spec).eval(), temperature=1.7, novelty=None)
    path = export.export(module, format_name=format_name, folder=tmp_path)
    for photographs in (1, 3):
        pixels = torch.randint(0, 255, (photographs, 4, 32, 32, 3), dtype=torch.uint8)
        if format_name == "onnx":
            import onnxruntime  # noqa: PLC0415 (of the extra `export`)

            session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
            found = session.run(None, {"pixels": pixels.numpy()})
        else:
            found = [output.detach().numpy() for output in torch.export.load(path).module()(pixels)]
        with torch.no_grad():
            for output, expected in zip(found, module(pixels), strict=True):
                assert np.allclose(output, expected, atol=1e-5)


def test_without_the_extra_onnx_is_refused_and_nothing_is_written(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(export, "NEEDED", ("no_such_package",))
    assert export.main(["challenger", "--output", str(tmp_path / "out"), *registry()]) == 1
    told = capsys.readouterr().err
    assert told == (
        "naturewatch: ONNX needs no_such_package: install the extra `naturewatch[export]`, or export as pt2\n"
    )
    assert not (tmp_path / "out").exists()


def test_a_version_that_is_not_there_and_a_folder_that_is_a_file_are_told(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    pt2 = ["--format", "pt2", *registry()]
    assert export.main(["41", "--output", str(tmp_path / "out"), *pt2]) == 1
    assert "has no version called '41'" in capsys.readouterr().err
    (tmp_path / "file").touch()
    assert export.main(["challenger", "--output", str(tmp_path / "file"), *pt2]) == 1
    assert f"cannot write into {tmp_path / 'file'}" in capsys.readouterr().err
