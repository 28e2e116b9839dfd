"""The request that tries a host: harmless, and allowed by its route."""

from dataclasses import dataclass

from components import path_encoding
from outputs import ClientOutput
from settings import Host
from verification.answers import Answer

NO_SAFE_METHOD = (
    "the host's route allows none of GET, HEAD and OPTIONS, and the verification sends no other method to a service"
)

_SAFE_METHODS = ("GET", "HEAD", "OPTIONS")
_METHODS = ("POST", "PUT", "PATCH", "DELETE", *_SAFE_METHODS)
_SHOWS_HEADERS = "/headers"


@dataclass(frozen=True)
class Probe:
    """A method and a path.

    shows_client: whether the answer shows the headers by which the demo identifies its client
    """

    method: str
    path: str
    shows_client: bool = False

    def judge(self, answer: Answer, client: ClientOutput) -> str:
        """Return a summary of the answer; raise Failed if the host did not serve this client."""
        if self.shows_client:
            return answer.check_shows(client.subject, client.identity)
        return answer.check_is_services()

    @property
    def expected(self) -> str:
        """The answer of a host that serves the client."""
        return "200, with the client's Subject and URI" if self.shows_client else "an answer of the service"

    @property
    def options(self) -> tuple[str, ...]:
        """The options of curl that set the method, and print the head of the answer."""
        return {"GET": ("-i",), "HEAD": ("-I",)}.get(self.method, ("-i", "-X", self.method))


def probe_of(host: Host) -> Probe | None:
    """Return the request that tries a host; None if its route allows no safe method."""
    method = next((method for method in _SAFE_METHODS if method in host.methods), None)
    if not method:
        return None
    if host.demo and method == "GET" and any(_covers(path, _SHOWS_HEADERS) for path in host.paths):
        return Probe(method, _SHOWS_HEADERS, shows_client=True)
    return Probe(method, host.paths[0].removesuffix("*"))


def refused_probe(host: Host) -> Probe | None:
    """Return a request with a method that a host's route does not allow; None if there is none that may be sent.

    Only to the demo is a method sent that may change something: if the promise is broken, the service gets it.
    """
    methods = _METHODS if host.demo else _SAFE_METHODS
    method = next((method for method in methods if method not in host.methods), None)
    return Probe(method, host.paths[0].removesuffix("*")) if method else None


def refuses_a_method(host: Host) -> bool:
    """Return whether there is a method that a host's route does not allow."""
    return any(method not in host.methods for method in _METHODS)


def misreadable_path(host: Host) -> str | None:
    """Return a path with an encoded separator that a host must refuse; None if it refuses none, as it serves all paths.

    A server that decodes it would leave the prefix that is allowed.
    """
    prefix = next((path.removesuffix("*") for path in host.paths if path.endswith("/*")), None)
    return f"{prefix}..%2fkyma-mtls-verification" if prefix and path_encoding.is_misreadable(host.paths) else None


def _covers(allowed: str, path: str) -> bool:
    return path == allowed or (allowed.endswith("/*") and path.startswith(allowed.removesuffix("*")))
