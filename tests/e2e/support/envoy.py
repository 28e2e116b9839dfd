"""An Envoy of the lab by itself, without a cluster: it serves TLS at Unix sockets."""

import base64
import json
import socket
import ssl
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from lab import paths
from tests.e2e.support.waiting import eventually
from tests.support.certificates import Issued

_TYPES = "type.googleapis.com/envoy"
_FILTERS = f"{_TYPES}.extensions.filters"
_ROUTER = {"name": "router", "typed_config": {"@type": f"{_FILTERS}.http.router.v3.Router"}}
_ANSWERS = {
    "@type": f"{_FILTERS}.network.http_connection_manager.v3.HttpConnectionManager",
    "stat_prefix": "http",
    "delayed_close_timeout": "0s",
    "route_config": {
        "virtual_hosts": [
            {
                "name": "all",
                "domains": ["*"],
                "routes": [{"match": {"prefix": "/"}, "direct_response": {"status": 200}}],
            }
        ]
    },
}


class Envoy:
    """An Envoy with a listener for each TLS context, by name; requests must pass its HTTP filters."""

    def __init__(
        self, folder: Path, contexts: Mapping[str, Mapping[str, Any]], http_filters: Sequence[Mapping[str, Any]] = ()
    ) -> None:
        self._http_filters = [*http_filters, _ROUTER]
        self._folder, self._places = folder, {name: str(place) for place, name in enumerate(contexts)}
        listeners = [self._listener(name, context) for name, context in contexts.items()]
        (folder / "listeners.json").write_text(json.dumps({"resources": listeners}))
        dynamic = {"lds_config": {"path_config_source": {"path": str(folder / "listeners.json")}}}
        node, admin = {"id": "test", "cluster": "test"}, {"address": self._address("admin")}
        bootstrap = {"node": node, "admin": admin, "dynamic_resources": dynamic}
        (folder / "bootstrap.json").write_text(json.dumps(bootstrap))

    @contextmanager
    def running(self) -> Iterator[None]:
        """Run until the context ends."""
        command = (paths.bin_dir() / "envoy", "-c", "bootstrap.json", "--log-level", "off")
        options = ("--concurrency", "1", "--disable-hot-restart")
        with subprocess.Popen([*command, *options], cwd=self._folder, stderr=subprocess.DEVNULL) as process:
            try:
                eventually(lambda: process.poll() is not None or self._is_ready(), "Envoy is ready", 60, 0.05)
                assert process.returncode is None, "Envoy refuses its configuration"
                yield
            finally:
                process.kill()

    def has_loaded(self, name: str) -> bool:
        """Return whether it has taken a context: it listens."""
        return (self._folder / self._places[name]).exists()

    def admits(self, name: str, client: Issued) -> bool:
        """Return whether a context admits a client that calls with its certificate."""
        (self._folder / "client.pem").write_text(client.pem + client.key_pem())
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        context.set_ciphers("ALL:@SECLEVEL=0")  # the client, not Envoy, would refuse weak keys
        context.load_cert_chain(self._folder / "client.pem")
        try:
            with self._connected(self._places[name]) as raw, context.wrap_socket(raw) as secured:
                return _answer(secured, "/").startswith("HTTP/1.1 200")
        except OSError:
            return False

    def _is_ready(self) -> bool:
        try:
            with self._connected("admin") as raw:
                return "LIVE" in _answer(raw, "/ready")
        except OSError:
            return False

    def _connected(self, place: str) -> socket.socket:
        connected = socket.socket(socket.AF_UNIX)
        connected.settimeout(10)
        connected.connect(str(self._folder / place))
        return connected

    def _listener(self, name: str, context: Mapping[str, Any]) -> dict[str, Any]:
        kind = f"{_TYPES}.extensions.transport_sockets.tls.v3.DownstreamTlsContext"
        tls = {"name": "tls", "typed_config": {"@type": kind, **context}}
        answers = {"name": "http", "typed_config": {**_ANSWERS, "http_filters": self._http_filters}}
        return {
            "@type": f"{_TYPES}.config.listener.v3.Listener",
            "name": name,
            "address": self._address(self._places[name]),
            "filter_chains": [{"filters": [answers], "transport_socket": tls}],
        }

    def _address(self, place: str) -> dict[str, Any]:
        return {"pipe": {"path": str(self._folder / place)}}


def mutual(server: Issued, authorities: str, names: Sequence[str] = ()) -> dict[str, Any]:
    """Return a TLS context that demands a client certificate of these CAs.

    names: one of which Envoy must find in the certificate, whatever their kind, as Istio configures subjectAltNames
    """
    context = own(server.pem, server.key_pem())
    validation = {"trusted_ca": _inline(authorities), "match_subject_alt_names": [{"exact": name} for name in names]}
    context["common_tls_context"]["validation_context"] = validation
    return {**context, "require_client_certificate": True}


def own(chain: str, key: str) -> dict[str, Any]:
    """Return a TLS context with a certificate of its own."""
    certificate = {"certificate_chain": _inline(chain), "private_key": _inline(key)}
    return {"common_tls_context": {"tls_certificates": [certificate]}}


def _answer(connected: socket.socket, path: str) -> str:
    connected.sendall(f"GET {path} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n".encode())
    return b"".join(iter(lambda: connected.recv(4096), b"")).decode()


def _inline(pem: str) -> dict[str, str]:
    return {"inline_bytes": base64.b64encode(pem.encode()).decode()}
