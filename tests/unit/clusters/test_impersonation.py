"""Requests as another user, by the kubeconfig."""

from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import pytest

from clusters import connect
from settings import ClusterAccess, ConfigError
from tests.support.kubeconfigs import write_kubeconfig
from tests.unit.clusters.served import TOKEN
from verification import pods
from verification.checks import Skipped

Heard = list[list[tuple[str, str]]]


@pytest.fixture
def server() -> Iterator[tuple[str, Heard]]:
    """Return the URL of an API server, and the headers of each request that it hears."""
    heard: Heard = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            heard.append([(name, value) for name, value in self.headers.items() if name.startswith("Impersonate")])
            body = b'{"metadata": {"uid": "uid"}, "items": []}'
            self.send_response(200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        do_POST = do_PATCH = do_DELETE = do_GET  # noqa: N815 - the names that the library calls

        def log_message(self, *_: Any) -> None:
            pass

    found = HTTPServer(("127.0.0.1", 0), Handler)
    Thread(target=found.serve_forever, args=(0.01,), daemon=True).start()
    yield f"http://127.0.0.1:{found.server_port}", heard
    found.shutdown()
    found.server_close()


def access(path: Path, url: str, **user: Any) -> ClusterAccess:
    kubeconfig = write_kubeconfig(path / "config", url, user={"token": TOKEN} | user)
    return ClusterAccess(path="target", kubeconfig=kubeconfig, context="")


def test_every_request_impersonates_as_the_kubeconfig_demands(tmp_path: Path, server: tuple[str, Heard]) -> None:
    url, heard = server
    extra = {"Scopes/a%b": ["view", "edit"]}
    user = {"as": "deployer", "as-groups": ["a", "b"], "as-uid": "7", "as-user-extra": extra}
    cluster = connect(access(tmp_path, url, **user))
    cluster.create("/made", {})
    cluster.patch("/made", {})
    cluster.delete("/made", "uid")
    expected = [
        ("Impersonate-User", "deployer"),
        ("Impersonate-Uid", "7"),
        ("Impersonate-Group", "a"),
        ("Impersonate-Group", "b"),
        ("Impersonate-Extra-scopes%2Fa%25b", "view"),
        ("Impersonate-Extra-scopes%2Fa%25b", "edit"),
    ]
    assert heard == [expected] * 4
    assert '"as": "deployer"' in cluster.kubeconfig, "the provider impersonates likewise"


@pytest.mark.parametrize("user", [{}, {"as": ""}, {"as-groups": ["a"]}])
def test_requests_without_a_user_to_impersonate_have_no_such_header(
    tmp_path: Path, server: tuple[str, Heard], user: dict[str, Any]
) -> None:
    url, heard = server
    connect(access(tmp_path, url, **user))
    assert heard == [[]]


@pytest.mark.parametrize(
    ("user", "key"),
    [
        ({"as": "de\nployer"}, "as"),
        ({"as": "dé"}, "as"),
        ({"as": 7}, "as"),
        ({"as": "a", "as-groups": ["b", 7]}, "as-groups"),
        ({"as": "a", "as-uid": [["b"]]}, "as-uid"),
        ({"as": "a", "as-user-extra": {"scopes": [None]}}, "as-user-extra"),
    ],
)
def test_user_that_no_header_can_hold_is_refused_by_its_key(tmp_path: Path, user: dict[str, Any], key: str) -> None:
    with pytest.raises(ConfigError) as caught:
        connect(access(tmp_path, "http://127.0.0.1:1", **user))
    assert str(caught.value).startswith(f"kyma-mtls:target.kubeconfig: {key} of its user is not of printable ASCII")


def test_commands_in_pods_are_skipped_where_the_kubeconfig_impersonates(
    tmp_path: Path, server: tuple[str, Heard]
) -> None:
    cluster = connect(access(tmp_path, server[0], **{"as": "deployer"}))
    with pytest.raises(Skipped, match="impersonates another user"):
        pods.execute(cluster.api, "shop", "orders", "main", "true")
