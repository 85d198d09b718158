"""The page and its endpoint as one application: routes, what they share, and how they refuse."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Final, cast

from fastapi import FastAPI, HTTPException, Request
from fastapi.exceptions import RequestValidationError
from fastapi.middleware.cors import CORSMiddleware
from fastapi.responses import FileResponse, JSONResponse, Response
from fastapi.staticfiles import StaticFiles

from ml.page import page_api
from ml.page.answer_queue import AnswerQueue
from ml.page.following import Follower
from ml.page.guard import Guard
from ml.page.page_settings import PageSettings
from ml.page.photo_examples import PhotoExamples
from ml.page.shared import Shared
from ml.page.traffic import CONTENT_TYPE, Traffic
from ml.serving.question import QuestionError

STATIC: Final = Path(__file__).resolve().with_name("static")
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
    app.add_exception_handler(QuestionError, _question)
    app.add_exception_handler(RequestValidationError, _validation)
    if settings.origins:
        app.add_middleware(CORSMiddleware, allow_origins=sorted(settings.origins), allow_methods=["GET", "POST"])
    app.add_middleware(Guard, settings=settings, traffic=traffic)
    app.include_router(page_api.router)
    app.mount("/static", StaticFiles(directory=STATIC), name="static")

    @app.get("/", include_in_schema=False)
    async def page() -> Response:
        index = STATIC / "index.html"
        if not index.is_file():
            raise HTTPException(404, "this installation has no page, only its endpoint")
        return FileResponse(index, headers={"Cache-Control": "no-cache"})

    @app.get("/metrics", include_in_schema=False)
    async def metrics() -> Response:
        model = following.model
        return Response(traffic.text(model={} if model is None else model.model), media_type=CONTENT_TYPE)

    return app


async def _question(_: Request, error: Exception) -> Response:
    return JSONResponse({"detail": str(error)}, 422)


async def _validation(_: Request, error: Exception) -> Response:
    first = cast("RequestValidationError", error).errors()[0]
    place = " > ".join(str(step) for step in first["loc"])
    return JSONResponse({"detail": f"{place}: {first['msg']}"}, 422)
