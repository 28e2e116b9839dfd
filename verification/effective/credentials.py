"""The promise that no proxy but the egress gateway shows a client's certificate to servers."""

from collections.abc import Iterator, Mapping
from functools import partial
from typing import Any

from clusters import pods
from proxies.dump import Dump
from proxies.parts import credential_parts
from verification.checks import Check
from verification.context import ClientContext
from verification.dumps import Question

_PROMISE = "no other proxy beside the egress gateway uses the client's certificate"
_ASKED = 8


def check(client: ClientContext) -> Check:
    """Return the check of a client."""
    look = client.look(f"kubectl -n {client.gateway.namespace} get destinationrules -o yaml")
    return client.check(
        _PROMISE, "no cluster with it in their configuration", partial(nobody_else_uses_it, client), look
    )


def nobody_else_uses_it(client: ClientContext) -> str:
    """Ask further proxies of the gateway's namespace, which alone may read the Secret."""
    selector = client.egress_gateway.selector
    expression = ",".join(f"{name}!={value}" for name, value in list(selector.items())[:1])
    question = Question(
        client.path,
        client.gateway.namespace,
        {"labelSelector": expression, "fieldSelector": "status.phase=Running"},
        credential_parts(),
        some_proxies,
    )
    answers = client.stack.dumps.ask(client.reached, question)
    return answers.judge(partial(problems, namespace=client.output.namespace), "none")


def problems(dump: Dump, namespace: str) -> Iterator[str]:
    """Yield the clusters to which a proxy shows a credential of the stack.

    namespace: the stack's own, in which the names of its Secrets end
    """
    begins = (f"client-credential-{namespace}.", f"client-credential-{namespace}-")
    for name, tls in dump.upstreams.items():
        if tls.secret.startswith(begins):
            yield f"shows the certificate of Secret {tls.secret} to {name}"


def some_proxies(found: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return the Pods with a proxy: one of each workload, and eight in all."""
    chosen: dict[str, dict[str, Any]] = {}
    for pod in sorted(filter(pods.has_sidecar, found), key=pods.name):
        chosen.setdefault(_workload(pod["metadata"]), pod)
    return list(chosen.values())[:_ASKED]


def _workload(metadata: Mapping[str, Any]) -> str:
    owners = [each["name"] for each in metadata.get("ownerReferences") or [] if each.get("controller")]
    return str(owners[0] if owners else metadata["name"])
