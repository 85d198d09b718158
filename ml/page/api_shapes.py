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
    promises: list[list[str]] = Field(description="K x G; what is promised of whole photographs of any taxon.")


class Places(Shape):
    """What the version knows of places and seasons."""

    cases: list[str] = Field(description="What can be known beside a photograph: neither, place, place_and_date.")
    occurrences: int = Field(description="Of training photographs, whose places and days it has learnt.")
    bounds: list[float] | None = Field(
        description="West, south, east, north, around the occurrences. Where east is less than west, the 180th "
        "meridian lies between them.",
        min_length=4, max_length=4,
    )  # fmt: skip
    thresholds: dict[str, Thresholds] = Field(description="The table of each case with a place.")


class PlaceRead(Shape):
    """The place that a text names, or why it names none."""

    place: list[float] | None = Field(min_length=2, max_length=2, description="Latitude and longitude, WGS 84.")
    problem: str | None = Field(description="What to write instead.")


class Occurrences(Shape):
    """How many occurrences lie in each cell of a grid of latitude and longitude."""

    degrees: float = Field(description="Side of a cell.")
    cells: list[list[float]] = Field(description="Southern and western edge of each, and the number.")


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
    places: Places | None = Field(description="Null where the version knows no places.")
    watch: list[Watched]
    formats: list[str]
    limits: RequestLimits
    report: str | None


class QuestionFields(BaseModel):
    """What is asked about every photograph of a request; without fields, what the version was calibrated for."""

    model_config = ConfigDict(extra="forbid")

    target: float | None = Field(default=None, gt=0, lt=1, description="Accuracy wanted.")
    threshold: float | None = Field(default=None, ge=0, le=1, description="Instead: what an answer's score must reach.")
    within: list[str] | None = Field(default=None, description="Taxa, one of which it is known to be in.")
    renormalise: bool | None = Field(default=None, description="Whether within conditions the probabilities (default).")
    top: int | None = Field(default=None, ge=0, description="How many species to list (default 5).")
    region: list[float] | None = Field(
        default=None, min_length=4, max_length=4, description="Left, upper, right and lower edge, as fractions."
    )
    embedding: bool | None = Field(default=None, description="Whether to answer with the embedding, too.")
    watch: list[str] | None = Field(default=None, description="Taxa to keep an eye on, as TAXON or TAXON=PROBABILITY.")
    place: list[float] | None = Field(
        default=None, min_length=2, max_length=2, description="Latitude and longitude where they were taken, WGS 84."
    )
    uncertainty_m: float | None = Field(
        default=None, gt=0, description="Radius around the place, in metres, that holds the true one."
    )
    date: str | None = Field(default=None, description="When they were taken, in ISO 8601.")
    exif: bool | None = Field(
        default=None, description="Whether each photograph's own place and date count, where nothing else is said."
    )


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
    common_name: str | None
    gbif: str | None = Field(description="The address of its page at GBIF.")
    probability: float


class TopTaxon(Taxon):
    """A species that is likely."""

    probability_alone: float | None = Field(default=None, description="By the photograph alone.")


class Alone(Shape):
    """What a photograph alone would have been answered."""

    taxon: str
    rank: str
    probability: float
    common_name: str | None


class Prior(Shape):
    """What place and season did to an answer."""

    case: str = Field(description="What was known and counts: neither, place, place_and_date.")
    used: bool
    place: list[float] | None = Field(description="Latitude and longitude.")
    day: int | None = Field(description="Of the year, from 1 to 366; 29 February is 60 in every year.")
    nearest_km: float | None = Field(description="From the place to the nearest occurrence.")
    text: str = Field(description="What place and season did, or why they did nothing.")
    alone: Alone
    changed: bool = Field(description="Whether the photograph alone would have been answered otherwise.")
    occurrences: int = Field(description="Of the answered taxon, among the nearest to the place.")


class Candidate(Taxon):
    """The candidate of one depth."""

    depth: int
    score: float = Field(description="The answer at a threshold t is the deepest candidate with a score of at least t.")
    answered: bool


class Stop(Shape):
    """Where the answer stops, and why."""

    reason: str
    next: Candidate | None = Field(description="The candidate that would have followed.")
    text: str


class Promise(Shape):
    """How often such answers are right."""

    target: float | None
    kept: bool | None = Field(description="Null where nothing is promised.")
    text: str


class Alarm(Taxon):
    """A watched taxon."""

    lineage: str
    threshold: float
    alarm: bool


class Novelty(Shape):
    """How unlike all known species a photograph looks."""

    distance: float
    known: float = Field(description="Share of photographs of known species that look at least as unlike.")
    novel: float | None = Field(description="Share of photographs of unknown genera that do.")


class Warned(Shape):
    """What must not be overlooked."""

    kind: str
    text: str


class Answer(Shape):
    """What is on a photograph, or on several of one organism."""

    photo: str
    model: ModelName
    target: float | None
    within: list[str]
    renormalise: bool
    taxon: str
    rank: str
    taxon_key: str | None
    depth: int
    common_name: str | None
    gbif: str | None
    probability: float
    threshold: float
    rule: str
    group: int = Field(description="Position among the groups of the version's thresholds.")
    lineage: list[Taxon]
    path: list[Candidate]
    stop: Stop
    promise: Promise
    top: list[TopTaxon]
    prior: Prior | None = Field(default=None, description="Null where the version knows no places.")
    watch: list[Alarm]
    novelty: Novelty | None
    warnings: list[Warned]


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


class ExportRequest(BaseModel):
    """What is to be written."""

    model_config = ConfigDict(extra="forbid")

    answers: list[Answer | PhotoFailure] = Field(description="Answers and errors, as `POST /api/identify` gave them.")
    options: dict[str, Any] | None = Field(
        default=None,
        description="What the format needs beside them: captured, timezone, occurrences, region, deployments, "
        "metadata, identified, model_uri, references.",
    )
