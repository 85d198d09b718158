"""`naturewatch identify`: what is on photographs, said by a registered version. Prints; computes nothing itself."""

import argparse
import json
import logging
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ml.spec import MLFLOW_DEFAULTS

os.environ.update({**MLFLOW_DEFAULTS, **os.environ})
# Its progress bars would mix with the answers.
os.environ.setdefault("MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR", "false")

from ml.errors import MlError
from ml.model_version import ModelVersionError, UnreadableError, load_version

Answer = dict[str, Any]
"""One answer of `ml.serving.Identifier.predict`."""


WITHIN = "name, key or lineage (as in 'Plantae > Morus') of a taxon that it is known to be in; repeatable: one of them"


class ModelError(MlError):
    """The registry holds no model to ask."""


class IdentificationError(MlError):
    """One photograph, or what was asked of it, cannot be used."""


def main(argv: Sequence[str] | None = None) -> int:
    """Identify photographs and return the exit status: 0 only when every one was answered."""
    options = _parser().parse_args(argv)
    photographs: list[Path] = options.photo
    absent = [photograph for photograph in photographs if not photograph.is_file()]
    present = [photograph for photograph in photographs if photograph.is_file()]
    for photograph in absent:
        _complain(f"{photograph}: there is no such file")
    if not present:
        return 1
    try:
        model = load_model(uri=options.tracking_uri, name=options.model_name, alias=options.alias)
    except ModelError as error:
        _complain(str(error))
        return 1
    params = {
        "target": options.target,
        "threshold": options.threshold,
        "within": options.within,
        "renormalise": False if options.literal else None,
        "top": options.top,
        "region": options.region,
    }
    asked = {name: value for name, value in params.items() if value is not None}
    answers: list[Answer] = []
    for photograph in present:
        try:
            answers.append({"photo": str(photograph), **identify(model, photograph, params=asked)})
        except IdentificationError as error:
            _complain(f"{photograph}: {error}")
            continue
        if not options.json:
            sys.stdout.write(readable(answers[-1]) + "\n")
    if options.json:
        sys.stdout.write(json.dumps(answers, indent=2, ensure_ascii=False) + "\n")
    return 0 if len(answers) == len(photographs) else 1


def load_model(*, uri: str, name: str, alias: str) -> Any:  # noqa: ANN401 (mlflow.pyfunc.PyFuncModel; mlflow is slow)
    """The version of `name` under `alias`.

    Raises:
        ModelError: there is none, or this code cannot read it; says what to do.
    """
    none = ModelError(f"no model {name!r} has the alias {alias!r} in {uri}: run `naturewatch run` first")
    if uri.startswith("sqlite:///") and not Path(uri.removeprefix("sqlite:///")).is_file():
        raise none
    import mlflow  # noqa: PLC0415 (loaded only when there is something to ask)

    for noisy in ("mlflow", "alembic"):
        logging.getLogger(noisy).setLevel(logging.ERROR)
    mlflow.set_tracking_uri(uri)
    mlflow.set_registry_uri(uri)
    client = mlflow.MlflowClient()
    try:
        version = client.get_model_version_by_alias(name, alias)
    except mlflow.exceptions.MlflowException as error:
        if error.error_code in {"RESOURCE_DOES_NOT_EXIST", "INVALID_PARAMETER_VALUE"}:
            raise none from error
        raise ModelError(f"the registry {uri} does not answer: {error.message}") from error
    try:
        return load_version(client, version, uri=uri)
    except ModelVersionError as error:
        advice = "" if isinstance(error, UnreadableError) else ": run `naturewatch run` to register it anew"
        raise ModelError(f"version {version.version} of {name!r} cannot be used ({error}){advice}") from error


def identify(model: Any, photograph: Path, *, params: dict[str, Any]) -> Answer:  # noqa: ANN401 (PyFuncModel)
    """The answer for one photograph.

    Raises:
        IdentificationError: it cannot be read, or a parameter cannot be used.
    """
    from mlflow.exceptions import MlflowException  # noqa: PLC0415 (see load_model)

    try:
        answer: Answer = model.predict([photograph.read_bytes()], params=params)[0]
    except MlflowException as error:
        raise IdentificationError(error.message.removeprefix("photograph 0: ")) from error
    except OSError as error:
        raise IdentificationError(f"cannot read the file: {error.strerror}") from error
    return answer


def readable(answer: Answer) -> str:
    """An answer as text: the taxon with its lineage, then the most probable species."""
    if answer["depth"] == 0:
        first = f"{answer['photo']}: not sure of any kingdom (asked for {100 * answer['threshold']:.0f} % confidence)"
    else:
        lineage = " > ".join(step["name"] for step in answer["lineage"])
        first = (
            f"{answer['photo']}: {answer['rank']} {answer['taxon']} ({100 * answer['probability']:.0f} %)  [{lineage}]"
        )
    width = max((len(species["name"]) for species in answer["top"]), default=0)
    lines = [f"    {species['name']:<{width}}  {100 * species['probability']:5.1f} %" for species in answer["top"]]
    return "\n".join([first, *lines, *(watched(taxon) for taxon in answer.get("watch", ()))])


def watched(taxon: dict[str, Any]) -> str:
    """A line about a watched taxon: an alarm cannot be overlooked, and no alarm is said, too."""
    told = f"{taxon['lineage']}: {100 * taxon['probability']:.2g} % (alarm from {100 * taxon['threshold']:.2g} %)"
    return f"    ! ALARM, watched {told}" if taxon["alarm"] else f"    watched {told}"


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="naturewatch identify", description="Name what is on photographs.")
    parser.add_argument("photo", nargs="+", type=Path, help="JPEG, PNG or WebP files")
    confidence = parser.add_mutually_exclusive_group()
    confidence.add_argument("--target", type=float, help="accuracy wanted, e.g. 0.9; default: the model's own")
    confidence.add_argument("--threshold", type=float, help="probability that an answer must have")
    parser.add_argument("--within", action="append", metavar="TAXON", help=WITHIN)
    parser.add_argument(
        "--literal", action="store_true", help="--within rules out the others without conditioning on it (the paper)"
    )
    parser.add_argument("--top", type=int, default=5, help="how many species to list (default 5)")
    parser.add_argument(
        "--region",
        type=float,
        nargs=4,
        metavar=("LEFT", "UPPER", "RIGHT", "LOWER"),
        help="where the organism is, as fractions of the photograph",
    )
    parser.add_argument("--json", action="store_true", help="print JSON")
    parser.add_argument("--tracking-uri", required=True, help="MLflow's store")
    parser.add_argument("--model-name", default="naturewatch", help="the registered model (default naturewatch)")
    parser.add_argument("--alias", default="champion", help="which version (default champion)")
    return parser


def _complain(message: str) -> None:
    sys.stderr.write(f"naturewatch: {' '.join(message.split())}\n")


if __name__ == "__main__":
    sys.exit(main())
