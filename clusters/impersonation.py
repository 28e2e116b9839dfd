"""Requests as another user, by the keys of a kubeconfig's user that begin with `as`, as kubectl sends them.

See https://kubernetes.io/docs/reference/access-authn-authz/authentication/#user-impersonation, and client-go's
transport/round_trippers.go. The Kubernetes client for Python ignores these keys, the Kubernetes provider does not.
"""

import re
from collections.abc import Iterator, Mapping
from typing import Any
from urllib.parse import quote

from kubernetes import client
from urllib3 import HTTPHeaderDict

from settings import PROJECT, ClusterAccess, ConfigError

_HEADER_CHARACTERS = "!#$&'*+-.^_`|~"
_KEYS = {"as-uid": "Impersonate-Uid", "as-groups": "Impersonate-Group", "as-user-extra": "Impersonate-Extra-"}


class ImpersonatingClient(client.ApiClient):
    """A client whose every request has further headers, of which a name may stand several times.

    Its WebSockets have them only if their caller adds them.
    """

    def __init__(self, configuration: client.Configuration, headers: HTTPHeaderDict) -> None:
        super().__init__(configuration)
        self.further = headers

    def call_api(
        self,
        method: str,
        url: str,
        header_params: Mapping[str, str] | None = None,
        *further: Any,
        **named: Any,
    ) -> client.rest.RESTResponse:
        """Send a request."""
        headers = HTTPHeaderDict(header_params or {})
        headers.extend(self.further)
        return super().call_api(method, url, headers, *further, **named)


def api(access: ClusterAccess, configuration: client.Configuration, user: Mapping[str, Any]) -> client.ApiClient:
    """Return a client that sends its requests as the user's entry of a kubeconfig demands.

    Raise ConfigError for a key that no header can hold.
    """
    if not user.get("as"):  # kubectl, too, takes no notice of the other keys then
        return client.ApiClient(configuration)
    headers = HTTPHeaderDict()
    for key, name, value in _headers(user):
        if not isinstance(value, str) or not re.fullmatch(r"[\x21-\x7e]([\x20-\x7e]*[\x21-\x7e])?", value):
            problem = f"{key} of its user is not of printable ASCII characters, so no header can impersonate by it"
            raise ConfigError(f"{PROJECT}:{access.path}.kubeconfig: {problem}")
        headers.add(name, value)
    return ImpersonatingClient(configuration, headers)


def _headers(user: Mapping[str, Any]) -> Iterator[tuple[str, str, Any]]:
    """Yield each header's key in the kubeconfig, name and value."""
    yield "as", "Impersonate-User", user["as"]
    for key, name in _KEYS.items():
        value = user.get(key)
        if isinstance(value, dict):
            for extra, values in value.items():
                escaped = quote(str(extra).lower(), safe=_HEADER_CHARACTERS)
                yield from ((key, f"{name}{escaped}", each) for each in _listed(values))
        elif value:
            yield from ((key, name, each) for each in _listed(value))


def _listed(value: object) -> list[Any]:
    return value if isinstance(value, list) else [value]
