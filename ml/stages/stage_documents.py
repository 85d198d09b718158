"""What the documents of all children have: where a stage writes and logs, and the names of networks and ranks."""

from pathlib import Path
from typing import Literal

from pydantic import Field

from ml.documents import Document

RANKS = ("kingdom", "phylum", "class", "order", "family", "genus", "species")
"""The seven ranks of the taxonomy; a node's depth is its position here plus one, the root's is 0."""

Rank = Literal["kingdom", "phylum", "class", "order", "family", "genus", "species"]

NetworkName = Literal["baseline", "baseline_matched", "multi_view", "genus_stage", "knowledge_transfer"]
"""The networks of the pipeline: the paper's three experiments, the third in its two stages, and one view under the
second experiment's schedule."""


class TrackingSpec(Document):
    """Where a child logs in MLflow."""

    uri: str
    experiment: str
    parent_run_id: str
    """The run of the dataset version; the child's run is nested in it."""
    stage: str
    """Tag `naturewatch.stage`: with `spec_hash` it finds the run to continue after a retry."""
    title: str = ""
    """What the run is, for people; scope and date follow in its name. Empty: the stage."""
    scope: str = ""
    """The configuration's name, for the run's name."""
    tags: dict[str, str] = Field(default={})
    """Tags for the run: its description, the Dagster run's id and address, git commit, dataset version."""


class StageSpec(Document):
    """What the specifications of all stages have."""

    output: Path
    """The folder of this stage: what it makes, and `result.json` last."""
    spec_hash: str
    """Content version of everything that decides the outcome; names the MLflow run to continue."""
    tracking: TrackingSpec | None = None
    """Where it is logged; None logs nothing, and needs no MLflow."""
