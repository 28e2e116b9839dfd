"""Visibility: objects that hide the stack's routes from its callers, or decide in their place."""

from dataclasses import replace
from typing import Any

import pytest

from clusters.control_plane import Mesh
from clusters.visibility import Calls, check_visibility
from components.ownership import OWNER_LABEL, Owner
from settings import ConfigError
from tests.unit.facts import ISTIO_INJECTION, ISTIOCTL_EGRESS
from tests.unit.fakes import fake_cluster

CALLS = Calls("mtls", ISTIO_INJECTION, ["logistics"], ISTIOCTL_EGRESS, {"orders": "orders.example.com"})
OWNER = Owner("0a1b")
NO_MESH = Mesh({}, "istio-system")


def items(*found: dict[str, Any]) -> dict[str, Any]:
    return {"items": list(found)}


def made(namespace: str, name: str = "default", labels: dict[str, str] | None = None, **spec: Any) -> dict[str, Any]:
    return {"metadata": {"namespace": namespace, "name": name, "labels": labels or {}}, "spec": spec}


def check(
    *,
    sidecars: tuple[dict[str, Any], ...] = (),
    rules: tuple[dict[str, Any], ...] = (),
    deployed: bool = False,
    mesh: Mesh = NO_MESH,
    namespaces: dict[str, dict[str, str]] | None = None,
    calls: Calls = CALLS,
) -> tuple[str, ...]:
    """Return the warnings.

    deployed: whether the stack has the route of CALLS
    """
    api = "/apis/networking.istio.io/v1"
    spec = {"hosts": ["orders.example.com"], "exportTo": [".", "logistics"]}
    routes = [made("mtls", "direct-orders", {OWNER_LABEL: "0a1b"}, **spec)] if deployed else []
    found: dict[str, Any] = {
        f"{api}/sidecars": items(*sidecars),
        f"{api}/destinationrules": items(*rules),
        f"{api}/virtualservices": items(*routes),
    }
    for name, labels in (namespaces or {}).items():
        found[f"/api/v1/namespaces/{name}"] = {"metadata": {"name": name, "labels": labels}}
    return check_visibility(fake_cluster(found), calls, mesh, OWNER)


def refused(**found: Any) -> list[str]:
    """Return the lines of the error, each without what all begin with; none if nothing is refused."""
    try:
        assert check(**found) == (), "a warning is no refusal"
    except ConfigError as error:
        return [line.partition("https://target ")[2] for line in str(error).splitlines()]
    return []


def sidecar(namespace: str, *hosts: str, **more: Any) -> dict[str, Any]:
    return made(namespace, egress=[{"hosts": list(hosts)}], **more)


def entry(port: int | None, *hosts: str) -> dict[str, Any]:
    """Return an entry of a Sidecar's egress, for a port or for all."""
    return {"hosts": list(hosts), **({"port": {"number": port, "protocol": "HTTP"}} if port else {})}


@pytest.mark.parametrize(
    "visible",
    [
        sidecar("logistics", "*/*"),
        sidecar("logistics", "mtls/*", "istio-system/*"),
        sidecar("logistics", "mtls/*.example.com", "*/*.kyma-mtls.internal"),
        made("logistics", ingress=[]),
        made("logistics", egress=[entry(80, "./*", "mtls/*"), entry(None, "*/*")]),
        made("logistics", egress=[entry(8080, "./*"), entry(None, "mtls/*", "istio-system/*")]),
        sidecar("shop", "./*"),
        sidecar("istio-system", "./*", workloadSelector={"labels": {"app": "shop"}}),
    ],
)
def test_sidecar_that_imports_the_routes_passes(visible: dict[str, Any]) -> None:
    assert refused(sidecars=(visible,)) == []


@pytest.mark.parametrize(
    ("hiding", "lacks"),
    [
        (sidecar("logistics", "./*"), "istio-system/* and mtls/*"),
        (sidecar("logistics", "./*", "istio-system/*"), "mtls/*"),
        (sidecar("logistics", "mtls/*"), "istio-system/*"),
        (sidecar("logistics", "~/*"), "istio-system/* and mtls/*"),
        (sidecar("logistics", "mtls/other.example.com", "istio-system/*"), "mtls/*"),
        (made("logistics", egress=[{"hosts": ["*/*"], "port": {"number": 80}}]), "istio-system/* and mtls/*"),
        (sidecar("logistics", "./*", workloadSelector={"labels": {"app": "x"}}), "istio-system/* and mtls/*"),
        (sidecar("istio-system", "./*", "istio-system/*"), "mtls/*"),
        (sidecar("istio-system", "./*", "mtls/*"), "istio-system/*"),
    ],
)
def test_sidecar_that_hides_the_routes_is_refused_by_name(hiding: dict[str, Any], lacks: str) -> None:
    lines = refused(sidecars=(hiding,))
    place = hiding["metadata"]["namespace"]
    assert lines[0] == (
        f"hides the stack's routes from the callers in namespace logistics by Sidecar {place}/default: add {lacks} "
        "to the hosts of its egress, in an entry without a port"
    )


def test_sidecar_that_hides_the_routes_at_port_80_is_refused() -> None:
    """Istio takes the routes of a port from the entry for it alone."""
    hiding = made("logistics", egress=[entry(80, "./*"), entry(None, "*/*")])
    by = "hides the stack's routes from the callers in namespace logistics by Sidecar logistics/default"
    at_80 = f"{by}: add mtls/* to the hosts of its egress, in the entry for port 80"
    assert refused(sidecars=(hiding,)) == [at_80]
    hiding = made("logistics", egress=[entry(80, "./*"), entry(None, "istio-system/*")])
    at_all = f"{by}: add mtls/* to the hosts of its egress, in an entry without a port"
    assert refused(sidecars=(hiding,)) == [at_all, at_80]


def test_sidecar_of_the_root_namespace_gives_way_to_that_of_the_callers() -> None:
    own = (sidecar("logistics", "*/*"), sidecar("mtls", "*/*"))
    assert refused(sidecars=(sidecar("istio-system", "./*"), *own)) == []


@pytest.mark.parametrize(
    ("new", "hiding"),
    [
        (replace(CALLS, caller_namespaces=["logistics", "returns"]), sidecar("returns", "./*", "istio-system/*")),
        (
            replace(CALLS, domains={**CALLS.domains, "news": "news.example.com"}),
            sidecar("logistics", "mtls/orders.example.com", "istio-system/*"),
        ),
    ],
    ids=["caller", "host"],
)
def test_new_caller_and_new_host_of_a_deployed_stack_are_refused_while_hidden(
    new: Calls, hiding: dict[str, Any]
) -> None:
    assert check(sidecars=(hiding,), deployed=True) == (), "what is deployed is not hidden"
    (line,) = refused(sidecars=(hiding,), deployed=True, calls=new)
    assert line.startswith(f"hides the stack's routes from the callers in namespace {hiding['metadata']['namespace']}")


def test_deployed_stack_is_warned_of_what_hides_its_routes() -> None:
    (line,) = check(sidecars=(sidecar("logistics", "./*"),), deployed=True)
    assert "https://target hides the stack's routes" in line


def test_namespace_that_discovery_leaves_out_is_refused_for_a_new_caller_alone() -> None:
    mesh = Mesh({"discoverySelectors": [{"matchLabels": dict(ISTIO_INJECTION)}]}, "istio-system")
    known = {name: dict(ISTIO_INJECTION) for name in ("logistics", "istio-system")} | {"returns": {}}
    new = replace(CALLS, caller_namespaces=["logistics", "returns"])
    assert check(mesh=mesh, namespaces=known, deployed=True) == ()
    (line,) = refused(mesh=mesh, namespaces=known, deployed=True, calls=new)
    assert line.startswith("hides namespace returns from Istio")
    (line,) = check(mesh=mesh, namespaces={**known, "logistics": {}}, deployed=True)
    assert "hides namespace logistics from Istio" in line


@pytest.mark.parametrize(
    ("host", "namespace", "decides"),
    [
        ("*", "logistics", True),
        ("*.internal", "mtls", True),
        ("orders.mtls.kyma-mtls.internal", "logistics", True),
        ("*.local", "logistics", False),
        ("istio-egressgateway.istio-system.svc.cluster.local", "logistics", False),
        ("*", "shop", False),
        ("*", "istio-system", False),
    ],
)
def test_rule_that_would_decide_how_callers_reach_the_egress_gateway_is_refused(
    host: str, namespace: str, decides: bool
) -> None:
    lines = refused(rules=(made(namespace, "tls", host=host),))
    expected = f"lets DestinationRule {namespace}/tls, for host {host}, decide how callers reach the egress gateway"
    assert [line.partition(":")[0] for line in lines] == ([expected] if decides else [])


def test_namespaces_that_discovery_leaves_out_are_refused() -> None:
    mesh = Mesh({"discoverySelectors": [{"matchLabels": {"team": "a"}}]}, "istio-system")
    lines = refused(mesh=mesh, namespaces={"logistics": {}, "istio-system": {"team": "a"}})
    assert [line.split(" from ")[0] for line in lines] == ["hides namespace logistics", "hides namespace mtls"]


def test_namespaces_that_discovery_selects_pass() -> None:
    mesh = Mesh({"discoverySelectors": [{"matchLabels": dict(ISTIO_INJECTION)}]}, "istio-system")
    known = {name: dict(ISTIO_INJECTION) for name in ("logistics", "istio-system")}
    assert refused(mesh=mesh, namespaces=known) == []


def test_own_namespace_is_judged_by_the_labels_that_it_has_and_those_that_the_stack_gives_it() -> None:
    mesh = Mesh({"discoverySelectors": [{"matchLabels": {"mesh": "on"}}]}, "istio-system")
    others = {name: {"mesh": "on"} for name in ("logistics", "istio-system")}
    assert refused(mesh=mesh, namespaces={**others, "mtls": {"mesh": "on"}}) == []
    expected = (
        "hides namespace mtls from Istio: no selector of discoverySelectors in the mesh config has its labels; let one "
        "match a label of it, such as kubernetes.io/metadata.name"
    )
    assert refused(mesh=mesh, namespaces={**others, "mtls": {}}) == [expected]
    assert refused(mesh=mesh, namespaces=others) == [expected], "it is to come"
    unnamed = replace(CALLS, namespace="")
    (line,) = refused(mesh=mesh, namespaces=others, calls=unnamed)
    assert line.startswith("hides namespace of the stack from Istio")
    injecting = Mesh({"discoverySelectors": [{"matchLabels": {**ISTIO_INJECTION}}]}, "istio-system")
    assert refused(mesh=injecting, namespaces={name: dict(ISTIO_INJECTION) for name in others}, calls=unnamed) == []
