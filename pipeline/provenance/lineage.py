"""From a model version back to the training that began from nothing, along the versions that training went on from."""

from collections.abc import Iterator
from typing import TYPE_CHECKING, Final

from pipeline.provenance.facts import UNKNOWN, Fact, Value, moment
from pipeline.tracking.tags import ANCESTOR, DATA_VERSION, HOW

if TYPE_CHECKING:
    from mlflow.entities.model_registry import ModelVersion
    from mlflow.tracking import MlflowClient

BEGAN: Final = {
    "adopted": "trained from nothing, among the networks of the comparison",
    "full": "trained from nothing",
    "continued": "continued",
}
"""Value of the tag `HOW`, for people."""


def ancestry(connected: "MlflowClient", version: "ModelVersion") -> Iterator[Fact]:
    """The chain of versions, the given one first; the last one began from nothing, or is no longer known."""
    chain: list[Value] = []
    lines = []
    seen: set[str] = set()
    current: ModelVersion | None = version
    number: str | None = str(version.version)
    while number is not None and number not in seen:
        seen.add(number)
        if current is None:
            chain.append({"version": number, "registered": None, "dataset": None, "how": None})
            lines.append(f"version {number}: no longer in the registry")
            break
        how, data = current.tags.get(HOW), current.tags.get(DATA_VERSION)
        registered = moment(current.creation_timestamp)
        ancestor = current.tags.get(ANCESTOR)
        chain.append({"version": number, "registered": registered, "dataset": data, "how": how})
        began = f"went on from version {ancestor}" if ancestor else BEGAN.get(how or "", "trained from nothing")
        lines.append(f"version {number}, {registered[:10]}, dataset {data or UNKNOWN}: {began}")
        number = ancestor
        current = None if ancestor is None else _find(connected, version.name, ancestor)
    yield Fact(key="trainings", value=chain, words="\n".join(lines))


def _find(connected: "MlflowClient", name: str, number: str) -> "ModelVersion | None":
    from mlflow.exceptions import MlflowException  # noqa: PLC0415 (see `pipeline.tracking.runs.client`)

    try:
        return connected.get_model_version(name, number)
    except MlflowException as error:
        if error.error_code in {"RESOURCE_DOES_NOT_EXIST", "INVALID_PARAMETER_VALUE"}:
            return None
        raise
