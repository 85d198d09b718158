"""The shapes of what the page's endpoint takes and answers, from which its OpenAPI description is made."""

from typing import Any

from pydantic import BaseModel, ConfigDict, Field


class Shape(BaseModel):
    """Fields that later versions add are no error."""

    model_config = ConfigDict(extra="allow")


class Refusal(BaseModel):
    """Why a request has no answer."""

    detail: str = Field(description="One sentence.")


class ModelName(Shape):
    """Which version answered."""

    name: str
    version: str


class Health(Shape):
    """Whether this server answers."""

    status: str = Field(description="`ok`, or why no version answers.")
    model: ModelName | None
    registry: str = Field(description="The address of MLflow's registry.")
    problem: str | None = Field(description="Why the version that the alias names does not answer.")


class Group(Shape):
    """A group of photographs with thresholds of its own."""

    name: str
    taxon_key: str | None


class Thresholds(Shape):
    """The version's table of thresholds: K targets, G groups."""

    rule: str
    targets: list[float]
    groups: list[Group]
    thresholds: list[list[float]] = Field(description="K x G.")
    reachable: list[list[bool]] = Field(description="K x G.")


class Watched(Shape):
    """A taxon that raises an alarm."""

    taxon: str
    threshold: float


class RequestLimits(Shape):
    """What one request may hold."""

    files: int
    bytes: int = Field(description="Of one photograph.")
    request_bytes: int
    pixels: int = Field(description="Of one photograph.")


class Model(Shape):
    """The version that answers."""

    name: str
    version: str
    dataset_version: str | None
    card: str = Field(description="Markdown.")
    target: float
    thresholds: Thresholds
    classes: int
    ranks: list[str]
    novelty: bool
    watch: list[Watched]
    formats: list[str]
    limits: RequestLimits
    report: str | None


class FoundTaxon(Shape):
    """A taxon of the model."""

    rank: str
    name: str
    taxon_key: str | None
    lineage: str
    species: int
    common_name: str | None


class Taxon(Shape):
    """A taxon and how probable it is."""

    rank: str
    name: str
    taxon_key: str | None
    probability: float


class Answer(Shape):
    """What is on a photograph."""

    photo: str
    model: ModelName
    target: float | None
    within: list[str]
    renormalise: bool
    taxon: str
    rank: str
    taxon_key: str | None
    depth: int
    probability: float
    threshold: float
    rule: str
    lineage: list[Taxon]
    top: list[Taxon]
    watch: list[dict[str, Any]]
    novelty: dict[str, Any] | None


class PhotoFailure(Shape):
    """Why a photograph has no answer."""

    photo: str
    error: str


class Identified(Shape):
    """The answers about the photographs of a request, in order."""

    model: ModelName
    answers: list[Answer | PhotoFailure]


class View(Shape):
    """A part of a photograph."""

    box: list[float] = Field(description="Left, upper, right and lower edge, as fractions.", min_length=4, max_length=4)
    mirrored: bool
    image: str = Field(description="A data address.")


class Views(Shape):
    """A photograph and what the network sees of it."""

    width: int
    height: int
    views: list[View]
    photo: str = Field(description="A data address.")


class Example(Shape):
    """A photograph of the dataset."""

    src: str
    creator: str | None
    licence: str | None
    licence_url: str | None
    link: str | None
    species: str
