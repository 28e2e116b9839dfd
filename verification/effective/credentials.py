"""The promises that no proxy but the egress gateway shows a client's certificate, and that to its hosts' servers alone.

A user who may make a ServiceEntry and a DestinationRule could let the gateway show the Secret to a further server.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

from clusters import pods
from proxies.dump import Dump
from proxies.parts import credential_parts
from verification.checks import Check
from verification.context import ClientContext
from verification.dumps import Question

_BESIDE = "no other proxy beside the egress gateway uses the client's certificate"
_TO_OTHERS = "the egress gateway shows the client's certificate to the servers of its hosts alone"
_ASKED = 8


def checks(client: ClientContext) -> Iterator[Check]:
    """Yield the checks of a client."""
    look = client.look("kubectl get destinationrules -A -o yaml")
    run = partial(nobody_else_uses_it, client)
    yield client.check(_BESIDE, "no cluster with it in their configuration", run, look)
    run = partial(its_hosts_alone_see_it, client)
    yield client.check(_TO_OTHERS, "no further cluster with it, in any ready replica", run, look)


def nobody_else_uses_it(client: ClientContext) -> str:
    """Ask further proxies of the gateway's namespace, which alone may read the Secret."""
    question = Question(
        client.path,
        client.gateway.namespace,
        {"fieldSelector": "status.phase=Running"},
        credential_parts(),
        Beside(tuple(client.egress_gateway.selector.items())),
    )
    answers = client.stack.dumps.ask(client.reached, question)
    return answers.judge(partial(problems, secrets=_secrets(client)), "none")


def its_hosts_alone_see_it(client: ClientContext) -> str:
    """Ask the egress gateway for further clusters."""
    servers = frozenset(f"outbound|{host.port}||{host.domain}" for host in client.callable_hosts)
    ask = partial(problems, secrets=_secrets(client), servers=servers)
    return client.egress_dumps.judge(ask, ", ".join(sorted(servers)) or "none")


def problems(dump: Dump, secrets: tuple[str, ...], servers: frozenset[str] = frozenset()) -> Iterator[str]:
    """Yield the clusters to which a proxy shows a credential of the stack.

    secrets: the beginnings of their names, up to the version
    servers: clusters that may see it
    """
    for name in sorted(dump.upstreams.keys() - servers):
        for tls in dump.sockets(name):
            if any(each.startswith(secrets) for each in tls.secret.split(", ")):
                yield f"shows the certificate of Secret {tls.secret} to {name}"


def _secrets(client: ClientContext) -> tuple[str, ...]:
    """Return the beginnings of the names of a client's credentials: its own, and each that a partner signed."""
    own = f"client-credential-{client.output.namespace}"
    return (f"{own}.", *(f"{own}-{host.name}." for host in client.hosts if host.settings.external))


@dataclass(frozen=True)
class Beside:
    """Chooses proxies beside a gateway.

    selector: the labels of the gateway's Pods, as pairs
    """

    selector: tuple[tuple[str, str], ...]

    def __call__(self, found: list[dict[str, Any]]) -> list[dict[str, Any]]:
        """Return some of the further Pods with a proxy."""
        return some_proxies([each for each in found if not self._is_gateways(each["metadata"].get("labels") or {})])

    def _is_gateways(self, labels: Mapping[str, str]) -> bool:
        return set(self.selector) <= labels.items()


def some_proxies(found: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return the Pods with a proxy: one of each workload, and eight in all."""
    chosen: dict[str, dict[str, Any]] = {}
    for pod in sorted(filter(pods.has_sidecar, found), key=pods.name):
        chosen.setdefault(_workload(pod["metadata"]), pod)
    return list(chosen.values())[:_ASKED]


def _workload(metadata: Mapping[str, Any]) -> str:
    owners = [each["name"] for each in metadata.get("ownerReferences") or [] if each.get("controller")]
    return str(owners[0] if owners else metadata["name"])
