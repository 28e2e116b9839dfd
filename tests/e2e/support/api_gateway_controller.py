"""Plays the controller of the APIGateway CR, after api-gateway 3.10 (controllers/operator, internal/reconciliations).

It makes the default gateway if the CR asks for it, and gives it up, unless something still uses it. Source:
https://github.com/kyma-project/api-gateway
"""

from base64 import b64encode
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from tests.e2e.support.kyma_api import API_RULES, MODULE_LABEL, NETWORKING, Api, Object
from tests.unit.pki import issue

_GATEWAY_FINALIZER = "gateways.operator.kyma-project.io/kyma-gateway"

_MODULE_FINALIZER = "gateways.operator.kyma-project.io/api-gateway"
_DISCLAIMER = "apigateways.operator.kyma-project.io/managed-by-disclaimer"
_ADDRESS = "/api/v1/namespaces/istio-system/services/istio-ingressgateway"
_KEY_PAIR = "/api/v1/namespaces/istio-system/secrets/kyma-gateway-certs"
_CERTIFICATE = "/apis/cert.gardener.cloud/v1alpha1/namespaces/istio-system/certificates/kyma-tls-cert"
_DNS_ENTRY = "/apis/dns.gardener.cloud/v1alpha1/namespaces/kyma-system/dnsentries/kyma-gateway"
_HEALTH = f"{NETWORKING}/namespaces/istio-system/virtualservices/istio-healthz"
_GATEWAY = f"{NETWORKING}/namespaces/kyma-system/gateways/kyma-gateway"
_BLOCKED = (
    "There are custom resources that block the deletion of Kyma Gateway. Please take a look at "
    "kyma-system/api-gateway-controller-manager logs to see more information about the warning"
)


@dataclass(frozen=True)
class ApiGatewayController:
    """Reconciles APIGateway CRs of one cluster."""

    api: Api

    def reconcile(self, path: str, module: Object) -> bool:
        """Reconcile once; return whether all is done."""
        finalizers = module["metadata"].get("finalizers", [])
        is_wanted = module.get("spec", {}).get("enableKymaGateway", False)
        self.api.report_latest(path, "Processing", "")
        for finalizer in (_MODULE_FINALIZER, *([_GATEWAY_FINALIZER] if is_wanted else [])):
            if finalizer not in finalizers:
                self.api.finalize(path, finalizer, add=True)
        if is_wanted:
            self._make_gateway()
        elif _GATEWAY_FINALIZER in finalizers:
            if users := self._users():
                blocked = "Kyma Gateway deletion blocked because of the existing custom resources"
                condition = _condition("KymaGatewayDeletionBlocked", f"{blocked}: {', '.join(users[:5])}", "False")
                self.api.report_latest(path, "Warning", _BLOCKED, conditions=[condition])
                return False
            self._delete_gateway()
            self.api.finalize(path, _GATEWAY_FINALIZER, add=False)
        succeeded = _condition("ReconcileSucceeded", "Reconciliation succeeded", "True")
        self.api.report_latest(path, "Ready", "Successfully reconciled", conditions=[succeeded])
        return True

    def _users(self) -> list[str]:
        """Names of what refers to the gateway."""
        gateway = "kyma-system/kyma-gateway"
        rules = [rule for rule in self.api.items(f"{API_RULES}/apirules") if rule["spec"].get("gateway") == gateway]
        routes = self.api.items(f"{NETWORKING}/virtualservices")
        rules += [route for route in routes if gateway in route["spec"].get("gateways", [])]
        names = [rule["metadata"]["name"] for rule in rules]
        return [name for name in names if name != "istio-healthz"]

    @property
    def _shoot_domain(self) -> str:
        shoot = self.api.get("/api/v1/namespaces/kube-system/configmaps/shoot-info") or {}
        return str(shoot.get("data", {}).get("domain", ""))

    def _make_gateway(self) -> None:
        domain = self._shoot_domain or "local.kyma.dev"
        for path, item in (*self._certificate(domain), *_gateway(domain)):
            annotations = {_DISCLAIMER: "DO NOT EDIT - This resource is managed by Kyma."}
            metadata = {"labels": {MODULE_LABEL: "api-gateway"}, "annotations": annotations}
            annotations |= item.pop("annotations", {})
            self.api.create_or_update(path, {**item, "metadata": metadata})

    def _certificate(self, domain: str) -> Iterator[tuple[str, Object]]:
        if not self._shoot_domain:
            pair = issue("*.local.kyma.dev", end=timedelta(days=3650))
            data = {"tls.crt": pair.pem, "tls.key": pair.key_pem}
            encoded = {name: b64encode(value.encode()).decode() for name, value in data.items()}
            yield _KEY_PAIR, {"apiVersion": "v1", "kind": "Secret", "type": "kubernetes.io/tls", "data": encoded}
            return
        service = self.api.get(_ADDRESS) or {}
        entries = service["status"]["loadBalancer"]["ingress"]
        targets = [entry.get("ip") or entry["hostname"] for entry in entries]
        spec: Object = {"dnsName": f"*.{domain}", "ttl": 600, "targets": targets}
        classed = {"dns.gardener.cloud/class": "garden"}
        entry = {"apiVersion": "dns.gardener.cloud/v1alpha1", "kind": "DNSEntry", "annotations": classed, "spec": spec}
        yield _DNS_ENTRY, entry
        spec = {"commonName": f"*.{domain}", "secretName": "kyma-gateway-certs"}
        spec |= {"issuerRef": {"name": "garden"}, "privateKey": {"size": 4096}}
        spec |= {"secretLabels": {MODULE_LABEL: "api-gateway"}}
        yield _CERTIFICATE, {"apiVersion": "cert.gardener.cloud/v1alpha1", "kind": "Certificate", "spec": spec}

    def _delete_gateway(self) -> None:
        """Wait for none of them: Gardener keeps a DNSEntry for a while, and leaves the certificate's Secret behind."""
        issued = (_DNS_ENTRY, _CERTIFICATE) if self._shoot_domain else (_KEY_PAIR,)
        for path in (*issued, _HEALTH, _GATEWAY):
            self.api.delete(path)


def _condition(reason: str, message: str, status: str) -> Object:
    now = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    return {"type": "Ready", "reason": reason, "message": message, "status": status, "lastTransitionTime": now}


def _gateway(domain: str) -> Iterator[tuple[str, Object]]:
    """The gateway itself, and a route to the health of what is behind it."""
    api_version, hosts = "networking.istio.io/v1beta1", [f"*.{domain}"]
    health = {"host": "istio-ingressgateway.istio-system.svc.cluster.local", "port": {"number": 15021}}
    match = [{"uri": {"exact": "/healthz/ready"}}]
    spec: Object = {"hosts": [f"healthz.{domain}"], "gateways": ["kyma-system/kyma-gateway"]}
    spec["http"] = [{"match": match, "route": [{"destination": health}]}]
    yield _HEALTH, {"apiVersion": api_version, "kind": "VirtualService", "spec": spec}
    https = {"number": 443, "name": "https", "protocol": "HTTPS"}
    http = {"number": 80, "name": "http", "protocol": "HTTP"}
    servers = [
        {"port": https, "tls": {"mode": "SIMPLE", "credentialName": "kyma-gateway-certs"}, "hosts": hosts},
        {"port": http, "tls": {"httpsRedirect": True}, "hosts": hosts},
    ]
    selector = {"app": "istio-ingressgateway", "istio": "ingressgateway"}
    yield _GATEWAY, {"apiVersion": api_version, "kind": "Gateway", "spec": {"selector": selector, "servers": servers}}
