"""Pl@ntNet's wire format, version 2, so that clients made for it can ask this server.

Up to five photographs of one organism are answered as one, with the most probable species and their calibrated
probabilities. Where the model is not sure of any kingdom the answer is Pl@ntNet's refusal `Species not found`, unless
`no-reject` asks for a list all the same. Source: https://my.plantnet.org/doc/api/identify
"""

from http import HTTPStatus
from typing import Annotated, Any, Final

from fastapi import APIRouter, HTTPException, Query, Request
from fastapi.responses import JSONResponse, Response

from ml.page import plantnet_shapes as shapes
from ml.page.answer_queue import name_of, unless_gone
from ml.page.page_api import UPLOADS, Server, files_field, multipart
from ml.page.served_model import Answer, ServedModel
from ml.page.shared import Shared
from ml.page.uploads import Form, uploaded
from ml.serving.question import Question
from ml.taxonomy import Taxonomy

PREFIX: Final = "/v2"
router = APIRouter(prefix=PREFIX)

MOST_IMAGES: Final = 5
ORGANS: Final = ("auto", "leaf", "flower", "fruit", "bark", "habit", "other", "branch", "scan", "drawing")
NO_QUOTA: Final = 2**31 - 1
"""Requests that a client has left, in a field that clients read as a 32-bit number."""
NOT_FOUND: Final = "Species not found"
RELATED: Final = 3
"""Example photographs of each species."""
BACKBONE: Final = "https://www.gbif.org/species/"
REFUSALS: Final[dict[int | str, dict[str, Any]]] = {
    status: {"model": shapes.PlantNetRefusal} for status in (404, *UPLOADS)
}


def refusal(status: int, message: str, headers: dict[str, str] | None = None) -> Response:
    """A refusal as Pl@ntNet's clients read it."""
    said = {"statusCode": status, "error": HTTPStatus(status).phrase, "message": message, "detail": message}
    return JSONResponse(said, status, headers=headers)


@router.get("/_status")
async def status(server: Server) -> dict[str, str]:
    """Whether this server answers."""
    server.follower.answering()
    return {"status": "ok"}


@router.get("/languages")
async def languages() -> list[str]:
    """The languages of common names: the one of the table that the server was given."""
    return ["en"]


@router.get("/projects", responses=REFUSALS)
async def projects(server: Server) -> list[shapes.PlantNetProject]:
    """The floras that can be asked for: the taxa of the model."""
    model = server.follower.answering()
    count = model.identification.answering.taxonomy.class_count
    about = f"{count} species that {model.model['name']} version {model.number} knows"
    return [shapes.PlantNetProject(id="all", title="All species", description=about, speciesCount=count)]


@router.get("/identify/{project}", include_in_schema=False)
async def identify_addresses(project: str) -> Response:
    """Pl@ntNet fetches photographs from addresses; this server fetches nothing."""
    del project
    raise HTTPException(400, "this server fetches no addresses: send the photographs by POST")


@router.post(
    "/identify/{project}",
    responses=REFUSALS,
    openapi_extra=multipart(
        images=files_field(MOST_IMAGES),
        organs={"type": "array", "items": {"type": "string", "enum": list(ORGANS)}, "maxItems": MOST_IMAGES},
    ),
)
async def identify(
    request: Request,
    server: Server,
    *,
    project: str,
    lang: Annotated[str, Query(max_length=20)] = "en",
    results: Annotated[int, Query(alias="nb-results", ge=1, le=100)] = 10,
    related: Annotated[bool, Query(alias="include-related-images")] = False,
    no_reject: Annotated[bool, Query(alias="no-reject")] = False,
) -> shapes.PlantNetAnswer:
    """The species that one to five photographs of one organism show. Any project and any `api-key` will do."""
    model = server.follower.answering()
    question = Question(top=results)
    with server.queue.place():
        async with uploaded(request, file_field="images", most=MOST_IMAGES, limits=server.settings.limits) as form:
            organs = _organs(form)
            names = [name_of(photo) for photo in form.photographs]
            work = server.queue.answers(
                model, form.photographs, question, model.plan(question), together=len(names) > 1
            )
            (answer,) = await unless_gone(request, work)
    if "error" in answer:
        raise HTTPException(400, answer["error"])
    if answer["depth"] == 0 and not no_reject:
        raise HTTPException(404, NOT_FOUND)
    examples = _Related(server, base=str(request.base_url).rstrip("/")) if related else None
    found = _results(answer, model, examples)
    document = {
        "query": {
            "project": project, "images": names, "organs": organs, "includeRelatedImages": related,
            "noReject": no_reject, "type": None,
        },
        "predictedOrgans": [],
        "language": lang,
        "preferedReferential": model.model["name"],
        "bestMatch": found[0]["species"]["scientificName"],
        "results": found,
        "version": f"{model.model['name']} {model.number}",
        "remainingIdentificationRequests": NO_QUOTA,
        "naturewatch": answer,
    }  # fmt: skip
    return JSONResponse(document)  # type: ignore[return-value]


def _organs(form: Form) -> list[str]:
    """The organ of each photograph.

    Raises:
        HTTPException: there are not as many as photographs, or one is unknown (400).
    """
    organs = form.lists.get("organs", [])
    unknown = [organ for organ in organs if organ not in ORGANS]
    if unknown:
        raise HTTPException(400, f"organs must be of {', '.join(ORGANS)}")
    if organs and len(organs) != len(form.photographs):
        raise HTTPException(400, f"there are {len(form.photographs)} images, but {len(organs)} organs")
    return list(organs) or ["auto"] * len(form.photographs)


class _Related:
    """Example photographs of species, as Pl@ntNet's related images."""

    def __init__(self, server: Shared, *, base: str) -> None:
        self._examples, self._base = server.examples, base

    def images(self, taxon_key: str | None) -> list[dict[str, Any]]:
        found = [] if taxon_key is None else self._examples.of([taxon_key], limit=RELATED)
        return [
            {
                "organ": "auto",
                "author": example["creator"] or "",
                "license": example["licence"] or "",
                "date": {"timestamp": 0, "string": ""},
                "url": dict.fromkeys("oms", self._base + example["src"]),
                "citation": " / ".join(filter(None, (example["creator"], example["licence"]))),
            }
            for example in found
        ]


def _results(answer: Answer, model: ServedModel, related: _Related | None) -> list[dict[str, Any]]:
    taxonomy = model.identification.answering.taxonomy
    leaves = {(taxonomy.name[leaf], taxonomy.taxon_key[leaf]): leaf for leaf in taxonomy.leaves.tolist()}
    return [
        {
            **_result(species, leaves[species["name"], species["taxon_key"]], taxonomy),
            **({} if related is None else {"images": related.images(species["taxon_key"])}),
        }
        for species in answer["top"]
    ]


def _result(species: dict[str, Any], leaf: int, taxonomy: Taxonomy) -> dict[str, Any]:
    above = {taxonomy.rank[node]: taxonomy.name[node] for node in taxonomy.lineage(leaf)}
    common, page = species["common_name"], species["gbif"] or ""
    return {
        "score": species["probability"],
        "species": {
            **_name(species["name"]),
            "genus": _name(above.get("genus", "")),
            "family": _name(above.get("family", "")),
            "commonNames": [] if common is None else [common],
        },
        **({"gbif": {"id": page.removeprefix(BACKBONE)}} if page.startswith(BACKBONE) else {}),
    }


def _name(name: str) -> dict[str, str]:
    return {"scientificNameWithoutAuthor": name, "scientificNameAuthorship": "", "scientificName": name}
