"""The promise that the demo's Pods have a sidecar: policies of the mesh hold for no Pod without one."""

from collections.abc import Mapping
from functools import partial

from components.demo import HTTPBIN
from verification import pods
from verification.attacker import Attacker
from verification.checks import Check, Failed
from verification.client_cluster import CURL
from verification.context import ClientContext, HostContext

SERVER = {"app": HTTPBIN}

_PROMISE = "the demo's Pods have a sidecar"
_EXPECTED = "a container istio-proxy in each Pod"
_LOOK = "kubectl get namespaces --show-labels; istioctl x check-inject"


def of_host(host: HostContext) -> Check:
    """Return the check of the demo that serves a host."""
    return host.check(_PROMISE, _EXPECTED, partial(_server_has_a_sidecar, host), f"target cluster: {_LOOK}")


def of_client(client: ClientContext) -> Check:
    """Return the check of the demo that calls as a client."""
    return client.check(_PROMISE, _EXPECTED, partial(_caller_has_a_sidecar, client), client.look(_LOOK))


def pods_have_a_sidecar(attacker: Attacker, labels: Mapping[str, str]) -> str:
    """List the ready Pods with these labels in the stack's namespace; raise Failed if one has no sidecar."""
    ready = pods.ready(attacker.api, attacker.stack_namespace, labels)
    if not ready:
        raise Failed(f"no Pod of the demo is ready in namespace {attacker.stack_namespace}")
    bare = [pod.metadata.name for pod in ready if not pods.has_sidecar(pod)]
    if bare:
        raise Failed(f"Pod {', '.join(bare)} in namespace {attacker.stack_namespace} has no sidecar")
    return f"{len(ready)} of {len(ready)}"


def _server_has_a_sidecar(host: HostContext) -> str:
    return pods_have_a_sidecar(host.attacker, SERVER)


def _caller_has_a_sidecar(client: ClientContext) -> str:
    return pods_have_a_sidecar(client.attacker, CURL)
