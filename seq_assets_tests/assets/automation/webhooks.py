"""A webhook on this machine that keeps what is posted to it."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any, Final

SECRET: Final = "T0P-53CR37"


@dataclass
class Webhook:
    """A webhook.

    Attributes:
        address: Where to post, with a secret in it.
        posted: What was posted: content type and JSON.
        answers: The status codes of the next answers; then 200.
    """

    address: str = ""
    posted: list[tuple[str | None, Any]] = field(default_factory=list)
    answers: list[int] = field(default_factory=list)

    @property
    def texts(self) -> list[str]:
        """The texts that were posted."""
        return [body["text"] for _, body in self.posted]


@contextmanager
def listening() -> Iterator[Webhook]:
    """A webhook that answers while the context lasts."""
    webhook = Webhook()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            webhook.posted.append((self.headers["Content-Type"], json.loads(body)))
            self.send_response(webhook.answers.pop(0) if webhook.answers else 200)
            self.end_headers()

        def log_message(self, *_: Any) -> None:
            """Says nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        webhook.address = f"http://127.0.0.1:{server.server_port}/services/{SECRET}"
        yield webhook
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
