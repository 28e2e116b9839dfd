"""Several requests by one run of curl."""

import shutil
import subprocess
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from urllib.parse import urlsplit

import pytest

from verification import curls
from verification.checks import Unjudged
from verification.pods import Executed


class Handler(BaseHTTPRequestHandler):
    """Answers with the method, the path and the address of the connection, which it would keep."""

    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        text = f"{self.command} {self.path} {self.client_address[1]}\n\n".encode()
        self.send_response(403 if self.path == "/denied" else 200)
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        if self.command == "GET":
            self.wfile.write(text)

    do_HEAD = do_GET  # noqa: N815 - the name that http.server looks for

    def log_message(self, *_: object) -> None:
        """Print nothing."""


@pytest.fixture
def url() -> Iterator[str]:
    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_address[1]}"
        server.shutdown()


def curl(*arguments: str) -> Executed:
    program = shutil.which("curl")
    assert program
    done = subprocess.run([program, *arguments], check=False, capture_output=True)
    return Executed(done.returncode, done.stdout.decode(), done.stderr.decode())


def test_each_request_has_its_own_outcome_and_connection(url: str) -> None:
    calls: list[tuple[str, ...]] = []

    def counted(*arguments: str) -> Executed:
        calls.append(arguments)
        return curl(*arguments)

    port = urlsplit(url).port
    nobody = ("-sS", "--resolve", f"none.invalid:{port}:127.0.0.2", f"http://none.invalid:{port}/")
    requests: list[tuple[str, ...]] = [("-sS", "-i", f"{url}/{number}") for number in range(12)]
    requests[3:3] = [nobody, ("-sS", "-I", f"{url}/head"), ("-sS", "-i", f"{url}/denied")]
    done = curls.each(counted, requests)
    assert [each.code for each in done] == [0] * 3 + [7] + [0] * 11
    assert done[3].stdout == ""
    assert "connect" in done[3].stderr.lower()
    assert done[4].stdout.startswith("HTTP/1.1 200")
    assert done[4].stdout.endswith("\r\n\r\n")
    assert done[5].stdout.startswith("HTTP/1.1 403")
    bodies = [each.stdout.partition("\r\n\r\n")[2] for each in (*done[:3], *done[6:])]
    assert [body.split()[1] for body in bodies] == [f"/{number}" for number in range(12)]
    assert all(body.endswith("\n\n") for body in bodies), "as the server sent it"
    assert len({body.split()[2] for body in bodies}) == 12
    assert len(calls) == 2


@pytest.mark.parametrize("printed", ["", "HTTP/1.1 200 OK\r\n\r\n\n 0 \n"])
def test_run_that_does_not_say_how_each_request_ended_is_unjudged(printed: str) -> None:
    with pytest.raises(Unjudged, match="curl ended with 2 before its last request: unknown option"):
        curls.each(lambda *_: Executed(2, printed, "unknown option"), [("-sS", "http://a")])
