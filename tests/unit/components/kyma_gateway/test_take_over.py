"""The take-over: documented names, missing namespaces, and the release by Kyma's operator."""

from components.ownership import OWNER_LABEL
from tests.unit.components.kyma_gateway.deployed_gateway import Gateway, made


def test_take_over_gives_the_documented_name(gateway: Gateway) -> None:
    metadata = gateway().one("Gateway", "gateway-gateway")["metadata"]
    assert (metadata["namespace"], metadata["name"]) == ("kyma-system", "kyma-gateway")


def test_take_over_makes_missing_namespaces_only(gateway: Gateway) -> None:
    assert made(gateway(), "Namespace") == ["Namespace kyma-installer None"], "kyma-system was there before"


def test_operator_releases_its_gateway_before_the_stack_makes_one(gateway: Gateway) -> None:
    stack = gateway(operator=True)
    assert stack.one("APIGatewayPatch", "gateway-operator")["spec"] == {"enableKymaGateway": False}
    owner = stack.one("APIGatewayPatch", "gateway-owner")
    assert owner["metadata"]["labels"] == {OWNER_LABEL: "0a1b"}, "force would let a second stack take over, too"
    assert "APIGateway" not in stack.kinds(), "deleting the APIGateway uninstalls the module"
    assert stack.comes_after("APIGatewayPatch gateway-operator", "APIGatewayPatch gateway-owner")
    assert stack.comes_after("Stash gateway-operator-ready", "APIGatewayPatch gateway-operator")
    assert stack.comes_after("Gateway gateway-gateway", "Stash gateway-operator-ready")
    assert list(stack.request("APIGatewayPatch", "gateway-operator").hooks.before_delete) == ["given-back"]
