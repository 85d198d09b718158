"""The shapes of Pl@ntNet's API, version 2, as its clients read them: https://my.plantnet.org/doc/api/identify."""

from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from ml.page.api_shapes import Answer


class PlantNetShape(BaseModel):
    """Clients leave fields alone that they do not know."""

    model_config = ConfigDict(extra="allow")


class PlantNetRefusal(PlantNetShape):
    """Why there is no answer."""

    statusCode: int  # noqa: N815 (Pl@ntNet's name)
    error: str = Field(description="The status in words.")
    message: str = Field(description="One sentence.")
    detail: str = Field(description="The same, as this server's other routes give it.")


class PlantNetQuery(PlantNetShape):
    """What was asked."""

    project: str
    images: list[str]
    organs: list[str]
    includeRelatedImages: bool  # noqa: N815
    noReject: bool  # noqa: N815
    type: str | None


class PlantNetName(PlantNetShape):
    """A scientific name; authors are unknown here, and empty."""

    scientificNameWithoutAuthor: str  # noqa: N815
    scientificNameAuthorship: str  # noqa: N815
    scientificName: str  # noqa: N815


class PlantNetSpecies(PlantNetName):
    """A species."""

    genus: PlantNetName
    family: PlantNetName
    commonNames: list[str]  # noqa: N815


class PlantNetKey(PlantNetShape):
    """A key in another register."""

    id: str


class PlantNetResult(PlantNetShape):
    """A species and how probable it is."""

    score: float
    species: PlantNetSpecies
    images: list[dict[str, Any]] | None = Field(default=None, description="Where related images were asked for.")
    gbif: PlantNetKey | None = Field(default=None, description="Where the key is one of GBIF's backbone.")


class PlantNetAnswer(PlantNetShape):
    """The species that are on the photographs of one organism, the most probable first."""

    query: PlantNetQuery
    language: str
    preferedReferential: str  # noqa: N815
    bestMatch: str  # noqa: N815
    results: list[PlantNetResult]
    predictedOrgans: list[dict[str, Any]]  # noqa: N815
    version: str
    remainingIdentificationRequests: int  # noqa: N815
    naturewatch: Answer = Field(
        description="This server's own answer: the deepest taxon that it can promise, as `POST /api/identify` gives it."
    )


class PlantNetProject(PlantNetShape):
    """A flora."""

    id: str
    title: str
    description: str
    speciesCount: int  # noqa: N815
