"""The page and its endpoint as one application: routes, what they share, and how they refuse."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any, Final, cast

from fastapi import FastAPI, HTTPException, Request
from fastapi.exceptions import RequestValidationError
from fastapi.middleware.cors import CORSMiddleware
from fastapi.openapi.utils import get_openapi
from fastapi.responses import FileResponse, JSONResponse, Response
from fastapi.staticfiles import StaticFiles
from starlette.exceptions import HTTPException as StarletteHTTPException

from ml.page import export_api, page_api, place_api, plantnet
from ml.page.answer_queue import AnswerQueue
from ml.page.api_shapes import ExportRequest
from ml.page.following import Follower
from ml.page.guard import Guard
from ml.page.page_settings import PageSettings
from ml.page.photo_examples import PhotoExamples
from ml.page.shared import Shared
from ml.page.traffic import CONTENT_TYPE, Traffic
from ml.serving.question import QuestionError

STATIC: Final = Path(__file__).resolve().with_name("static")
REPORT_POLICY: Final = (
    "default-src 'none'; img-src data:; style-src 'unsafe-inline'; script-src 'unsafe-inline'; frame-ancestors 'none'; "
    "sandbox allow-scripts allow-popups"
)
"""The report is one file with its own scripts, apart from this server: its pages cannot ask it."""
DESCRIPTION: Final = (
    "Names what is on photographs, at the rank that can be promised. `POST /v2/identify/{project}` answers in "
    "Pl@ntNet's format."
)


def create_app(settings: PageSettings, *, follower: Follower | None = None) -> FastAPI:
    """The application.

    Args:
        settings: What it serves.
        follower: Which version answers; None: the one that `settings` names, loaded when the application starts.

    Raises:
        DataError: the table of examples cannot be read.
    """
    traffic = Traffic()
    following = follower or Follower(settings)
    queue = AnswerQueue(settings.limits, traffic=traffic)
    examples = PhotoExamples.read(settings.examples, folder=settings.photos)

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        task = asyncio.create_task(following.follow())
        yield
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task
        queue.close()

    app = FastAPI(
        title="NatureWatch", description=DESCRIPTION, lifespan=lifespan, docs_url=None, redoc_url=None,
        telemetry=None, redirect_slashes=False,
    )  # fmt: skip
    app.state.shared = Shared(settings=settings, follower=following, queue=queue, examples=examples, traffic=traffic)
    app.add_exception_handler(StarletteHTTPException, _refused)
    app.add_exception_handler(QuestionError, _question)
    app.add_exception_handler(RequestValidationError, _validation)
    app.openapi = lambda: _described(app)  # type: ignore[method-assign]
    if settings.origins:
        app.add_middleware(CORSMiddleware, allow_origins=sorted(settings.origins), allow_methods=["GET", "POST"])
    app.add_middleware(Guard, settings=settings, traffic=traffic)
    for routes in (page_api, place_api, export_api, plantnet):
        app.include_router(routes.router)
    app.mount("/static", StaticFiles(directory=STATIC), name="static")

    @app.get("/", include_in_schema=False)
    async def page() -> Response:
        index = STATIC / "index.html"
        if not index.is_file():
            raise HTTPException(404, "this installation has no page, only its endpoint")
        return FileResponse(index, headers={"Cache-Control": "no-cache"})

    @app.get("/report", include_in_schema=False)
    async def report() -> Response:
        path = settings.report
        if path is None or not path.is_file():
            raise HTTPException(404, "there is no report of this dataset")
        return FileResponse(path, headers={"Content-Security-Policy": REPORT_POLICY, "Cache-Control": "no-cache"})

    @app.get("/metrics", include_in_schema=False)
    async def metrics() -> Response:
        model = following.model
        return Response(traffic.text(model={} if model is None else model.model), media_type=CONTENT_TYPE)

    return app


def _described(app: FastAPI) -> dict[str, Any]:
    """The OpenAPI description, with the shape of a body that a route reads by itself."""
    if app.openapi_schema is None:
        described = get_openapi(title=app.title, version=app.version, description=app.description, routes=app.routes)
        shape = ExportRequest.model_json_schema(ref_template="#/components/schemas/{model}")
        described["components"]["schemas"] |= shape.pop("$defs") | {ExportRequest.__name__: shape}
        app.openapi_schema = described
    return app.openapi_schema


async def _refused(request: Request, error: Exception) -> Response:
    refused = cast("StarletteHTTPException", error)
    return _refusal(request, refused.status_code, str(refused.detail), dict(refused.headers or {}))


async def _question(request: Request, error: Exception) -> Response:
    return _refusal(request, 422, str(error))


async def _validation(request: Request, error: Exception) -> Response:
    first = cast("RequestValidationError", error).errors()[0]
    place = " > ".join(str(step) for step in first["loc"])
    return _refusal(request, 422, f"{place}: {first['msg']}")


def _refusal(request: Request, status: int, sentence: str, headers: dict[str, str] | None = None) -> Response:
    if request.url.path.startswith(f"{plantnet.PREFIX}/"):
        return plantnet.refusal(status, sentence, headers)
    return JSONResponse({"detail": sentence}, status, headers=headers)
