"""What stands before every request: who may ask, how the answer may be used, and what is counted.

Browsers let any page send requests to this machine. A name that resolves to it (DNS rebinding) is known by the header
Host, another site's page by the header Origin.
"""

import logging
from typing import Final
from urllib.parse import urlsplit

from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import ClientDisconnect
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from ml.page.page_settings import PageSettings
from ml.page.traffic import Traffic

log = logging.getLogger(__name__)

POLICY: Final = (
    "default-src 'self'; img-src 'self' blob: data:; object-src 'none'; base-uri 'none'; form-action 'self'; "
    "frame-ancestors 'none'"
)
HEADERS: Final = {
    "Content-Security-Policy": POLICY,
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cache-Control": "no-store",
}
"""Of every answer that does not say otherwise."""
_READING: Final = frozenset({"GET", "HEAD", "OPTIONS"})


class Guard:
    """ASGI middleware around the whole application."""

    def __init__(self, app: ASGIApp, *, settings: PageSettings, traffic: Traffic) -> None:
        """Stand before `app`."""
        self._app, self._settings, self._traffic = app, settings, traffic

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request, or let it in."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        status = 0

        async def answer(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                headers = MutableHeaders(scope=message)
                for name, value in HEADERS.items():
                    headers.setdefault(name, value)
            await send(message)

        try:
            await self._answered(scope, receive, answer)
        except ClientDisconnect:
            self._traffic.errors.labels("client_gone").inc()
        except Exception:
            log.exception("%s %s failed", scope["method"], scope["path"])
            self._traffic.errors.labels("internal").inc()
            if status:
                raise
            refusal = JSONResponse({"detail": "this request failed; the server's log says why"}, 500)
            await refusal(scope, receive, answer)
        finally:
            self._count(scope, status)

    async def _answered(self, scope: Scope, receive: Receive, send: Send) -> None:
        reason = self._refusal(scope)
        if reason is None:
            await self._app(scope, receive, send)
        else:
            status, sentence = reason
            await JSONResponse({"detail": sentence}, status)(scope, receive, send)

    def _refusal(self, scope: Scope) -> tuple[int, str] | None:
        headers = Headers(scope=scope)
        host = headers.get("host", "")
        if _name_of(host) not in self._settings.hosts:
            return 400, "this server is not called so: name it with --allow-host where it may be"
        origin = headers.get("origin")
        if scope["method"] not in _READING and origin is not None and not self._same(origin, host):
            return 403, "another site's page may not ask this server: name it with --allow-origin where it may"
        return None

    def _same(self, origin: str, host: str) -> bool:
        if origin in self._settings.origins:
            return True
        scheme, separator, place = origin.partition("://")
        return bool(separator) and scheme in {"http", "https"} and place.lower() == host.lower()

    def _count(self, scope: Scope, status: int) -> None:
        route = getattr(scope.get("route"), "path", None)
        if route is None:
            route = "/static" if scope["path"].startswith("/static/") else "other"
        self._traffic.requests.labels(route, str(status or "none")).inc()
        if status >= 400:
            self._traffic.errors.labels(str(status)).inc()


def _name_of(host: str) -> str | None:
    """The name in a header Host, in lower case and without the port."""
    try:
        return urlsplit(f"//{host}").hostname
    except ValueError:
        return None
