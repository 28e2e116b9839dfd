"""Requests to the admin interface of the Envoy in a Pod, by port-forward: Envoy serves it on loopback alone.

The API server forwards a port over a WebSocket. Each message of that begins with the number of a channel, 0 for data
and 1 for errors; the first one of each channel has the port
(https://github.com/kubernetes/kubernetes/blob/master/pkg/kubelet/server/portforward/websocket.go).
"""

import http.client
import io
import json
import ssl
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http import HTTPStatus
from typing import Any

import websocket
from kubernetes.client import Configuration
from kubernetes.stream.ws_client import V4_CHANNEL_PROTOCOL, websocket_proxycare

from clusters.cluster import Cluster
from clusters.impersonation import ImpersonatingClient

ADMIN_PORT = 15000
"""Where Istio's proxies serve Envoy's admin interface, unless proxyAdminPort of their ProxyConfig says otherwise."""

_TIMEOUT_SECONDS = 10
_DATA, _PORT_BYTES = 0, 2


class Unreadable(Exception):  # noqa: N818 - as NotReady
    """The proxy in a Pod could not be asked; the message says why."""


class Forbidden(Unreadable):
    """The user may not forward ports of Pods, or not list what decides which of them are asked."""


class Admin:
    """The admin interface of one proxy."""

    def __init__(self, socket: websocket.WebSocket) -> None:
        self._connection = http.client.HTTPConnection("localhost")
        self._connection.auto_open = 0  # never to this machine
        self._connection.sock = _Forwarded(socket)  # it uses no more of a socket

    def read(self, path: str, parse: Callable[[bytes], Any] = json.loads) -> dict[str, Any]:
        """Return the JSON object at this path of the admin interface; raise Unreadable if there is none."""
        try:
            self._connection.request("GET", path)
            response = self._connection.getresponse()
            parsed = parse(response.read())
        except (OSError, http.client.HTTPException, websocket.WebSocketException, ValueError) as error:
            raise Unreadable(f"{type(error).__name__}: {error}") from None
        if response.status != HTTPStatus.OK or not isinstance(parsed, dict):
            raise Unreadable(f"Envoy answers {path} with {response.status}")
        return parsed


@contextmanager
def admin(cluster: Cluster, namespace: str, pod: str) -> Iterator[Admin]:
    """Forward the admin port of a Pod; raise Forbidden if the user may not, Unreadable if that fails otherwise."""
    _, url, headers, *_ = cluster.api.param_serialize(
        "GET",
        f"/api/v1/namespaces/{namespace}/pods/{pod}/portforward",
        query_params=[("ports", str(ADMIN_PORT))],
        auth_settings=["BearerToken"],
    )
    settings = cluster.api.configuration
    further = cluster.api.further.iteritems() if isinstance(cluster.api, ImpersonatingClient) else ()
    options: dict[str, Any] = {"header": [f"{name}: {value}" for name, value in (*headers.items(), *further)]}
    if settings.proxy or settings.proxy_headers:
        options = websocket_proxycare(options, settings, url, headers)
    socket = websocket.WebSocket(sslopt=_tls(settings), skip_utf8_validation=True)
    socket.settimeout(_TIMEOUT_SECONDS)
    try:
        socket.connect(url.replace("http", "ws", 1), subprotocols=[V4_CHANNEL_PROTOCOL], **options)
    except websocket.WebSocketBadStatusException as refused:
        kind = Forbidden if refused.status_code == HTTPStatus.FORBIDDEN else Unreadable
        raise kind(f"the API server refuses to forward port {ADMIN_PORT}: {refused.status_code}") from None
    except (OSError, websocket.WebSocketException) as error:
        raise Unreadable(f"port {ADMIN_PORT} cannot be forwarded: {error}") from None
    try:
        yield Admin(socket)
    finally:
        socket.shutdown()


def _tls(settings: Configuration) -> dict[str, Any]:
    """Return the TLS options of a WebSocket that has a client's credentials, as kubernetes.stream makes them."""
    options: dict[str, Any] = {"cert_reqs": ssl.CERT_REQUIRED if settings.verify_ssl else ssl.CERT_NONE}
    if settings.verify_ssl and settings.assert_hostname is not None:
        options["check_hostname"] = settings.assert_hostname
    named = {
        "ca_certs": settings.ssl_ca_cert if settings.verify_ssl else None,
        "certfile": settings.cert_file,
        "keyfile": settings.key_file,
        "server_hostname": settings.tls_server_name,
    }
    return options | {name: value for name, value in named.items() if value}


class _Forwarded:
    """A forwarded port, as the socket of an HTTP connection."""

    def __init__(self, socket: websocket.WebSocket) -> None:
        self._socket = socket
        self._incoming = _Incoming(socket)

    def sendall(self, content: bytes) -> None:
        self._socket.send_binary(bytes([_DATA]) + content)

    def makefile(self, _: str) -> io.BufferedReader:
        return io.BufferedReader(_Kept(self._incoming))

    def close(self) -> None:
        """Leave the WebSocket open: whoever opened it closes it."""


class _Incoming:
    """The data of the channel, without the first two bytes, which are the port."""

    def __init__(self, socket: websocket.WebSocket) -> None:
        self._socket = socket
        self._begun: set[int] = set()
        self._rest = b""

    def read(self, size: int) -> bytes:
        """Return some bytes, at most `size`; none at the end of the connection."""
        while not self._rest:
            opcode, message = self._socket.recv_data()
            if opcode == websocket.ABNF.OPCODE_CLOSE:
                return b""
            if not message:
                continue
            channel, content = message[0], bytes(message[1:])
            if channel not in self._begun:
                self._begun.add(channel)
                content = content[_PORT_BYTES:]
            if channel != _DATA and content:
                raise OSError(_explained(content.decode(errors="replace").strip()))
            self._rest = content if channel == _DATA else b""
        taken, self._rest = self._rest[:size], self._rest[size:]
        return taken


def _explained(error: str) -> str:
    """Return an error of the kubelet, and what to do about it."""
    remedy = f"; its ProxyConfig must leave proxyAdminPort at {ADMIN_PORT}"
    return f"{error}{remedy if 'connection refused' in error else ''}"


class _Kept(io.RawIOBase):
    """A stream that ends with one response, and leaves what comes after to the next one."""

    def __init__(self, incoming: _Incoming) -> None:
        self._incoming = incoming

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        taken = self._incoming.read(len(buffer))
        buffer[: len(taken)] = taken
        return len(taken)
