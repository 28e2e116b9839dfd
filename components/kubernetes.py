"""Core objects that more than one component makes, in the shape the hardened tutorial wants them."""

import base64
from collections.abc import Mapping, Sequence
from ipaddress import ip_address
from typing import Any

import pulumi
import pulumi_kubernetes as k8s

from .istio_gateway import IstioGateway

_GROUPS = {
    "AuthorizationPolicy": "security.istio.io",
    "DestinationRule": "networking.istio.io",
    "Gateway": "networking.istio.io",
    "ServiceEntry": "networking.istio.io",
    "Telemetry": "telemetry.istio.io",
    "VirtualService": "networking.istio.io",
}
# The Deployment's Pods are waited for; waiting for the Service's endpoints, too, takes ten seconds more.
_NO_WAIT = {"pulumi.com/skipAwait": "true"}
# The program waits (Ready), which can tell why; skipAwait would have the provider not wait for a deletion either.
_IS_THERE = {"pulumi.com/waitFor": "jsonpath={.metadata.uid}"}


def injected_namespace(
    resource: str, name: pulumi.Input[str], injection: Mapping[str, str], opts: pulumi.ResourceOptions
) -> k8s.core.v1.Namespace:
    """Return a namespace whose Pods get a sidecar, since it has the labels `injection`."""
    return k8s.core.v1.Namespace(resource, metadata={"name": name, "labels": dict(injection)}, opts=opts)


def in_gateway_namespace(gateway: IstioGateway, name: pulumi.Input[str]) -> dict[str, Any]:
    """Return the metadata of an object in a gateway's namespace, where the gateway looks for what is its own."""
    return {"name": name, "namespace": gateway.namespace}


def istio(
    resource: str,
    kind: str,
    metadata: Mapping[str, Any],
    spec: Mapping[str, Any],
    opts: pulumi.ResourceOptions,
) -> k8s.apiextensions.CustomResource:
    """Return an object of one of Istio's own kinds."""
    return k8s.apiextensions.CustomResource(
        resource, api_version=f"{_GROUPS[kind]}/v1", kind=kind, metadata=metadata, spec=spec, opts=opts
    )


def credential_secret(
    resource: str,
    metadata: dict[str, Any],
    data: Mapping[str, pulumi.Output[str]],
    opts: pulumi.ResourceOptions,
) -> k8s.core.v1.Secret:
    """Return a Secret of PEM texts."""
    return k8s.core.v1.Secret(
        resource,
        metadata=metadata,
        data={key: in_base64(pem) for key, pem in data.items()},
        opts=opts,
    )


def in_base64(text: pulumi.Output[str]) -> pulumi.Output[str]:
    """Return a text as a Secret's data has it."""
    # There is none when `pulumi destroy --run-program` meets a stack that was never finished.
    return text.apply(lambda plain: base64.b64encode((plain or "").encode()).decode())


def load_balancer_addresses(status: k8s.core.v1.outputs.ServiceStatus | None) -> Sequence[str]:
    """Return the IP addresses or host names of a LoadBalancer Service."""
    entries = (status and status.load_balancer and status.load_balancer.ingress) or []
    return [address for entry in entries if (address := entry.ip or entry.hostname)]


def ip_stack(families: Sequence[str]) -> str:
    """Return the IP families of a Service as Gardener writes them: ipv4, ipv6 or dual-stack."""
    if len(families) > 1:
        return "dual-stack"
    return "ipv6" if "IPv6" in families else "ipv4"


def demo_domain(address: str) -> str:
    """Return a domain of sslip.io, whose every name resolves to this IP address; empty without an address."""
    return ip_address(address).exploded.replace(".", "-").replace(":", "-") + ".sslip.io" if address else ""


def workload(
    resource: str,
    name: str,
    namespace: pulumi.Input[str],
    container: k8s.core.v1.ContainerArgsDict,
    port: k8s.core.v1.ServicePortArgsDict,
    pod_labels: Mapping[str, str],
    opts: pulumi.ResourceOptions,
) -> k8s.apps.v1.Deployment:
    """Return a Deployment of one unprivileged container; its ServiceAccount and Service are called `name`, too.

    `pod_labels` are added to `app: name`. Whoever needs its Pods has to wait for them.
    """
    labels = {"app": name}
    metadata: k8s.meta.v1.ObjectMetaArgsDict = {
        "name": name,
        "namespace": namespace,
        "labels": {**labels, "service": name},
    }
    account = k8s.core.v1.ServiceAccount(resource, metadata={"name": name, "namespace": namespace}, opts=opts)
    pod: k8s.core.v1.PodSpecArgsDict = {
        "service_account_name": account.metadata.name,
        "automount_service_account_token": False,
        "termination_grace_period_seconds": 0,
        "security_context": {
            "run_as_non_root": True,
            "run_as_user": 65532,
            "seccomp_profile": {"type": "RuntimeDefault"},
        },
        "containers": [
            {
                "name": name,
                "image_pull_policy": "IfNotPresent",
                "security_context": {
                    "allow_privilege_escalation": False,
                    "read_only_root_filesystem": True,
                    "capabilities": {"drop": ["ALL"]},
                },
                "resources": {"requests": {"cpu": "10m", "memory": "32Mi"}, "limits": {"memory": "128Mi"}},
                **container,
            }
        ],
    }
    k8s.core.v1.Service(
        resource,
        metadata={**metadata, "annotations": _NO_WAIT},
        spec={"ports": [port], "selector": labels},
        opts=opts,
    )
    return k8s.apps.v1.Deployment(
        resource,
        metadata={**metadata, "annotations": _IS_THERE},
        spec={
            "replicas": 1,
            "selector": {"match_labels": labels},
            "template": {"metadata": {"labels": {**labels, **pod_labels}}, "spec": pod},
        },
        opts=opts,
    )
