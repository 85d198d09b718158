"""Registration of one trained, calibrated network as a version of an MLflow model.

`python -m ml register` reads an `ml.spec.RegisterSpec` and writes `result.json` last. What the
version answers belongs to `ml.serving.model`; whether it becomes the champion is decided elsewhere.
"""

import base64
import filecmp
import io
import os
import shutil
from importlib.metadata import version
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final
from urllib.parse import unquote, urlsplit

from ml.child.pipes import Reporter
from ml.child.tracking import ChildRun, child_run
from ml.errors import DataError, MlError
from ml.images import heic
from ml.images.photograph import upright_pixels
from ml.networks.network import load
from ml.serving.answering import Answering
from ml.serving.carried_code import MODEL, copy_needed
from ml.serving.versions import Version, files_of
from ml.spec import (
    MODEL_DESCRIPTION,
    RESULT_FILE,
    CalibrateResult,
    RegisterResult,
    RegisterSpec,
    card_body,
    final_metric,
    sqlite_file,
)

# ml.child.tracking settles MLflow's telemetry before mlflow is imported.
import mlflow  # isort: skip
from mlflow.entities.model_registry import ModelVersion
from mlflow.exceptions import MlflowException
from mlflow.models import ModelSignature
from mlflow.models.model import ModelInfo
from mlflow.protos.databricks_pb2 import RESOURCE_DOES_NOT_EXIST, ErrorCode
from mlflow.tracking import MlflowClient
from mlflow.types.schema import AnyType, Array, ColSpec, Object, ParamSchema, ParamSpec, Property, Schema
from PIL import Image

CHALLENGER: Final = "challenger"
HASH_TAG: Final = "naturewatch.spec_hash"
"""Tag of the model version: a specification is registered once."""
MOST_CHARACTERS: Final = 5_000
"""Of a version's description, in MLflow's tables."""
DISTRIBUTIONS: Final = (
    "mlflow", "numpy", "pillow", "pyarrow", "pydantic", "safetensors", "scipy", "simplejpeg", "timm", "torch",
    "torchvision",
    *((heic.DISTRIBUTION,) if heic.DISTRIBUTION else ()),
)  # fmt: skip
"""What serving imports; pinned to what the model was made with."""


def run(spec: RegisterSpec, *, reporter: Reporter) -> RegisterResult:
    """Register a version and point the alias `challenger` at it; a specification gets one version, however often run.

    Raises:
        MlError: a file of the specification is missing or damaged.
        MlflowException: the registry refused.
    """
    spec.output.mkdir(parents=True, exist_ok=True)
    # Copying a file beside the database needs no progress bar in the log.
    os.environ.setdefault("MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR", "false")
    mlflow.set_tracking_uri(spec.tracking.uri)
    mlflow.set_registry_uri(spec.tracking.uri)
    client = MlflowClient(tracking_uri=spec.tracking.uri, registry_uri=spec.tracking.uri)
    known = registered(client, spec=spec)
    problem = None if known is None else unusable(client, known, spec=spec)
    if known is not None and problem is not None:
        reporter.info(f"{spec.model_name} version {known.version} cannot be used ({problem}); it is registered anew")
        known = None
    if known is None:
        _refuse_missing_files(spec)
        with child_run(spec.tracking, spec_hash=spec.spec_hash) as tracked:
            known = _register(client, tracked, spec=spec)
        reporter.info(f"registered {spec.model_name} version {known.version}")
    else:
        reporter.info(f"{spec.model_name} version {known.version} is this specification already")
        if known.run_id:
            # The version is the last thing that is written: a run that was killed after it lacks its end alone.
            client.set_terminated(known.run_id)
    client.set_registered_model_alias(spec.model_name, CHALLENGER, known.version)
    result = RegisterResult(
        mlflow_run_id=str(known.run_id),
        model_name=spec.model_name,
        version=str(known.version),
        model_uri=f"models:/{spec.model_name}/{known.version}",
    )
    result.write(spec.output / RESULT_FILE)
    return result


def registered(client: MlflowClient, *, spec: RegisterSpec) -> ModelVersion | None:
    """The version that was made of this specification, if there is one."""
    try:
        client.get_registered_model(spec.model_name)
    except MlflowException as error:
        if error.error_code == ErrorCode.Name(RESOURCE_DOES_NOT_EXIST):
            return None
        raise
    name = spec.model_name.replace("'", "''")
    found = client.search_model_versions(f"name = '{name}' and tags.`{HASH_TAG}` = '{spec.spec_hash}'")
    return max(found, key=lambda candidate: int(candidate.version), default=None)


def unusable(client: MlflowClient, version: ModelVersion, *, spec: RegisterSpec) -> str | None:
    """Why a version that was made of this specification cannot be used; None when it can.

    Everything that an answer needs is read: the tag with the hash says nothing about files that were lost since.
    """
    made_of = {"weights": spec.weights, "network": spec.network, "taxonomy": spec.taxonomy}
    number = str(version.version)
    try:
        folder = client.get_model_version_download_uri(version.name, number)
        found = Version(name=version.name, number=number, folder=folder)
        with files_of(found, uri=spec.tracking.uri) as artifacts:
            Answering.read(artifacts)
            load(Path(artifacts["network"]), Path(artifacts["weights"]))
            share(Path(artifacts["weights"]).parents[1])
            for name, path in made_of.items():
                if path.exists() and not filecmp.cmp(artifacts[name], path, shallow=False):
                    return f"its {name} differs from what it was made of"
    except (MlError, MlflowException) as error:
        return str(error)
    return None


def share(folder: Path) -> None:
    """Let every account read this account's files below `folder`, as far as the umask allows it."""
    umask = os.umask(0)
    os.umask(umask)
    for path in folder.rglob("*"):
        if path.stat().st_uid == os.geteuid():
            path.chmod((0o777 if path.is_dir() else 0o666) & ~umask)


def signature() -> ModelSignature:
    """What goes in and out: bytes, text or paths are all one column; see `ml.serving.model.Identifier.predict`."""
    taxon = [
        Property("rank", "string"),
        Property("name", "string"),
        Property("taxon_key", "string", required=False),
        Property("common_name", "string", required=False),
        Property("gbif", "string", required=False),
        Property("probability", "double"),
    ]
    candidate = [
        Property("depth", "long"), *taxon, Property("score", "double"), Property("answered", "boolean"),
        Property("follows", "boolean"),
    ]  # fmt: skip
    alarm = [
        Property("lineage", "string"), Property("threshold", "double"), Property("alarm", "boolean"),
        Property("basis", "string"),
    ]  # fmt: skip
    stop = [
        Property("reason", "string"), Property("next", Object(candidate), required=False), Property("text", "string"),
    ]  # fmt: skip
    promise = [
        *(Property(name, "double", required=False) for name in ("target", "accuracy", "accuracy_low", "accuracy_high")),
        Property("kept", "boolean", required=False),
        Property("text", "string"),
    ]
    novelty = [
        Property("distance", "double"), Property("known", "double"), Property("novel", "double", required=False),
    ]  # fmt: skip
    alone = [
        Property("taxon", "string"), Property("rank", "string"), Property("probability", "double"),
        Property("common_name", "string", required=False),
    ]  # fmt: skip
    prior = [
        Property("case", "string"), Property("used", "boolean"), Property("place", Array("double"), required=False),
        Property("day", "long", required=False), Property("nearest_km", "double", required=False),
        Property("text", "string"), Property("alone", Object(alone)), Property("changed", "boolean"),
        Property("occurrences", "long"),
    ]  # fmt: skip
    return ModelSignature(
        inputs=Schema([ColSpec(AnyType())]),  # type: ignore[no-untyped-call]
        outputs=Schema(
            [
                ColSpec("string", "taxon"),
                ColSpec("string", "rank"),
                ColSpec("string", "taxon_key", required=False),
                ColSpec("long", "depth"),
                ColSpec("string", "common_name", required=False),
                ColSpec("string", "gbif", required=False),
                ColSpec("double", "probability"),
                ColSpec("double", "threshold"),
                ColSpec("string", "rule"),
                ColSpec("long", "group"),
                ColSpec(Array(Object(taxon)), "lineage"),
                ColSpec(Array(Object(candidate)), "path"),
                ColSpec(Object(stop), "stop"),
                ColSpec(Object(promise), "promise"),
                ColSpec(Array(Object([*taxon, Property("probability_alone", "double")])), "top"),
                ColSpec(Array(Object([*taxon, *alarm])), "watch"),
                ColSpec(Object(novelty), "novelty", required=False),
                ColSpec(Object(prior), "prior", required=False),
                ColSpec(Array(Object([Property("kind", "string"), Property("text", "string")])), "warnings"),
                ColSpec(Array("double"), "embedding", required=False),
            ]
        ),
        params=ParamSchema(
            [
                ParamSpec("target", "double", None),
                ParamSpec("threshold", "double", None),
                ParamSpec("within", "string", [], shape=(-1,)),
                ParamSpec("renormalise", "boolean", True),  # noqa: FBT003 (MLflow's signature)
                ParamSpec("top", "long", 5),
                ParamSpec("region", "double", [], shape=(-1,)),
                ParamSpec("embedding", "boolean", False),  # noqa: FBT003 (MLflow's signature)
                ParamSpec("watch", "string", [], shape=(-1,)),
                ParamSpec("place", "double", [], shape=(-1,)),
                ParamSpec("uncertainty_m", "double", None),
                ParamSpec("date", "string", None),
                ParamSpec("exif", "boolean", False),  # noqa: FBT003 (MLflow's signature)
            ]
        ),
    )


def input_example(photograph: Path, *, side: int = 256) -> str:
    """A small base64 JPEG of a real photograph: shows the form of a request.

    Raises:
        PhotoError: the photograph cannot be decoded.
    """
    image = Image.fromarray(upright_pixels(photograph.read_bytes()))
    image.thumbnail((side, side))
    stream = io.BytesIO()
    image.save(stream, format="JPEG", quality=85)
    return base64.b64encode(stream.getvalue()).decode("ascii")


def description(card: str, *, uri: str) -> str:
    """What the registry shows of a card: all of it, or the paragraphs that fit into `MOST_CHARACTERS` characters.

    MLflow draws tables without any room between their columns; a wide space after each cell makes some.

    Args:
        card: Markdown.
        uri: Of MLflow's store; SQLite keeps a text of any length.
    """
    lines = (line.replace(" |", "&emsp;|") if line.startswith("| ") else line for line in card.splitlines())
    card = "\n".join(lines) + "\n"
    if len(card) <= MOST_CHARACTERS or sqlite_file(uri) is not None:
        return card
    rest = "\n\nThe whole card is the artifact `model_card.md` of this version.\n"
    kept = card[: MOST_CHARACTERS - len(rest)]
    return kept[: kept.rfind("\n\n")] + rest


def _cards(spec: RegisterSpec) -> list[Path]:
    """The model card, and its page where there is one."""
    return [spec.model_card, *([] if spec.model_page is None else [spec.model_page])]


def _register(client: MlflowClient, tracked: ChildRun, *, spec: RegisterSpec) -> ModelVersion:
    for card in _cards(spec):
        tracked.log_file(card, folder="card")
    for figure in spec.figures.values():
        tracked.log_file(figure, folder="figures")
    _remove_unfinished(client, tracked)
    metrics = {final_metric(name): number for name, number in spec.metrics.items()}
    tracked.log_metrics(metrics)
    tracked.set_tags(spec.version_tags)
    with mlflow.start_run(run_id=tracked.run_id):
        model = _log_model(spec)
        mlflow.log_metrics(metrics, model_id=model.model_id)
    try:
        client.create_registered_model(spec.model_name, description=MODEL_DESCRIPTION)
    except MlflowException as error:
        if error.error_code != "RESOURCE_ALREADY_EXISTS":
            raise
    # MLflow copies files with the mode that they have, and one may be its owner's alone.
    location = urlsplit(client.get_logged_model(model.model_id).artifact_location)
    if location.scheme == "file":
        share(Path(unquote(location.path)))
    return client.create_model_version(
        name=spec.model_name,
        source=model.model_uri,
        run_id=tracked.run_id,
        tags={**spec.version_tags, HASH_TAG: spec.spec_hash},
        # Lists show its beginning as it stands, and the page has a heading of its own.
        description=description(
            card_body(spec.model_card.read_text(encoding="utf-8")).removeprefix("# "), uri=spec.tracking.uri
        ),
        model_id=model.model_id,
    )


def _remove_unfinished(client: MlflowClient, tracked: ChildRun) -> None:
    """Remove what a registration that was killed has left of its model: no version names it, and none ever will."""
    experiment = client.get_run(tracked.run_id).info.experiment_id
    # Versions that are searched for do not say their model's identifier, but where they were made from.
    named = {version.source for version in client.search_model_versions(f"run_id = '{tracked.run_id}'")}
    for model in client.search_logged_models([experiment], filter_string=f"source_run_id = '{tracked.run_id}'"):
        if model.model_uri in named:
            continue
        location = urlsplit(model.artifact_location)
        if location.scheme == "file":
            shutil.rmtree(unquote(location.path), ignore_errors=True)
        client.delete_logged_model(model.model_id)


def _log_model(spec: RegisterSpec) -> ModelInfo:
    calibration = CalibrateResult.read(spec.specificity)
    artifacts = {
        "weights": spec.weights,
        "network": spec.network,
        "taxonomy": spec.taxonomy,
        "specificity": spec.specificity,
        "operating_curve": calibration.curve,
        "thresholds": calibration.thresholds,
        "by_target": calibration.by_target,
        "attribution": spec.attribution,
        "model_card": spec.model_card,
        **({} if spec.model_page is None else {"model_page": spec.model_page}),
        **({} if calibration.novelty is None else {"novelty": calibration.novelty}),
        **({} if calibration.joint is None else {"joint": calibration.joint}),
        **_place_artifacts(calibration),
        **spec.documents,
    }
    with TemporaryDirectory(prefix="naturewatch-") as folder:
        info: ModelInfo = mlflow.pyfunc.log_model(
            name=spec.tracking.stage,
            python_model=str(MODEL),
            artifacts={name: str(path) for name, path in artifacts.items()},
            code_paths=[str(copy_needed(Path(folder)))],
            signature=signature(),
            # What `load_model(..., model_config=...)` may change must be named here.
            model_config={"paths": True},
            input_example=[input_example(spec.example)],
            pip_requirements=[f"{name}=={version(name).split('+')[0]}" for name in DISTRIBUTIONS],
        )
    return info


def _place_artifacts(calibration: CalibrateResult) -> dict[str, Path]:
    """The prior of place and season, and the tables of each case that was calibrated; nothing without places."""
    if calibration.place_prior is None:
        return {}
    artifacts = {"place_prior": calibration.place_prior}
    for one in calibration.place_cases:
        artifacts |= {f"thresholds_{one.case}": one.thresholds, f"by_target_{one.case}": one.by_target}
        if one.joint is not None:
            artifacts[f"joint_{one.case}"] = one.joint
    return artifacts


def _refuse_missing_files(spec: RegisterSpec) -> None:
    """Nothing is logged of a specification that is not complete."""
    files = [spec.weights, spec.network, spec.taxonomy, spec.specificity, *_cards(spec), spec.attribution]
    if spec.specificity.is_file():
        calibration = CalibrateResult.read(spec.specificity)
        files += [path for path in (calibration.novelty, calibration.joint) if path is not None]
        files += _place_artifacts(calibration).values()
    missing = [
        str(path)
        for path in (*files, spec.example, *spec.figures.values(), *spec.documents.values())
        if not path.is_file()
    ]
    if missing:
        raise DataError(f"cannot register, missing: {', '.join(missing)}; materialise the assets that write them")
