"""The overrides of Kyma 1's installer."""

from tests.unit.components.kyma_gateway.deployed_gateway import Gateway, data, decoded


def test_overrides_have_the_installers_labels_and_keys(gateway: Gateway) -> None:
    stack = gateway()
    pair = {"tlsCrt": "CERTIFICATE", "tlsKey": "KEY"}
    for name, prefix in (("net-global-overrides", "global.ingress."), ("my-certificate-overrides", "global.")):
        config_map = stack.one("ConfigMap", f"gateway-{name}")
        assert config_map["metadata"]["labels"] == {"installer": "overrides", "kyma-project.io/installation": ""}
        values = data(stack, "ConfigMap", f"gateway-{name}")
        assert values.pop("global.ingress.domainName", "kyma.example.com") == "kyma.example.com"
        assert decoded(values) == {f"{prefix}{key}": value for key, value in pair.items()}
