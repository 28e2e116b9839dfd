"""Identities of clients."""

from deployment.identities import identities
from tests.unit.config import read
from tests.unit.deployment.program import A_PARTNER, CALLER, ORDERS, TARGET, Stack


def test_identities_are_the_stacks_own_or_those_that_partners_name(stack: Stack) -> None:
    clients = {"warehouse": CALLER, "acme": A_PARTNER}
    settings = read(target=TARGET, clients=clients, hosts={"orders": {**ORDERS, "clients": ["acme"]}})
    assert identities(settings, "prod") == {
        "warehouse": "spiffe://kyma-mtls/prod/client/warehouse",
        "acme": "spiffe://acme.example/client",
    }
    made = stack(target=TARGET, clients=clients, hosts={"orders": {**ORDERS, "clients": ["acme", "warehouse"]}})
    assert made.one("CertRequest", "certificates-client-warehouse.1")["uris"] == [
        "spiffe://kyma-mtls/test/client/warehouse"
    ]
    admission = made.policy("target-orders-admission")["spec"]["rules"][0]
    (source,) = (each["source"] for each in admission["from"])
    assert source["notPrincipals"] == ["acme.example/client", "kyma-mtls/test/client/warehouse"]
