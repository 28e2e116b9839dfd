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
