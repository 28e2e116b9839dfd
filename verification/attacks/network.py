"""Ways out of the stack's namespace in a client's cluster that lead past the egress gateway."""

import socket
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from urllib.parse import urlsplit

from settings import NetworkPolicy
from verification.answers import Answer
from verification.checks import CREATES, Check, Failed, Skipped, skipped
from verification.clients import CURL_NOT_CONNECTED, host_to_call, port_of, spoke_tls
from verification.pods import Executed
from verification.stack import DeployedStack

_LOOK = "kubectl get networkpolicies -A"
_TIMED_OUT = 28
_NOT_CONNECTED = {6, 7}  # not resolved, refused
_OUTPUT = ("-ksS", "--connect-timeout", "5", "--max-time", "10", "-o", "/dev/null")


@dataclass(frozen=True)
class _Way:
    """A URL; the address that its name is to stand for, and how curl is told so."""

    url: str
    address: str = ""
    options: tuple[str, ...] = ()

    @property
    def label(self) -> str:
        return f"{self.url} at {self.address}" if self.address else self.url


def checks(stack: DeployedStack, name: str) -> Iterator[Check]:
    """Yield the checks of one client."""
    client, group = stack.settings.clients[name], f"client {name}"
    by_address = "the direct way out by IP address and by another port is refused"
    bare = "a Pod without a sidecar cannot leave the stack's namespace"
    promises = [by_address, bare] if client.demo else [bare]
    host, asked = host_to_call(stack, name)
    look = f"cluster of client {name}: {_LOOK}"
    if client.network_policy == NetworkPolicy.NONE or not asked:
        return  # as is said of the direct way by name
    for promise in promises:
        if promise == bare and stack.read_only:
            yield skipped(group, promise, CREATES, host, name)
            continue
        attempt = sidecar_leaves_by_no_other_way if promise == by_address else pod_without_sidecar_cannot_leave
        yield Check(group, promise, "no connection", partial(attempt, stack, name, host), look, host, name)


def sidecar_leaves_by_no_other_way(stack: DeployedStack, client: str, host: str) -> str:
    """Call from the demo's Pod, whose sidecar passes everything that the network passes."""
    first, *others = _ways_by_address(stack, host)
    tried = [first, *(way for way in others if _is_open(way))]
    return ", ".join(f"{way.label}: {_refusal_with_sidecar(stack.clients[client].curl, way)}" for way in tried)


def pod_without_sidecar_cannot_leave(stack: DeployedStack, client: str, host: str) -> str:
    """Call from a Pod without a sidecar in the stack's namespace, and from one elsewhere, which gets out."""
    attacker, port = stack.attackers[f"clients.{client}"], port_of(stack.settings.hosts[host])
    by_name = _Way(f"https://{stack.outputs.hosts[host].domain}:{port}/")
    opened = [way for way in (by_name, *_ways_by_address(stack, host)) if _connects(attacker.curl_without_sidecar, way)]
    if not opened:
        raise Skipped("no Pod of this cluster gets out directly, whatever its namespace")
    for way in opened:
        if _connects(attacker.curl_in_stack_namespace, way):
            raise Failed(f"{way.label} could be reached")
    return f"no connection to {', '.join(way.label for way in opened)}, which are open to other namespaces"


def _refusal_with_sidecar(curl: Callable[..., Executed], way: _Way) -> str:
    """Ask; the sidecar accepts every connection, so that what counts is whether the other end took part."""
    if way.url.startswith("http:"):
        done = curl("-sS", "-i", "--max-time", "10", way.url)
        if done.code:
            return f"curl {done.code}"
        answer = Answer.printed(done.stdout)
        if not answer.without_upstream:
            raise Failed(f"{way.label}: got {answer.said}")
        return f"{answer.status} of its sidecar"
    done = curl(*_OUTPUT, "--tlsv1.3", *way.options, "-w", "%{time_appconnect}", way.url)
    if spoke_tls(done):
        raise Failed(f"{way.label} could be reached by TLS (curl ended with {done.code})")
    if done.code not in CURL_NOT_CONNECTED:
        raise Failed(f"{way.label}: curl ended with {done.code}, which is no refused connection: {done.stderr.strip()}")
    return f"curl {done.code}"


def _connects(curl: Callable[..., Executed], way: _Way) -> bool:
    """Tell whether a Pod without a sidecar gets a connection, whatever becomes of it."""
    done = curl(*_OUTPUT, *way.options, "-w", "%{time_connect}", way.url)
    if done.code == _TIMED_OUT:
        return bool(done.stdout) and float(done.stdout) > 0
    return done.code not in _NOT_CONNECTED


def _ways_by_address(stack: DeployedStack, host: str) -> list[_Way]:
    """Return the IP address of what serves a host, by its own port and by 80, and the API server of the target."""
    address, port = _address(stack, host), port_of(stack.settings.hosts[host])
    domain = stack.outputs.hosts[host].domain
    ways = [_Way(f"https://{domain}:{port}/", address, ("--resolve", f"{domain}:{port}:{address}"))]
    ways.append(_Way(f"http://{address}:80/"))
    if "target" in stack.reached:
        ways.append(_Way(f"{stack.reached['target'].host.rstrip('/')}/"))
    return ways


def _address(stack: DeployedStack, host: str) -> str:
    """Return an IP address of what serves a host."""
    target = stack.outputs.target if stack.settings.hosts[host].external is None else None
    name = (target and target.address) or stack.outputs.hosts[host].domain
    try:
        return str(socket.getaddrinfo(name, None, socket.AF_INET)[0][4][0])
    except OSError as error:
        raise Skipped(f"{name} cannot be resolved here: {error.strerror}") from None


def _is_open(way: _Way) -> bool:
    """Tell whether the place that a URL names accepts connections from here."""
    url = urlsplit(way.url)
    try:
        socket.create_connection((url.hostname, url.port or 443), 3).close()
    except OSError:
        return False
    return True
