"""What the demo promises of itself: its Pods have a sidecar, without which no policy of the mesh holds for them."""

from functools import partial

from components.demo import HTTPBIN
from verification import pods
from verification.checks import Check, Failed
from verification.client_cluster import CURL
from verification.stack import DeployedStack, called

SERVER = {"app": HTTPBIN}
PROMISE = "the demo's Pods have a sidecar"


def check(stack: DeployedStack, path: str, group: str, host: str = "", client: str = "") -> Check:
    """Return what is tried on the demo in the cluster of this path."""
    run = partial(pods_have_a_sidecar, stack, path)
    look = f"{called(path)}: kubectl get namespaces --show-labels; istioctl x check-inject"
    return Check(group, PROMISE, "a container istio-proxy in each Pod", run, look, host, client)


def pods_have_a_sidecar(stack: DeployedStack, path: str) -> str:
    """List the demo's Pods that are ready."""
    attacker = stack.attackers[path]
    ready = pods.ready(attacker.api, attacker.stack_namespace, SERVER if path == "target" else CURL)
    if not ready:
        raise Failed(f"no Pod of the demo is ready in namespace {attacker.stack_namespace}")
    bare = [pod.metadata.name for pod in ready if not pods.has_sidecar(pod)]
    if bare:
        raise Failed(f"Pod {', '.join(bare)} in namespace {attacker.stack_namespace} has no sidecar")
    return f"{len(ready)} of {len(ready)}"
