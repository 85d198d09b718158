"""The gate of the MLflow registry: moves the alias `champion` to a challenger that is good enough."""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import unquote, urlsplit

from ml.spec import final_metric
from pipeline.comparison.wording import percent, plain_percent
from pipeline.config.settings import Settings
from pipeline.errors import RegistryError
from pipeline.tracking.runs import client

if TYPE_CHECKING:
    from mlflow.entities.model_registry import ModelVersion
    from mlflow.tracking import MlflowClient

CHALLENGER = "challenger"
CHAMPION = "champion"


@dataclass(frozen=True, kw_only=True)
class Promotion:
    """What the gate decided, with version numbers and the reason in one sentence."""

    challenger: str
    champion: str
    promoted: bool
    reason: str


def promote(settings: Settings) -> Promotion:
    """Move `champion` to the challenger unless its validation accuracy falls behind by more than the tolerance.

    Versions of one split are compared on the same photographs; across splits the numbers are of different
    photographs, and the reason says so.

    Raises:
        RegistryError: there is no challenger, or it or the champion has no metric final/top1.
    """
    connected, name = client(settings), settings.registry.model_name
    challenger = _under_alias(connected, name, CHALLENGER)
    if challenger is None:
        raise RegistryError(f"{name!r} has no version under the alias {CHALLENGER}; materialise the asset candidate")
    accuracy = _top1(connected, challenger)
    current = _under_alias(connected, name, CHAMPION)
    if current is not None and current.version != challenger.version and _is_lost(connected, current):
        promoted, reason = (
            True,
            f"version {challenger.version} replaces version {current.version}, whose files are gone",
        )
    elif current is None:
        promoted, reason = True, f"version {challenger.version} is the first champion (top-1 {percent(accuracy)})"
    elif current.version == challenger.version:
        promoted, reason = False, f"version {challenger.version} is the champion already"
    else:
        before = _top1(connected, current)
        promoted = accuracy >= before - settings.registry.tolerance
        same = current.tags.get("naturewatch.split_hash") == challenger.tags.get("naturewatch.split_hash")
        photographs = "the same validation photographs" if same else "different validation photographs"
        verdict = "replaces" if promoted else "does not replace"
        reason = (
            f"version {challenger.version} (top-1 {percent(accuracy)}) {verdict} version {current.version} "
            f"({percent(before)}), tolerance {plain_percent(settings.registry.tolerance)}, on {photographs}"
        )
    if promoted:
        connected.set_registered_model_alias(name, CHAMPION, challenger.version)
    champion = challenger.version if promoted or current is None else current.version
    return Promotion(challenger=str(challenger.version), champion=str(champion), promoted=promoted, reason=reason)


def champion_of(settings: Settings) -> "ModelVersion | None":
    """The version that users are served; None where there is none yet."""
    return _under_alias(client(settings), settings.registry.model_name, CHAMPION)


def _under_alias(connected: "MlflowClient", name: str, alias: str) -> "ModelVersion | None":
    from mlflow.exceptions import MlflowException  # noqa: PLC0415 (see `pipeline.tracking.runs.client`)

    try:
        return connected.get_model_version_by_alias(name, alias)
    except MlflowException as error:
        if error.error_code in {"RESOURCE_DOES_NOT_EXIST", "INVALID_PARAMETER_VALUE"}:
            return None
        raise


def _is_lost(connected: "MlflowClient", version: "ModelVersion") -> bool:
    """Whether a version cannot be served any more, because the folder that it was registered with is gone."""
    location = urlsplit(connected.get_model_version_download_uri(version.name, version.version))
    return location.scheme == "file" and not (Path(unquote(location.path)) / "MLmodel").is_file()


def _top1(connected: "MlflowClient", version: "ModelVersion") -> float:
    """Validation top-1 of a registered version; one without the metric cannot pass the gate.

    A version that was registered when metrics had no groups has it as `top1`.
    """
    metrics = connected.get_run(version.run_id).data.metrics if version.run_id else {}
    for name in (final_metric("top1"), "top1"):
        if name in metrics:
            return float(metrics[name])
    message = f"version {version.version} of {version.name} has no metric {final_metric('top1')}; register it again"
    raise RegistryError(message)
