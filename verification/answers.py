"""An HTTP answer: whether Envoy or the service gave it, and which client certificate the target saw."""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from http import HTTPStatus

from verification.checks import Denied, Failed

RBAC = "RBAC: access denied"

_ENVOY_FAILED = ("upstream connect error", "upstream request timeout", "no healthy upstream")
# Envoy sets it on answers that it forwards, not on its own:
# https://www.envoyproxy.io/docs/envoy/latest/configuration/http/http_filters/router_filter#x-envoy-upstream-service-time
_FROM_UPSTREAM = "x-envoy-upstream-service-time"
_SHOWN_HEADERS, _LONGEST_HEADER = ("server", "content-type"), 40
_PAIR = re.compile(r'(\w+)=("(?:[^"\\]|\\.)*"|[^",;]*)([,;]|$)')


@dataclass(frozen=True)
class Answer:
    """Status, headers (names in lower case), and the body or its beginning."""

    status: int
    headers: Mapping[str, str]
    body: str

    @classmethod
    def printed(cls, text: str) -> "Answer":
        """Read the output of `curl -i`; raise Failed if it is no HTTP answer."""
        head, _, body = text.replace("\r\n", "\n").partition("\n\n")
        first, *lines = head.split("\n")
        status = re.match(r"HTTP/\S+ (\d{3})\b", first)
        if not status:
            raise Failed(f"curl printed no HTTP answer, but {len(text)} characters")
        pairs = (line.partition(":") for line in lines)
        return cls(int(status[1]), {name.strip().lower(): value.strip() for name, _, value in pairs}, body)

    @property
    def summary(self) -> str:
        """The status, who answered, and the length of the body, whose text may be confidential; on one line."""
        if self.denied:
            return f"{self.status} {RBAC}"
        if of_envoy := next((text for text in _ENVOY_FAILED if self.body.startswith(text)), ""):
            return f"{self.status} {of_envoy}"
        who = "of a service" if _FROM_UPSTREAM in self.headers else "without a sign of a service"
        shown = [f"{name} {self.headers[name][:_LONGEST_HEADER]}" for name in _SHOWN_HEADERS if name in self.headers]
        return f"{self.status} ({', '.join([who, *shown, f'{len(self.body)} characters'])})"

    @property
    def denied(self) -> bool:
        """Whether an AuthorizationPolicy refused the request; for HEAD, only the content length shows it."""
        found = self.body.strip() == RBAC
        return self.status == HTTPStatus.FORBIDDEN and (
            found or (not self.body and self.headers.get("content-length") == str(len(RBAC)))
        )

    @property
    def without_route(self) -> bool:
        """Whether a gateway had no route for the request."""
        return self.status == HTTPStatus.NOT_FOUND and not self.body and _FROM_UPSTREAM not in self.headers

    @property
    def refused_by_route(self) -> bool:
        """Whether a route of a gateway itself refused the request."""
        return self.status == HTTPStatus.FORBIDDEN and not self.body and _FROM_UPSTREAM not in self.headers

    @property
    def redirected(self) -> bool:
        """Whether Envoy itself redirected the client."""
        return self.status == HTTPStatus.MOVED_PERMANENTLY and _FROM_UPSTREAM not in self.headers

    @property
    def refused(self) -> bool:
        """Whether a gateway refused the request, by a policy, or because it has no route."""
        return self.denied or self.without_route or self.status == HTTPStatus.MISDIRECTED_REQUEST

    @property
    def without_upstream(self) -> bool:
        """Whether a gateway could not reach its upstream."""
        return self.status in (HTTPStatus.BAD_GATEWAY, HTTPStatus.SERVICE_UNAVAILABLE, HTTPStatus.GATEWAY_TIMEOUT) and (
            not self.body or _FROM_UPSTREAM not in self.headers or self.body.startswith(_ENVOY_FAILED)
        )

    def check_is_services(self) -> str:
        """Return the answer's status; raise Failed if Envoy answered instead of the service behind it."""
        if self.denied:
            raise Denied(f"got {self.status}: {RBAC}")
        if self.without_route:
            raise Failed(f"got {self.status} of Envoy itself, which has no route for the request")
        if self.without_upstream:
            raise Failed(f"got {self.summary}, of Envoy itself")
        return f"{self.status} of the service"

    def check_shows(self, subject: str, identity: str) -> str:
        """Return the client that httpbin's /headers shows; raise Failed if it is not this one."""
        if self.denied:
            raise Denied(f"got {self.summary}")
        if self.status != HTTPStatus.OK:
            raise Failed(f"got {self.summary}")
        hops = client_hops(self.body)
        if not hops:
            raise Failed("got 200, but X-Forwarded-Client-Cert names no client")
        subjects, uris = (hops[-1].get(key, []) for key in ("Subject", "URI"))
        if subjects != [subject] or identity not in uris:
            seen = f"Subject {' '.join(subjects)}, URI {' '.join(uris) or 'none'}"
            raise Failed(f"got 200, but X-Forwarded-Client-Cert has {seen}, not Subject {subject}, URI {identity}")
        return f"200, Subject {subject}, URI {identity}"


def client_hops(body: str) -> list[dict[str, list[str]]]:
    """Return the hops with a Subject that httpbin's /headers shows in X-Forwarded-Client-Cert, nearest last.

    Certificates of a mesh have no Subject: hops between its workloads are left out.
    """
    try:
        headers = json.loads(body)["headers"].get("X-Forwarded-Client-Cert", [])
        hops = [hop for header in headers for hop in _hops(header)]
    except (ValueError, TypeError, LookupError, AttributeError):
        raise Failed(f"got 200, but not what httpbin answers at /headers: {len(body)} characters") from None
    return [hop for hop in hops if any(hop.get("Subject", []))]


def _hops(header: str) -> list[dict[str, list[str]]]:
    hops: list[dict[str, list[str]]] = [{}]
    for key, value, end in _PAIR.findall(header):
        hops[-1].setdefault(key, []).append(value[1:-1] if value.startswith('"') else value)
        if end == ",":
            hops.append({})
    return hops
