"""Which version answers: the one that the registry's alias names, looked up again and again.

A new version is loaded beside the old one and takes its place between two requests. While it cannot be loaded, or the
registry cannot be read, the old one goes on answering.
"""

import asyncio
import logging
from collections.abc import Callable
from typing import Final

from fastapi import HTTPException

from ml.errors import MlError
from ml.page.page_settings import PageSettings
from ml.page.served_model import ServedModel
from ml.serving.versions import Version, find_version

log = logging.getLogger(__name__)

RETRY_SECONDS: Final = 60
"""Before a version that could not be loaded is tried again."""
LOADING: Final = "the model is being loaded"


class Follower:
    """Holds the version that answers."""

    def __init__(
        self, settings: PageSettings, *, find: Callable[..., Version] = find_version,
        load: Callable[..., ServedModel] = ServedModel.load,
    ) -> None:  # fmt: skip
        """Follow what `settings` names; nothing is loaded yet."""
        self._settings, self._find, self._load = settings, find, load
        self._model: ServedModel | None = None
        self._refused: tuple[str, float] | None = None
        self.problem: str | None = LOADING
        """Why no version answers, or why not the one that the alias names; None where all is well."""

    @property
    def model(self) -> ServedModel | None:
        """The version that answers, if there is one."""
        return self._model

    def answering(self) -> ServedModel:
        """The version that answers a request from its beginning to its end.

        Raises:
            HTTPException: there is none (503).
        """
        if self._model is None:
            raise HTTPException(503, self.problem or LOADING, headers={"Retry-After": "5"})
        return self._model

    async def start(self) -> None:
        """Load the version that the alias names.

        Raises:
            MlError: there is none, or it cannot be loaded.
        """
        try:
            await self._update()
        except MlError as error:
            self.problem = str(error)
            raise

    async def follow(self) -> None:
        """Look at the registry from time to time, until cancelled."""
        while True:
            await asyncio.sleep(self._settings.poll_seconds)
            try:
                await self._update()
            except Exception as error:  # noqa: BLE001 (told in full)
                # Whatever a version is made of, it must not end the one that answers.
                self._tell(error)

    async def _update(self) -> None:
        settings = self._settings
        name, uri = settings.model_name, settings.tracking_uri
        found = await asyncio.to_thread(self._find, uri=uri, name=name, alias=settings.alias)
        if self._model is not None and found.number == self._model.number:
            self.problem = self._refused = None
            return
        now = asyncio.get_running_loop().time()
        if self._refused is not None and self._refused[0] == found.number and now < self._refused[1]:
            return
        try:
            model = await asyncio.to_thread(self._load, uri=uri, name=name, number=found.number, names=settings.names)
        except Exception:
            self._refused = found.number, now + RETRY_SECONDS
            raise
        before, self._model = self._model, model
        self.problem = self._refused = None
        was = "" if before is None else f"; version {before.number} did so far"
        log.info("version %s of %s answers%s", model.number, name, was)

    def _tell(self, error: Exception) -> None:
        problem = str(error) if isinstance(error, MlError) else f"the model cannot be loaded: {error!r}"
        if problem != self.problem:
            log.warning("%s", problem, exc_info=None if isinstance(error, MlError) else error)
        self.problem = problem
