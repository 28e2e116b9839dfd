"""Requests to the admin interface of a Pod's Envoy, through an API server."""

import pytest

from proxies.forward import Forbidden, Unreadable, admin
from tests.unit.proxies.served import Server, api_server, chunked

PATH = "GET /api/v1/namespaces/istio-system/pods/gateway-1/portforward?ports=15000 HTTP/1.1"
ONE, OTHER = chunked(b'{"configs": [%s]}' % b", ".join([b'"one"'] * 100)), chunked(b'{"configs": ["other"]}')


def read(server: Server, *paths: str) -> list[object]:
    with api_server(server) as cluster, admin(cluster, "istio-system", "gateway-1") as interface:
        return [interface.read(path)["configs"] for path in paths]


def refusal(server: Server) -> str:
    with pytest.raises(Unreadable) as caught:
        read(server, "/config_dump")
    assert not isinstance(caught.value, Forbidden)
    return str(caught.value)


def test_requests_go_over_one_forwarded_port_with_the_clusters_credentials() -> None:
    server = Server({"/one": ONE, "/other": OTHER})
    assert read(server, "/one", "/other", "/one") == [["one"] * 100, ["other"], ["one"] * 100]
    assert server.heard == [PATH, "bearer token", "/one", "/other", "/one"]


def test_user_who_may_not_forward_ports_is_told_apart() -> None:
    with pytest.raises(Forbidden, match=r"refuses to forward port 15000: 403$"):
        read(Server({}, refusal="403 Forbidden"), "/config_dump")


def test_user_whose_token_has_expired_lacks_no_right() -> None:
    assert refusal(Server({}, refusal="401 Unauthorized")).endswith("refuses to forward port 15000: 401")


def test_messages_without_content_are_passed_over() -> None:
    assert read(Server({"/one": ONE}, empty=True), "/one") == [["one"] * 100]


def test_pod_that_is_gone_is_unreadable() -> None:
    assert refusal(Server({}, refusal="404 Not Found")) == "the API server refuses to forward port 15000: 404"


def test_port_that_nobody_listens_at_is_unreadable_in_the_kubelets_words() -> None:
    assert refusal(Server({}, error="dial tcp4 127.0.0.1:15000: connection refused")).endswith(
        "dial tcp4 127.0.0.1:15000: connection refused; its ProxyConfig must leave proxyAdminPort at 15000"
    )
    assert refusal(Server({}, error="lost connection to pod")).endswith("lost connection to pod")


@pytest.mark.parametrize(
    "answer",
    [
        b"",
        chunked(b"not JSON"),
        chunked(b"[]"),
        b"HTTP/1.1 404 Not Found\r\ncontent-length: 2\r\n\r\n{}",
        b"HTTP/1.1 503 Service Unavailable\r\ncontent-length: 0\r\n\r\n",
    ],
)
def test_answer_that_is_no_dump_is_unreadable(answer: bytes) -> None:
    assert refusal(Server({"/config_dump": answer} if answer else {}))


def test_connection_that_envoy_closes_is_not_opened_anew() -> None:
    last = ONE.replace(b"\r\n", b"\r\nconnection: close\r\n", 1)
    with pytest.raises(Unreadable, match="NotConnected"):
        read(Server({"/one": last}), "/one", "/one")


def test_api_server_that_is_away_is_unreadable() -> None:
    with api_server(Server({})) as cluster:
        pass
    with pytest.raises(Unreadable, match="cannot be forwarded"), admin(cluster, "istio-system", "gateway-1"):
        pass
