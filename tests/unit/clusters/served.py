"""Answers of API servers, by path, for the checks of a target and a client; and the problems that they report."""

from collections.abc import Callable
from typing import Any

import pytest

from clusters import Site
from components.ownership import OWNER_LABEL
from settings import ConfigError
from tests.unit.facts import istio
from tests.unit.fakes import kube_system

GATEWAYS = "/apis/networking.istio.io/v1/gateways"
ISTIO_KIND = "/apis/operator.kyma-project.io/v1alpha2"
ISTIO_CR = f"{ISTIO_KIND}/namespaces/kyma-system/istios/default"
API_RULES = "/apis/gateway.kyma-project.io/v2/apirules"
VIRTUAL_SERVICES = "/apis/networking.istio.io/v1/virtualservices"
SERVICE_ENTRIES = "/apis/networking.istio.io/v1/serviceentries"
ISTIO_CONFIG = "/api/v1/namespaces/istio-system/configmaps/istio"
ORDERS = "/api/v1/namespaces/shop/services/orders"
ORDERS_PODS = "/api/v1/namespaces/shop/pods?labelSelector=app%3Dorders"
ORDERS_HOST = {"domain": "orders.example.com", "service": {"namespace": "shop", "name": "orders", "port": 8080}}
TOKEN = "s3cr3t"  # noqa: S105 - what no message may hold

Check = Callable[..., list[Site]]


def problems(check: Check, *arguments: Any, **config: Any) -> list[str]:
    """Return the lines of the error that a check raises, without the servers' ports."""
    with pytest.raises(ConfigError) as caught:
        check(*arguments, **config)
    assert TOKEN not in str(caught.value)
    lines = str(caught.value).removeprefix("kyma-mtls:").split("\nkyma-mtls:")
    return [" ".join(word for word in line.split(" ") if "127.0.0.1" not in word) for line in lines]


def warnings(sites: list[Site]) -> list[str]:
    """Return the warnings about all sites."""
    return [line for site in sites for line in site.facts.warnings]


def apis(*further: str, istio: str = "v1") -> dict[str, Any]:
    """Return the API groups of a cluster: those of Istio, at this version, and further ones."""
    groups = [f"{name}.istio.io" for name in ("networking", "security", "telemetry")]
    return {
        "groups": [
            *({"name": group, "versions": [{"groupVersion": f"{group}/{istio}"}]} for group in groups),
            *({"name": group} for group in further),
        ]
    }


def whole(uid: str, **changed: Any) -> dict[str, Any]:
    """Return a cluster that has all that a stack on platform istio needs."""
    answers = {
        "/apis": apis(),
        GATEWAYS: {"items": []},
    }
    return {**kube_system(uid), **istio(), **answers, **changed}


def claiming(kind: str, owner: str = "", name: str = "httpbin", **spec: Any) -> dict[str, Any]:
    """Return a list with an object that has the host of the smallest config."""
    labels = {OWNER_LABEL: owner} if owner else {}
    spec = {"hosts": ["httpbin.example.com"], **spec}
    return {kind: {"items": [{"metadata": {"namespace": "shop", "name": name, "labels": labels}, "spec": spec}]}}


LOGISTICS = "/api/v1/namespaces/logistics"
INJECTED = {"metadata": {"name": "logistics", "labels": {"istio-injection": "enabled"}}}


def pod(name: str, account: str = "", *, sidecar: bool = True, **spec: Any) -> dict[str, Any]:
    """Return a Pod of this service account; `labels` and `annotations` are its metadata."""
    metadata = {key: spec.pop(key) for key in ("labels", "annotations") if key in spec}
    containers = [{"name": "app"}, *([{"name": "istio-proxy"}] if sidecar else [])]
    accounts = {"serviceAccountName": account} if account else {}
    return {"metadata": {"name": name, **metadata}, "spec": {"containers": containers, **accounts, **spec}}


def logistics(*pods: dict[str, Any], namespace: Any = INJECTED) -> dict[str, Any]:
    """Return a client's cluster with the namespace logistics, and these Pods in it."""
    return whole("uid-2", **{LOGISTICS: namespace, f"{LOGISTICS}/pods": {"items": list(pods)}})


def kyma_modules(istio: dict[str, Any]) -> dict[str, Any]:
    """Return the APIs of Kyma's modules, and the Istio CR with this spec."""
    return {
        "/apis": apis("operator.kyma-project.io", "gateway.kyma-project.io"),
        ISTIO_KIND: {"resources": [{"kind": "Istio", "name": "istios", "namespaced": True}]},
        ISTIO_CR: {"metadata": {}, "spec": istio},
    }


def orders_service(*ports: int, **spec: Any) -> dict[str, Any]:
    """Return the Service shop/orders with these ports."""
    return {"spec": {"selector": {"app": "orders"}, "ports": [{"port": port} for port in ports]} | spec}


def orders_pods(*containers: tuple[str, ...], **metadata: Any) -> dict[str, Any]:
    """Return Pods of the orders, each with these containers; a name that begins with + is that of an init container."""
    return {
        "items": [
            {
                "metadata": {"name": f"orders-{number}", **metadata},
                "spec": {
                    "containers": [{"name": name} for name in names if not name.startswith("+")],
                    "initContainers": [{"name": name[1:]} for name in names if name.startswith("+")],
                },
            }
            for number, names in enumerate(containers)
        ]
    }


def refusal(ask: Callable[[], object]) -> str:
    """Return the message of the ConfigError that a check raises."""
    with pytest.raises(ConfigError) as caught:
        ask()
    return str(caught.value)
