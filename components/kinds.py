"""The kinds of all Kubernetes objects that a stack can make, with their API versions."""

KINDS = {
    "APIRule": "gateway.kyma-project.io/v2",
    "AuthorizationPolicy": "security.istio.io/v1",
    "Certificate": "cert.gardener.cloud/v1alpha1",
    "ConfigMap": "v1",
    "DNSEntry": "dns.gardener.cloud/v1alpha1",
    "Deployment": "apps/v1",
    "DestinationRule": "networking.istio.io/v1",
    "EnvoyFilter": "networking.istio.io/v1alpha3",
    "Gateway": "networking.istio.io/v1",
    "Namespace": "v1",
    "NetworkPolicy": "networking.k8s.io/v1",
    "Secret": "v1",
    "Service": "v1",
    "ServiceAccount": "v1",
    "ServiceEntry": "networking.istio.io/v1",
    "Telemetry": "telemetry.istio.io/v1",
    "VirtualService": "networking.istio.io/v1",
}


def edit_command(api_version: str, kind: str, namespace: str, name: str) -> str:
    """Return the command by which a user edits an object."""
    group = api_version.rpartition("/")[0]
    resource = f"{kind.lower()}.{group}" if group else kind.lower()
    return f"kubectl {f'-n {namespace} ' if namespace else ''}edit {resource} {name}"
