"""An API server that forwards ports over WebSockets, as far as the reading of proxies needs it."""

import base64
import hashlib
import io
import socket
import struct
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from kubernetes.client import ApiClient, Configuration

from clusters.cluster import Cluster
from settings import ClusterAccess

_MAGIC = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"  # RFC 6455
_PORT = struct.pack("<H", 15000)
_LENGTH_OF_TWO_BYTES, _TWO_BYTES = 126, 1 << 16


class Server:
    """Answers requests to the admin interface by their path, each with the bytes of an HTTP response.

    refusal: the status line by which the API server refuses to forward, such as `403 Forbidden`
    error: what it says on the channel of errors
    empty: whether it sends messages without content, too
    heard: the requests to the API server, and those that were forwarded
    """

    def __init__(
        self, answers: Mapping[str, bytes], refusal: str = "", error: str = "", *, empty: bool = False
    ) -> None:
        self.answers, self.refusal, self.error, self.empty = answers, refusal, error, empty
        self.heard: list[str] = []

    def serve(self, connection: socket.socket) -> None:
        """Serve one connection to its end."""
        with connection, connection.makefile("rb") as incoming:
            lines = [line.decode().strip() for line in iter(incoming.readline, b"\r\n")]
            self.heard.append(lines[0])
            if self.refusal:
                connection.sendall(f"HTTP/1.1 {self.refusal}\r\nContent-Length: 0\r\n\r\n".encode())
                return
            headers = dict(line.lower().split(": ", 1) for line in lines[1:])
            self.heard += [value for name, value in headers.items() if name == "authorization"]
            key = next(line.split(": ", 1)[1] for line in lines if line.lower().startswith("sec-websocket-key"))
            accepted = base64.b64encode(hashlib.sha1(key.encode() + _MAGIC).digest()).decode()  # noqa: S324 - RFC 6455
            connection.sendall(
                "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                f"Sec-WebSocket-Accept: {accepted}\r\nSec-WebSocket-Protocol: v4.channel.k8s.io\r\n\r\n".encode()
            )
            for channel in (b"\0", b"\1"):
                connection.sendall(_frame(channel + _PORT))
            self._forward(connection, incoming)

    def _forward(self, connection: socket.socket, incoming: io.BufferedIOBase) -> None:
        while message := _message(incoming):
            path = message[1:].split()[1].decode()
            self.heard.append(path)
            if self.empty:
                connection.sendall(_frame(b""))
            if self.error:
                connection.sendall(_frame(b"\1" + self.error.encode()))
            elif path not in self.answers:
                connection.sendall(b"\x88\x02\x03\xe8")  # the end
            for start in range(0, len(self.answers.get(path, b"")), 50):
                connection.sendall(_frame(b"\0" + self.answers[path][start : start + 50]))


def _frame(content: bytes) -> bytes:
    size = len(content)
    head = struct.pack("!BB", 0x82, size) if size < _LENGTH_OF_TWO_BYTES else struct.pack("!BBH", 0x82, 126, size)
    return head + content


def _message(incoming: io.BufferedIOBase) -> bytes:
    """Return the next message of data; none at the end."""
    head = incoming.read(2)
    if not head or head[0] & 0x0F == 0x08:
        return b""
    size = head[1] & 0x7F
    if size == _LENGTH_OF_TWO_BYTES:
        size = struct.unpack("!H", incoming.read(2) or b"")[0]
    mask = incoming.read(4) or b""
    return bytes(byte ^ mask[place % 4] for place, byte in enumerate(incoming.read(size) or b""))


@contextmanager
def api_server(server: Server) -> Iterator[Cluster]:
    """Serve on loopback; yield a connection to the cluster, whose token is `token`."""
    with socket.create_server(("127.0.0.1", 0)) as listening:

        def accept() -> None:
            while True:
                try:
                    connection, _ = listening.accept()
                except OSError:
                    return
                threading.Thread(target=server.serve, args=(connection,), daemon=True).start()

        thread = threading.Thread(target=accept, daemon=True)
        thread.start()
        settings = Configuration(host=f"http://127.0.0.1:{listening.getsockname()[1]}")
        settings.api_key = {"BearerToken": "Bearer token"}
        try:
            yield Cluster(ClusterAccess(path="target", kubeconfig="", context=""), ApiClient(settings))
        finally:
            listening.shutdown(socket.SHUT_RDWR)
            thread.join()


def chunked(body: bytes) -> bytes:
    """Return an HTTP response as Envoy sends it."""
    return b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n%x\r\n%s\r\n0\r\n\r\n" % (len(body), body)
