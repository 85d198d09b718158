"""The served model, as MLflow loads it: photographs in, the deepest taxon that is probable enough out.

Logged as models-from-code, with the package `ml` beside it. Which version is served is decided by the registry.

A photograph that cannot be read fails the request, by its position and with the reason: an answer list with holes
would let a caller mistake a failure for an answer. Ask again without it.
"""

import base64
import binascii
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from mlflow.exceptions import MlflowException
from mlflow.models import set_model
from mlflow.protos.databricks_pb2 import INVALID_PARAMETER_VALUE
from mlflow.pyfunc.model import PythonModel, PythonModelContext
from mlflow.types.type_hints import TypeFromExample

from ml.data import CENTRE, Box, region_boxes, resize, standardise, view_boxes
from ml.devices import Device
from ml.errors import PhotoError
from ml.networks import NetworkSpec, load
from ml.operating import Floats
from ml.photograph import upright_pixels
from ml.spec import CalibrateResult
from ml.specificity import candidates, restrict, select
from ml.taxonomy import TaxonError, Taxonomy
from ml.temperature import temper
from ml.threshold_table import ThresholdTable
from ml.tree_sums import sum_up

BATCH = 16
"""Photographs that go through the network at once."""
LONGEST_PATH = 4096
"""Characters; a longer text can only be base64."""


class Identifier(PythonModel):
    """Answers with a taxon, its probability, its lineage and the most probable species."""

    def load_context(self, context: PythonModelContext) -> None:
        """Read the artifacts: network, weights, taxonomy, thresholds and watch-list."""
        artifacts: Mapping[str, str] = context.artifacts
        self.taxonomy = Taxonomy.read(artifacts["taxonomy"])
        self.network_spec = NetworkSpec.read(Path(artifacts["network"]))
        self.network = load(Path(artifacts["network"]), Path(artifacts["weights"]))
        self.calibration = CalibrateResult.read(Path(artifacts["specificity"]))
        self.thresholds = ThresholdTable.read(Path(artifacts["thresholds"]))

    def predict(
        self,
        context: PythonModelContext,  # noqa: ARG002 (MLflow's signature)
        model_input: TypeFromExample,  # a list, whatever was sent
        params: dict[str, Any] | None = None,
    ) -> list[dict[str, Any]]:
        """Identify photographs.

        Args:
            context: MLflow's; unused.
            model_input: Photographs as bytes, base64 text (a `data:` address, too) or paths of local files.
            params: `threshold` in [0, 1], or `target`, an accuracy that the version's table turns into thresholds
                (default: the target that it was calibrated for); `within`, names or keys of taxa that the photographs
                are known to lie in; `renormalise`, whether that conditions the probabilities (default) or only rules
                out the others (the paper's literal reading); `top`, how many species to list (default 5); `region`,
                left, upper, right and lower edge of the region of interest as fractions of every photograph.

        Returns:
            One dictionary per photograph: taxon, rank, taxon_key, depth, probability, threshold, lineage (kingdom to
            the answer) and top, each with probabilities. Rank `root` and depth 0 mean: not sure of any kingdom.
            `watch` has an entry per watched taxon: its probability before `within` is applied, and whether it raises
            the alarm.

        Raises:
            MlflowException: a photograph or a parameter cannot be used; says which and why.
        """
        wanted = params or {}
        try:
            asked = self.asked(target=wanted.get("target"), threshold=wanted.get("threshold"))
            within = [self.taxonomy.find(str(taxon)) for taxon in wanted.get("within") or ()]
        except (TaxonError, ValueError) as error:
            raise MlflowException(str(error), error_code=INVALID_PARAMETER_VALUE) from error
        photographs = _decode_all(_as_list(model_input))
        try:
            probabilities = self.probabilities(photographs, region=region_of(wanted.get("region")))
        except ValueError as error:
            raise MlflowException(str(error), error_code=INVALID_PARAMETER_VALUE) from error
        answers = self.answers(
            probabilities,
            asked=asked,
            within=within,
            renormalise=bool(wanted.get("renormalise", True)),
            top=max(int(wanted.get("top", 5)), 0),
        )
        watch = self.watch(probabilities)
        return [{**answer, "watch": watched} for answer, watched in zip(answers, watch, strict=True)]

    def asked(self, *, target: float | None, threshold: float | None) -> Floats:
        """The threshold of each group for what is asked: a threshold, a target, or by default the version's target.

        Raises:
            ValueError: both are given, one is out of range, or no threshold reaches the target.
        """
        if target is not None and threshold is not None:
            raise ValueError("give a target accuracy or a threshold, not both")
        if threshold is not None and not 0 <= threshold <= 1:
            raise ValueError(f"the threshold must lie in [0, 1], not {threshold}")
        if threshold is not None:
            return np.full(len(self.thresholds.groups), threshold)
        if target is None:
            # What was calibrated is served even where it stayed out of reach: with the threshold 1.
            return self.thresholds.of_groups(self.thresholds.position(self.calibration.target))
        if not 0 < target < 1:
            raise ValueError(f"the target accuracy must lie between 0 and 1, not {target}")
        return self.thresholds.of_groups(self.thresholds.row(target))

    def probabilities(
        self, photographs: Sequence[np.ndarray[Any, np.dtype[np.uint8]]], *, region: Box | None = None
    ) -> Floats:
        """Species probabilities at the version's temperature. Shape: photographs x classes.

        With a `region` of interest, the magnified view shows just that part (paper, section 3.1).
        """
        spec, here = self.network_spec, Device(device=torch.device("cpu"), rank=0, world=1)
        boxes = region_boxes(region, views=spec.views) if region else view_boxes(CENTRE, views=spec.views)
        rows = [np.zeros((0, self.taxonomy.class_count))]
        for begin in range(0, len(photographs), BATCH):
            views = np.stack(
                [
                    resize(photograph, boxes=boxes, image_size=spec.image_size)
                    for photograph in photographs[begin : begin + BATCH]
                ],
                axis=1,
            )
            with torch.inference_mode():
                pixels = here.pixels(torch.from_numpy(views).transpose(0, 1))
                logits = self.network(standardise(pixels, spec.mean, spec.std))
                rows.append(logits.float().softmax(dim=1).numpy())
        return temper(np.concatenate(rows).astype(np.float64), self.calibration.temperature)

    def answers(
        self,
        probabilities: Floats,
        *,
        asked: Floats,
        within: Sequence[int],
        renormalise: bool,
        top: int,
    ) -> list[dict[str, Any]]:
        """One readable answer per row of species probabilities; `asked` holds a threshold per group."""
        taxonomy = self.taxonomy
        found = candidates(probabilities, taxonomy, within or None, renormalise=renormalise)
        thresholds = asked[self.thresholds.group_of(found)]
        if within:
            probabilities = restrict(probabilities, taxonomy, within, renormalise=renormalise)
        nodes = sum_up(probabilities, taxonomy)
        species = np.argsort(-probabilities, axis=1, kind="stable")[:, :top]
        return [
            {
                "taxon": taxonomy.name[node],
                "rank": taxonomy.rank[node],
                "taxon_key": taxonomy.taxon_key[node],
                "depth": int(taxonomy.depth[node]),
                "probability": float(probability),
                "threshold": float(used),
                "lineage": [self.describe(step, float(row[step])) for step in taxonomy.lineage(int(node))[1:]],
                "top": [self.describe(int(leaf), float(row[leaf])) for leaf in taxonomy.leaves[best]],
            }
            for node, probability, used, row, best in zip(
                *select(found, thresholds), thresholds, nodes, species, strict=True
            )
        ]

    def watch(self, probabilities: Floats) -> list[list[dict[str, Any]]]:
        """Per photograph an entry for each watched taxon, whatever the answer or a filter says."""
        watched = self.calibration.watch
        masses = sum_up(probabilities, self.taxonomy)[:, [taxon.node_id for taxon in watched]]
        return [
            [
                {
                    **self.describe(taxon.node_id, float(mass)),
                    "lineage": taxon.taxon,
                    "threshold": taxon.threshold,
                    "alarm": bool(mass >= taxon.threshold),
                }
                for taxon, mass in zip(watched, row, strict=True)
            ]
            for row in masses
        ]

    def describe(self, node: int, probability: float) -> dict[str, Any]:
        """A taxon and how probable it is."""
        return {
            "rank": self.taxonomy.rank[node],
            "name": self.taxonomy.name[node],
            "taxon_key": self.taxonomy.taxon_key[node],
            "probability": probability,
        }


def _as_list(model_input: Any) -> list[Any]:  # noqa: ANN401 (whatever MLflow hands over)
    """One item per photograph, from a list, an array, or a table with the column `image` or a single column."""
    columns = getattr(model_input, "columns", None)
    if columns is not None:
        model_input = model_input["image" if "image" in columns else columns[0]]
    if isinstance(model_input, str | bytes | bytearray):
        return [model_input]
    items = model_input.tolist() if hasattr(model_input, "tolist") else list(model_input)
    return [item["image"] if isinstance(item, Mapping) and "image" in item else item for item in items]


def _decode_all(items: Sequence[Any]) -> list[np.ndarray[Any, np.dtype[np.uint8]]]:
    photographs = []
    for position, item in enumerate(items):
        try:
            photographs.append(upright_pixels(content_of(item)))
        except PhotoError as error:
            named = f" ({item})" if isinstance(item, str) and len(item) < 200 else ""
            raise MlflowException(
                f"photograph {position}{named}: {error}", error_code=INVALID_PARAMETER_VALUE
            ) from error
    return photographs


def region_of(edges: Any) -> Box | None:  # noqa: ANN401 (whatever MLflow hands over)
    """The region of interest that a request names; None without one.

    Raises:
        ValueError: it is not four numbers.
    """
    numbers = [float(edge) for edge in (() if edges is None else edges)]
    if not numbers:
        return None
    if len(numbers) != 4:
        raise ValueError(f"region takes left, upper, right and lower edge, not {len(numbers)} numbers")
    return numbers[0], numbers[1], numbers[2], numbers[3]


def content_of(item: object) -> bytes:
    """The bytes of one photograph: given, base64, or in a local file. Addresses are not fetched.

    Raises:
        PhotoError: it is none of these.
    """
    if isinstance(item, bytes | bytearray | memoryview):
        return bytes(item)
    if not isinstance(item, str):
        raise PhotoError(f"a photograph must be bytes, base64 text or a path, not {type(item).__name__}")
    try:
        if len(item) <= LONGEST_PATH and "\0" not in item and Path(item).is_file():
            return Path(item).read_bytes()
    except OSError as error:
        raise PhotoError(f"cannot read the file: {error}") from error
    text = item.split(",", maxsplit=1)[-1] if item.startswith("data:") else item
    try:
        return base64.b64decode("".join(text.split()), validate=True)
    except (binascii.Error, ValueError) as error:
        raise PhotoError("neither an existing file nor base64 text") from error


set_model(Identifier())
