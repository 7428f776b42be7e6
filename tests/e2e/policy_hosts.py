"""A host of the Web on loopback: serves policies, and takes reports."""

import ssl
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Self


class PolicyHosts:
    """Runs while it is entered. `policies` are texts by domain.

    `fetched` has the names of hosts that were asked for a policy, `posted` has paths with what came
    there.
    """

    def __init__(self, context: ssl.SSLContext) -> None:
        self.policies: dict[str, str] = {}
        self.fetched: list[str] = []
        self.posted: list[tuple[str, bytes]] = []
        hosts = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                name = self.headers["Host"].partition(":")[0]
                hosts.fetched.append(name)
                policy = hosts.policies.get(name.removeprefix("mta-sts."))
                if policy is None or self.path != "/.well-known/mta-sts.txt":
                    self.send_error(404)
                    return
                self._say(200, policy.encode())

            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                hosts.posted.append((self.path, body))
                self._say(201, b"")

            def _say(self, status: int, body: bytes) -> None:
                self.send_response(status)
                self.send_header("Content-Type", "text/plain")
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, format: str, *args: object) -> None:
                """Nothing: a test says what it sees."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.socket = context.wrap_socket(
            self._server.socket, server_side=True, do_handshake_on_connect=False
        )
        self._thread = threading.Thread(target=self._server.serve_forever, args=[0.05])
        self.port: int = self._server.server_address[1]

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()
