"""What the page's map asks for: coasts, where the version has learnt, and the place that a person wrote."""

import functools
import gzip
import json
from typing import Annotated, Any, Final

import numpy as np
from fastapi import APIRouter, HTTPException, Query, Request
from fastapi.responses import JSONResponse, Response

from ml.coastline import Line, coastline
from ml.page import api_shapes
from ml.page.page_api import Server, refusals
from ml.places.reading import PlaceError, place_of

router = APIRouter()

UNITS: Final = 100
"""Steps of a degree, as the coastline of the package has them."""


@router.get("/api/place", responses=refusals(422))
async def place(
    text: Annotated[str, Query(max_length=500, description="What a person wrote or pasted, latitude first.")],
) -> api_shapes.PlaceRead:
    """The place that a text names, or why it names none."""
    try:
        return api_shapes.PlaceRead(place=list(place_of(text)), problem=None)
    except PlaceError as error:
        return api_shapes.PlaceRead(place=None, problem=str(error))


@router.get("/api/occurrences", responses=refusals(404, 503))
async def occurrences(server: Server) -> api_shapes.Occurrences:
    """Where the version has learnt: how many occurrences lie in each cell of a coarse grid."""
    model = server.follower.answering()
    cells = await server.queue.in_decoder(lambda: model.cells)
    if cells is None:
        raise HTTPException(404, "this version knows no places")
    return JSONResponse(cells)  # type: ignore[return-value]


@router.get("/coastline.json", include_in_schema=False)
async def outlines(request: Request) -> Response:
    """Land and borders of the world, which the map loads when it is opened."""
    headers = {"Cache-Control": "private, max-age=86400", "Vary": "Accept-Encoding"}
    packed = packed_outlines()
    if "gzip" in request.headers.get("accept-encoding", ""):
        return Response(packed, media_type="application/json", headers={**headers, "Content-Encoding": "gzip"})
    return Response(gzip.decompress(packed), media_type="application/json", headers=headers)


@functools.cache
def packed_outlines() -> bytes:
    """The coastline as compressed JSON: `unit`, and of each line of `land` and `borders` its steps from point to point.

    Steps are those of longitude and latitude in turn, in `unit` parts of a degree; the first is from 0, 0.
    """
    world = coastline()
    written: dict[str, Any] = {
        "unit": UNITS,
        "land": [_steps(ring) for ring in world.land],
        "borders": [_steps(line) for line in world.borders],
    }
    return gzip.compress(json.dumps(written, separators=(",", ":")).encode("ascii"), mtime=0)


def _steps(line: Line) -> list[int]:
    points = np.rint(line * UNITS).astype(np.int64)
    steps: list[int] = np.diff(points, axis=0, prepend=np.zeros((1, 2), np.int64)).ravel().tolist()
    return steps
