"""Connections out of the stack's namespace in a client's cluster, past the egress gateway."""

import socket
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from urllib.parse import urlsplit

from settings import NetworkPolicy
from verification.answers import Answer
from verification.calls import NOT_CONNECTED, spoke_tls
from verification.checks import CREATES, Check, Failed, Skipped
from verification.context import ClientContext, HostContext
from verification.pods import Executed

_BY_ADDRESS = "direct connections by IP address and by other ports are refused"
_BARE = "a Pod without a sidecar cannot connect out of the stack's namespace"
_LOOK = "kubectl get networkpolicies -A"
_TIMED_OUT = 28
_NEVER_CONNECTED = {6, 7}  # exit codes of curl: not resolved, refused
_OUTPUT = ("-ksS", "--connect-timeout", "5", "--max-time", "10", "-o", "/dev/null")


@dataclass(frozen=True)
class _Way:
    """A URL, the IP address to use for its name, and the options of curl that set this address."""

    url: str
    address: str = ""
    options: tuple[str, ...] = ()

    @property
    def label(self) -> str:
        return f"{self.url} at {self.address}" if self.address else self.url


def checks(client: ClientContext) -> Iterator[Check]:
    """Yield the checks of one client; none if clients.py reports that direct connections are not tried."""
    found = client.host_to_call()
    if client.settings.network_policy == NetworkPolicy.NONE or not found:
        return
    host, look = found[0], client.look(_LOOK)
    if client.settings.demo:
        run = partial(sidecar_connects_by_no_address_or_port, client, host)
        yield client.check(_BY_ADDRESS, "no connection", run, look, host.name)
    if client.stack.read_only:
        yield client.skipped(_BARE, CREATES, host.name)
    else:
        run = partial(pod_without_sidecar_cannot_leave, client, host)
        yield client.check(_BARE, "no connection", run, look, host.name)


def sidecar_connects_by_no_address_or_port(client: ClientContext, host: HostContext) -> str:
    """Call from the demo's Pod, whose sidecar passes on every connection that the network allows."""
    first, *rest = _ways_by_address(host)
    tried = [first, *(way for way in rest if _is_open(way))]
    return ", ".join(f"{way.label}: {_refusal_with_sidecar(client.cluster.curl, way)}" for way in tried)


def pod_without_sidecar_cannot_leave(client: ClientContext, host: HostContext) -> str:
    """Call from Pods without a sidecar: one in the stack's namespace, and one elsewhere, which gets out."""
    attacker = client.attacker
    by_name = _Way(f"https://{host.domain}:{host.port}/")
    opened = [way for way in (by_name, *_ways_by_address(host)) if _connects(attacker.curl_without_sidecar, way)]
    if not opened:
        raise Skipped("no Pod of this cluster connects directly, from any namespace")
    for way in opened:
        if _connects(attacker.curl_in_stack_namespace, way):
            raise Failed(f"{way.label} could be reached")
    return f"no connection to {', '.join(way.label for way in opened)}, which other namespaces reach"


def _refusal_with_sidecar(curl: Callable[..., Executed], way: _Way) -> str:
    """Return how a call is refused: the sidecar accepts every connection, so only an answer of the server counts."""
    if way.url.startswith("http:"):
        done = curl("-sS", "-i", "--max-time", "10", way.url)
        if done.code:
            return f"curl {done.code}"
        answer = Answer.printed(done.stdout)
        if not answer.without_upstream:
            raise Failed(f"{way.label}: got {answer.summary}")
        return f"{answer.status} of its sidecar"
    done = curl(*_OUTPUT, "--tlsv1.3", *way.options, "-w", "%{time_appconnect}", way.url)
    if spoke_tls(done):
        raise Failed(f"{way.label} could be reached by TLS (curl ended with {done.code})")
    if done.code not in NOT_CONNECTED:
        raise Failed(f"{way.label}: curl ended with {done.code}, which is no refused connection: {done.stderr.strip()}")
    return f"curl {done.code}"


def _connects(curl: Callable[..., Executed], way: _Way) -> bool:
    """Return whether a Pod without a sidecar gets a TCP connection."""
    done = curl(*_OUTPUT, *way.options, "-w", "%{time_connect}", way.url)
    if done.code == _TIMED_OUT:
        return bool(done.stdout) and float(done.stdout) > 0
    return done.code not in _NEVER_CONNECTED


def _ways_by_address(host: HostContext) -> list[_Way]:
    """Return the IP address of a host's server, by its own port and by 80, and the API server of the target."""
    address, domain, port = _address(host), host.domain, host.port
    ways = [_Way(f"https://{domain}:{port}/", address, ("--resolve", f"{domain}:{port}:{address}"))]
    ways.append(_Way(f"http://{address}:80/"))
    if "target" in host.stack.reached:
        ways.append(_Way(f"{host.stack.reached['target'].host.rstrip('/')}/"))
    return ways


def _address(host: HostContext) -> str:
    """Return an IPv4 address of a host's server; raise Skipped if its name cannot be resolved."""
    target = host.stack.outputs.target if host.settings.external is None else None
    name = (target and target.address) or host.domain
    try:
        return str(socket.getaddrinfo(name, None, socket.AF_INET)[0][4][0])
    except OSError as error:
        raise Skipped(f"this machine cannot resolve {name}: {error.strerror}") from None


def _is_open(way: _Way) -> bool:
    """Return whether the server of a URL accepts connections from this machine."""
    url = urlsplit(way.url)
    try:
        socket.create_connection((url.hostname, url.port or 443), 3).close()
    except OSError:
        return False
    return True
