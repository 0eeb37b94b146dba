"""A Vault that holds secrets: the part of its HTTP API that reading from the KV engines takes, over real HTTP.

Its answers have the shape of a real one's, refusals included: nobody without the token learns whether anything is there.
"""

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

TOKEN = "hvs.hunter2"


class VaultServer(ThreadingHTTPServer):
    """`secret/` is version 2 of the KV engine, `kv/` version 1."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.secrets: dict[str, dict[str, object] | None] = {}
        """What is stored, by mount and path; None: deleted, as version 2 keeps it."""
        self.tells_mounts = True
        """Whether it says which engine is where."""
        self.status = 0
        """Another status that everything is answered with."""
        self.answer: bytes | None = None
        """Another answer that everything is answered with."""
        self.asked: list[str] = []
        """Paths that were asked for."""
        self.stays_silent = threading.Event()
        """Set, it answers nobody."""
        self.may_end = threading.Event()

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"

    @property
    def environ(self) -> dict[str, str]:
        return {"VAULT_ADDR": self.address, "VAULT_TOKEN": TOKEN}


class _Handler(BaseHTTPRequestHandler):
    server: VaultServer

    def do_GET(self) -> None:
        vault = self.server
        path = self.path.removeprefix("/v1/")
        vault.asked.append(path)
        if vault.stays_silent.is_set():
            vault.may_end.wait()
        elif vault.status or vault.answer is not None:
            self._answer(vault.status or 200, vault.answer if vault.answer is not None else _errors("hunter2"))
        elif self.headers.get("X-Vault-Token") != TOKEN:
            self._answer(403, _errors("permission denied"))
        elif path.startswith("sys/internal/ui/mounts/"):
            self._mount(path.removeprefix("sys/internal/ui/mounts/"))
        elif path.startswith("secret/data/"):
            stored = vault.secrets.get("secret/" + path.removeprefix("secret/data/"), ...)
            body = {"data": {"data": stored, "metadata": {"version": 1}}}
            # Of a deleted one Vault answers 404, with a body.
            self._answer(
                404 if stored in (None, ...) else 200, _errors() if stored is ... else json.dumps(body).encode()
            )
        elif path in vault.secrets:
            self._answer(200, json.dumps({"data": vault.secrets[path]}).encode())
        else:
            self._answer(404, _errors())

    def _mount(self, path: str) -> None:
        if not self.server.tells_mounts:
            self._answer(403, _errors("preflight capability check returned 403"))
        elif path.startswith("secret/"):
            body = {"data": {"path": "secret/", "type": "kv", "options": {"version": "2"}}}
            self._answer(200, json.dumps(body).encode())
        else:
            self._answer(200, json.dumps({"data": {"path": "kv/", "type": "kv", "options": None}}).encode())

    def _answer(self, status: int, body: bytes) -> None:
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_request(self, code: object = "-", size: object = "-") -> None:
        pass  # the test's output is not the place


def _errors(*texts: str) -> bytes:
    return json.dumps({"errors": texts}).encode()


@contextmanager
def running_vault() -> Iterator[VaultServer]:
    with VaultServer() as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield server
        finally:
            server.may_end.set()
            server.shutdown()
            thread.join()
