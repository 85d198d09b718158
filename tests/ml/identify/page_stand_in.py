"""A small HTTP server that speaks the page's API, and can be busy, die, refuse, or turn to another version."""

import email.parser
import email.policy
import json
import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any


@dataclass
class StandIn:
    """What the server says, and what it was asked."""

    registry: str
    model: dict[str, str]
    address: str = ""
    trouble: str = ""
    """`busy`, `dies`, `other version`, `refuses`, `redirects`, `no JSON`, `too few`, or nothing."""
    after: int = 0
    """Requests with photographs that are answered before the trouble."""
    requests: list[dict[str, Any]] = field(default_factory=list)
    headers: list[dict[str, str]] = field(default_factory=list)

    def record(self, folder: Path, **changes: Any) -> Path:  # noqa: ANN401 (whatever a test writes)
        """The file that a page writes."""
        facts = {
            "address": self.address, "pid": os.getpid(), "registry": self.registry, "model_name": self.model["name"],
            "alias": "challenger",
        }  # fmt: skip
        path = folder / "page.json"
        path.write_text(json.dumps({**facts, **changes}), encoding="utf-8")
        return path


@contextmanager
def stand_in(*, registry: str, name: str, version: str) -> Iterator[StandIn]:
    """Serve at a free port of this machine while the block runs."""
    said = StandIn(registry=registry, model={"name": name, "version": version})

    with _Server(said) as server:
        said.address = f"http://127.0.0.1:{server.server_port}"
        thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
        thread.start()
        try:
            yield said
        finally:
            server.shutdown()
            thread.join()


class _Server(ThreadingHTTPServer):
    def __init__(self, said: StandIn) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.said = said


class _Handler(BaseHTTPRequestHandler):
    server: _Server

    def do_GET(self) -> None:
        assert self.path == "/health"
        said = self.server.said
        said.headers.append(dict(self.headers))
        self._json({"status": "ok", "model": said.model, "registry": said.registry})

    def do_POST(self) -> None:
        assert self.path == "/api/identify"
        said = self.server.said
        body = self.rfile.read(int(self.headers["Content-Length"]))
        trouble = said.trouble if len(said.requests) >= said.after else ""
        asked = _parts(self.headers["Content-Type"], body)
        said.requests.append(asked)
        model = {**said.model, "version": "99"} if trouble == "other version" else said.model
        answers = [_answer(content, model) for content in asked["images"]]
        match trouble:
            case "busy":
                self._json({"detail": "16 requests are being answered"}, 429)
            case "refuses":
                self._json({"detail": "too large"}, 413)
            case "dies":
                self.close_connection = True
            case "redirects":
                self._send(b"", 307, Location="http://192.0.2.1/api/identify")
            case "no JSON":
                self._send(b"<html>", 200)
            case _:
                self._json({"model": model, "answers": answers[:-1] if trouble == "too few" else answers})

    def _json(self, document: object, status: int = 200) -> None:
        self._send(json.dumps(document).encode(), status)

    def _send(self, body: bytes, status: int, **headers: str) -> None:
        self.send_response(status)
        for name, value in {**headers, "Content-Length": str(len(body))}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 (the base class's name)
        pass


def _parts(kind: str, body: bytes) -> dict[str, Any]:
    message = email.parser.BytesParser(policy=email.policy.HTTP).parsebytes(
        b"Content-Type: " + kind.encode() + b"\r\n\r\n" + body
    )
    asked: dict[str, Any] = {"images": [], "names": []}
    for part in message.iter_parts():
        name = part.get_param("name", header="content-disposition")
        content = part.get_payload(decode=True)
        assert isinstance(content, bytes)
        if name == "images":
            asked["images"].append(content)
            asked["names"].append(part.get_filename())
        else:
            asked[str(name)] = content.decode()
    return asked


def _answer(content: bytes, model: dict[str, str]) -> dict[str, Any]:
    text = content.decode()
    if text.startswith("broken"):
        return {"photo": "1", "error": f"{text} cannot be decoded"}
    return {"photo": "1", "model": model, "taxon": f"taxon of {text}"}
