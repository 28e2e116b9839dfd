"""Plays the controllers of Kyma's modules, after their sources: API Gateway 3.10 and Istio 1.30.

The API Gateway module is a Go module that no proxy serves whole, and the Istio module would bring an Istio of its own.
What the program can see of them is here: what they make and delete and in which order, what they refuse and in which
words, finalizers, states, and that all of it takes a second or two. What it cannot see is left out: Oathkeeper, rate
limits, JWT, hosts without a domain.
"""

import hashlib
import json
import time
from base64 import b64encode
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import cached_property
from http import HTTPStatus
from typing import Any
from urllib.parse import urlencode

from kubernetes import client, config
from urllib3.exceptions import HTTPError

from tests.e2e.conftest import meanwhile
from tests.unit.pki import issue

API_GATEWAYS = "/apis/operator.kyma-project.io/v1alpha1/apigateways"
API_RULES = "/apis/gateway.kyma-project.io/v2"
ISTIOS = "/apis/operator.kyma-project.io/v1alpha2"
NETWORKING = "/apis/networking.istio.io/v1beta1"
SECURITY = "/apis/security.istio.io/v1beta1"
GATEWAY_FINALIZER = "gateways.operator.kyma-project.io/kyma-gateway"
MODULE_LABEL = "kyma-project.io/module"

_MODULE_FINALIZER = "gateways.operator.kyma-project.io/api-gateway"
_RULE_FINALIZER = "gateway.kyma-project.io/subresources"
_OWNER = "apirule.gateway.kyma-project.io"
_DISCLAIMER = "apigateways.operator.kyma-project.io/managed-by-disclaimer"
_INGRESS = "cluster.local/ns/istio-system/sa/istio-ingressgateway-service-account"
_ADDRESS = "/api/v1/namespaces/istio-system/services/istio-ingressgateway"
_HASH = "gateway.kyma-project.io/hash"
_KEY_PAIR = "/api/v1/namespaces/istio-system/secrets/kyma-gateway-certs"
_CERTIFICATE = "/apis/cert.gardener.cloud/v1alpha1/namespaces/istio-system/certificates/kyma-tls-cert"
_DNS_ENTRY = "/apis/dns.gardener.cloud/v1alpha1/namespaces/kyma-system/dnsentries/kyma-gateway"
_HEALTH = f"{NETWORKING}/namespaces/istio-system/virtualservices/istio-healthz"
_GATEWAY = f"{NETWORKING}/namespaces/kyma-system/gateways/kyma-gateway"
_BLOCKED = (
    "There are custom resources that block the deletion of Kyma Gateway. Please take a look at "
    "kyma-system/api-gateway-controller-manager logs to see more information about the warning"
)
_CORS = ("Allow-Origin", "Expose-Headers", "Allow-Headers", "Allow-Credentials", "Allow-Methods", "Max-Age")
_SHOWN_FAILURES = 3
_TRIED_AGAIN = {
    HTTPStatus.NOT_FOUND,
    HTTPStatus.CONFLICT,
    HTTPStatus.TOO_MANY_REQUESTS,
    HTTPStatus.INTERNAL_SERVER_ERROR,
    HTTPStatus.SERVICE_UNAVAILABLE,
    HTTPStatus.GATEWAY_TIMEOUT,
}

Object = dict[str, Any]


@dataclass(frozen=True)
class Api:
    """An API server, as a controller's client uses it: by updates, not by server-side apply."""

    kubeconfig: str

    @cached_property
    def _client(self) -> client.ApiClient:
        settings = client.Configuration()
        config.load_kube_config(self.kubeconfig, client_configuration=settings, persist_config=False)
        return client.ApiClient(settings)

    def get(self, path: str) -> Object | None:
        """Return an object or a list; None if there is none, or no such kind."""
        try:
            return self._request("GET", path)
        except client.ApiException as error:
            if error.status == HTTPStatus.NOT_FOUND:
                return None
            raise

    def items(self, path: str, labels: dict[str, str] | None = None) -> list[Object]:
        """Return the objects of a list; none if there is no such kind."""
        selector = ",".join(f"{name}={value}" for name, value in (labels or {}).items())
        return list((self.get(f"{path}?{urlencode({'labelSelector': selector})}") or {}).get("items", []))

    def create(self, path: str, item: Object) -> None:
        """Create an object in a list."""
        self._request("POST", f"{path}?fieldManager=manager", item)

    def update(self, path: str, item: Object) -> None:
        """Replace an object, unless somebody else changed it in the meantime."""
        self._request("PUT", f"{path}?fieldManager=manager", item)

    def delete(self, path: str) -> None:
        """Ask for an object's deletion, if there is one, and wait for nothing."""
        if self.get(path):
            self._request("DELETE", path)

    def create_or_update(self, path: str, item: Object) -> None:
        """Set what an object says beside its metadata, and its labels and annotations."""
        place, _, name = path.rpartition("/")
        found = self.get(path)
        if not found:
            self.create(place, {**item, "metadata": {**item["metadata"], "name": name}})
        else:
            self.update(path, {**found, **item, "metadata": {**found["metadata"], **item["metadata"]}})

    def finalize(self, path: str, finalizer: str, *, add: bool) -> None:
        """Put a finalizer on an object, or take it off."""
        item = self.get(path)
        if item:
            others = [each for each in item["metadata"].get("finalizers", []) if each != finalizer]
            item["metadata"]["finalizers"] = [*others, finalizer] if add else others
            self.update(path, item)

    def report(self, path: str, item: Object, state: str, description: str, **status: object) -> None:
        """Set the status of an object, unless somebody changed it since it was read."""
        self.update(f"{path}/status", {**item, "status": {"state": state, "description": description, **status}})

    def _request(self, method: str, path: str, body: object = None) -> Object:
        headers = {"Accept": "application/json", "Content-Type": "application/json"}
        request = self._client.param_serialize(
            method, path, header_params=headers, body=body, auth_settings=["BearerToken"]
        )
        response = self._client.call_api(*request, _request_timeout=10)
        content = response.read()
        if response.status >= HTTPStatus.BAD_REQUEST:
            raise client.ApiException(status=response.status, reason=content.decode())
        return dict(json.loads(content))


@dataclass
class KymaControllers:
    """The controllers of one cluster; each reconciles what changed, or what it could not finish.

    lag: seconds that a change goes unnoticed
    """

    api: Api
    lag: float = field(default=0, init=False)
    _finished: dict[str, int] = field(default_factory=dict)
    _noticed: dict[tuple[str, int], float] = field(default_factory=dict)

    @contextmanager
    def running(self) -> Iterator[None]:
        """Reconcile beside what is done in the context."""
        self._reconcile_if_answered()
        with meanwhile(self._reconcile_if_answered):
            yield

    @contextmanager
    def lagging(self, seconds: float) -> Iterator[None]:
        """Notice changes so much later in the context."""
        self.lag = seconds
        try:
            yield
        finally:
            self.lag = 0

    def _reconcile_if_answered(self) -> None:
        """Reconcile once; an API server that does not answer is asked again in the next round."""
        with suppress(OSError, HTTPError):
            self.reconcile()

    def reconcile(self) -> None:
        """Reconcile everything once, in the order of its changes."""
        for item in self.api.items(API_GATEWAYS):
            self._turn(f"{API_GATEWAYS}/{item['metadata']['name']}", item, self._module)
        for item in self.api.items(f"{API_RULES}/apirules"):
            self._turn(_path(API_RULES, "apirules", item), item, self._rule)
        for item in self.api.items(f"{ISTIOS}/istios"):
            self._turn(_path(ISTIOS, "istios", item), item, self._istio)

    def _turn(self, path: str, item: Object, reconcile: Any) -> None:
        """Reconcile what is due; try a lost race with another writer, or a server's error, again in the next round."""
        key, generation = f"{path} {item['metadata']['uid']}", item["metadata"]["generation"]
        if self._finished.get(key) == generation:
            return
        if time.monotonic() < self._noticed.setdefault((key, generation), time.monotonic()) + self.lag:
            return
        try:
            if reconcile(path, item):
                self._finished[key] = generation
        except client.ApiException as error:
            if error.status not in _TRIED_AGAIN:
                raise

    def _istio(self, path: str, _: Object) -> bool:
        """The lab's gateways are there, whatever the CR says."""
        self._report(path, "Ready", "Reconciliation succeeded")
        return True

    def _report(self, path: str, state: str, description: str, **status: object) -> None:
        """Modules get their status whatever became of them in the meantime; APIRules don't."""
        if item := self.api.get(path):
            self.api.report(path, item, state, description, **status)

    def _module(self, path: str, module: Object) -> bool:
        finalizers = module["metadata"].get("finalizers", [])
        is_wanted = module.get("spec", {}).get("enableKymaGateway", False)
        self._report(path, "Processing", "")
        for finalizer in (_MODULE_FINALIZER, *([GATEWAY_FINALIZER] if is_wanted else [])):
            if finalizer not in finalizers:
                self.api.finalize(path, finalizer, add=True)
        if is_wanted:
            self._make_gateway()
        elif GATEWAY_FINALIZER in finalizers:
            if users := self._users():
                blocked = "Kyma Gateway deletion blocked because of the existing custom resources"
                condition = _condition("KymaGatewayDeletionBlocked", f"{blocked}: {', '.join(users[:5])}", "False")
                self._report(path, "Warning", _BLOCKED, conditions=[condition])
                return False
            self._delete_gateway()
            self.api.finalize(path, GATEWAY_FINALIZER, add=False)
        succeeded = _condition("ReconcileSucceeded", "Reconciliation succeeded", "True")
        self._report(path, "Ready", "Successfully reconciled", conditions=[succeeded])
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

    def _rule(self, path: str, rule: Object) -> bool:
        metadata = rule["metadata"]
        if "deletionTimestamp" in metadata:
            for owned in self._owned(rule):
                self.api.delete(owned)
            self.api.finalize(path, _RULE_FINALIZER, add=False)
            return True
        if _RULE_FINALIZER not in metadata.get("finalizers", []):
            self.api.finalize(path, _RULE_FINALIZER, add=True)
            return False
        failures = [f"Attribute '{attribute}': {message}" for attribute, message in self._failures(rule)]
        if failures:
            more = len(failures) - _SHOWN_FAILURES
            failures[_SHOWN_FAILURES:] = [f"{more} more error(s)..."] if more > 0 else []
        else:
            self._apply(rule)
        self.api.report(
            path,
            rule,
            "Error" if failures else "Ready",
            "Validation errors: " + "\n".join(failures) if failures else "Reconciled successfully",
            lastProcessedTime=datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
        )
        return not failures

    def _failures(self, rule: Object) -> Iterator[tuple[str, str]]:
        spec, owner = rule["spec"], _owner(rule)
        namespace, _, name = spec["gateway"].partition("/")
        if not self.api.get(f"{NETWORKING}/namespaces/{namespace}/gateways/{name}"):
            yield "spec.gateway", "Could not get specified Gateway"
            return
        for index, each in enumerate(spec["rules"]):
            yield from self._workload_failures(f".spec.rules[{index}]", *_service(rule, each))
        for route in self.api.items(f"{NETWORKING}/virtualservices"):
            is_own = owner.items() <= route["metadata"].get("labels", {}).items()
            if spec["hosts"][0] in route["spec"].get("hosts", []) and not is_own:
                yield ".spec.hosts[0]", "Host is occupied by another Virtual Service"

    def _workload_failures(self, attribute: str, namespace: str, name: str, _: int) -> Iterator[tuple[str, str]]:
        service = self.api.get(f"/api/v1/namespaces/{namespace}/services/{name}")
        if not service:
            yield attribute, f'Failed to execute sidecar injection validation, err: Service "{name}" not found'
        elif not service["spec"].get("selector"):
            yield f"{attribute}.injection", "Target service label selectors are not defined"
        else:
            for pod in self.api.items(f"/api/v1/namespaces/{namespace}/pods", service["spec"]["selector"]):
                containers = pod["spec"]["containers"] + pod["spec"].get("initContainers", [])
                if "istio-proxy" not in [container["name"] for container in containers]:
                    yield (
                        attribute,
                        f"Pod {namespace}/{pod['metadata']['name']} does not have an injected istio sidecar",
                    )

    def _owned(self, rule: Object) -> list[str]:
        kinds = ((NETWORKING, "virtualservices"), (SECURITY, "authorizationpolicies"))
        return [
            _path(group, plural, item)
            for group, plural in kinds
            for item in self.api.items(f"{group}/{plural}", _owner(rule))
        ]

    def _apply(self, rule: Object) -> None:
        labels = _owner(rule) | {MODULE_LABEL: "api-gateway"}
        place = f"{NETWORKING}/namespaces/{rule['metadata']['namespace']}/virtualservices"
        wanted = {"metadata": _generated(rule, labels), "spec": _route(rule)}
        if found := self.api.items(place, _owner(rule)):
            self.api.update(_path(NETWORKING, "virtualservices", found[0]), {**found[0], "spec": wanted["spec"]})
        else:
            self.api.create(place, {"apiVersion": "networking.istio.io/v1beta1", "kind": "VirtualService", **wanted})
        left = {item["metadata"]["labels"][_HASH]: item for item in self._policies(rule)}
        for namespace, spec in self._policy_specs(rule):
            digest = hashlib.sha256(json.dumps([namespace, spec], sort_keys=True).encode()).hexdigest()[:16]
            if not left.pop(digest, None):
                metadata = _generated(rule, labels | {_HASH: digest})
                policy = {"apiVersion": "security.istio.io/v1beta1", "kind": "AuthorizationPolicy"}
                place = f"{SECURITY}/namespaces/{namespace}/authorizationpolicies"
                self.api.create(place, {**policy, "metadata": metadata, "spec": spec})
        for item in left.values():
            self.api.delete(_path(SECURITY, "authorizationpolicies", item))

    def _policies(self, rule: Object) -> list[Object]:
        return self.api.items(f"{SECURITY}/authorizationpolicies", _owner(rule))

    def _policy_specs(self, rule: Object) -> Iterator[tuple[str, Object]]:
        """One policy for each rule, in the namespace of its Service: the ingress gateway alone may call."""
        for each in rule["spec"]["rules"]:
            namespace, name, _ = _service(rule, each)
            service = self.api.get(f"/api/v1/namespaces/{namespace}/services/{name}") or {}
            path = "/{**}" if each["path"] == "/*" else each["path"]
            operation = {"hosts": rule["spec"]["hosts"], "methods": each["methods"], "paths": [path]}
            if others := _earlier_paths(rule["spec"]["rules"], each):
                operation["notPaths"] = others
            allowed = {"from": [{"source": {"principals": [_INGRESS]}}], "to": [{"operation": operation}]}
            yield namespace, {"selector": {"matchLabels": service["spec"]["selector"]}, "rules": [allowed]}


def _path(group: str, plural: str, item: Object) -> str:
    return f"{group}/namespaces/{item['metadata']['namespace']}/{plural}/{item['metadata']['name']}"


def _condition(reason: str, message: str, status: str) -> Object:
    now = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    return {"type": "Ready", "reason": reason, "message": message, "status": status, "lastTransitionTime": now}


def _owner(rule: Object) -> dict[str, str]:
    metadata = rule["metadata"]
    return {f"{_OWNER}/name": metadata["name"], f"{_OWNER}/namespace": metadata["namespace"]}


def _generated(rule: Object, labels: dict[str, str]) -> Object:
    return {"generateName": f"{rule['metadata']['name']}-", "labels": labels}


def _service(rule: Object, each: Object) -> tuple[str, str, int]:
    """Namespace, name and port of what serves a rule's requests."""
    service = each.get("service") or rule["spec"]["service"]
    return service.get("namespace", rule["metadata"]["namespace"]), service["name"], service["port"]


def _earlier_paths(rules: list[Object], current: Object) -> list[str]:
    """Paths of the rules before this one that share a method with it: the more specific ones come first."""
    earlier = rules[: rules.index(current)]
    shared = [each for each in earlier if set(each["methods"]) & set(current["methods"])]
    return [each["path"] for each in shared if each["path"] not in ("/*", "/{**}", "/")]


def _route(rule: Object) -> Object:
    spec = rule["spec"]
    set_by_gateway = {"request": {"set": {"x-forwarded-host": spec["hosts"][0]}}}
    headers = set_by_gateway | {"response": {"remove": [f"Access-Control-{name}" for name in _CORS]}}
    routes = []
    for each in spec["rules"]:
        namespace, name, port = _service(rule, each)
        to = {"host": f"{name}.{namespace}.svc.cluster.local", "port": {"number": port}}
        match = {"method": {"regex": f"^({'|'.join(each['methods'])})$"}, "uri": _uri(each["path"])}
        timeout = f"{each.get('timeout') or spec.get('timeout', 180)}s"
        routes.append({"match": [match], "route": [{"destination": to}], "timeout": timeout, "headers": headers})
    return {"hosts": spec["hosts"], "gateways": [spec["gateway"]], "http": routes}


def _uri(path: str) -> dict[str, str]:
    if path in ("/*", "/{**}"):
        return {"prefix": "/"}
    character = "[-A-Za-z0-9._~!$&'()*+,;=:@{}]|%[0-9a-fA-F]{{2}}"
    anything, segment = (f"({character.format(more)}){repeat}" for more, repeat in (("/", "*"), ("", "+")))
    return {"regex": f"^{path.replace('{**}', anything).replace('{*}', segment)}$"}


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
