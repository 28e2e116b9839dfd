"""Plays the controller of APIRules v2, after api-gateway 3.10 (controllers/gateway, internal/processing, /validation).

It refuses a rule in the words of its validation, or makes its VirtualService and its AuthorizationPolicies. Source:
https://github.com/kyma-project/api-gateway
"""

import hashlib
import json
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime

from tests.e2e.support.kyma_api import MODULE_LABEL, NETWORKING, SECURITY, Api, Object, path_of

_RULE_FINALIZER = "gateway.kyma-project.io/subresources"
_OWNER = "apirule.gateway.kyma-project.io"
_INGRESS = "cluster.local/ns/istio-system/sa/istio-ingressgateway-service-account"
_HASH = "gateway.kyma-project.io/hash"
_CORS = ("Allow-Origin", "Expose-Headers", "Allow-Headers", "Allow-Credentials", "Allow-Methods", "Max-Age")
_SHOWN_FAILURES = 3


@dataclass(frozen=True)
class ApiRuleController:
    """Reconciles APIRules of one cluster."""

    api: Api

    def reconcile(self, path: str, rule: Object) -> bool:
        """Reconcile once; return whether all is done."""
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
            path_of(group, plural, item)
            for group, plural in kinds
            for item in self.api.items(f"{group}/{plural}", _owner(rule))
        ]

    def _apply(self, rule: Object) -> None:
        labels = _owner(rule) | {MODULE_LABEL: "api-gateway"}
        place = f"{NETWORKING}/namespaces/{rule['metadata']['namespace']}/virtualservices"
        wanted = {"metadata": _generated(rule, labels), "spec": _route(rule)}
        if found := self.api.items(place, _owner(rule)):
            self.api.update(path_of(NETWORKING, "virtualservices", found[0]), {**found[0], "spec": wanted["spec"]})
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
            self.api.delete(path_of(SECURITY, "authorizationpolicies", item))

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
