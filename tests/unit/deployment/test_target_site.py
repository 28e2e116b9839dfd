"""The target site: the CAs that its hosts accept, and their Secrets."""

import pytest

from tests.unit.deployment.program import A_PARTNER, ACME, CALLER, ORDERS, TARGET, Stack


@pytest.mark.parametrize(
    ("admitted", "bundle"),
    [
        (["own"], "CA"),
        (["acme"], ACME.pem),
        (["own", "acme"], f"CA{ACME.pem}"),
        (["acme", "branch"], ACME.pem),
        ([], "CA"),
    ],
    ids=["own", "partner", "both", "partners-of-one-ca", "nobody"],
)
def test_host_accepts_the_cas_of_the_clients_that_it_admits(stack: Stack, admitted: list[str], bundle: str) -> None:
    branch = {**A_PARTNER, "identity": "dns:branch.acme.example"}
    clients = {"own": CALLER, "acme": A_PARTNER, "branch": branch}
    made = stack(target=TARGET, clients=clients, hosts={"orders": {**ORDERS, "clients": admitted}})
    partners = {"acme", "branch"} & set(admitted)
    name = made.marked("target-orders-certs.1") if partners else "target-orders-certs.1"
    pem = made.pem("Secret", name)["cacert"]
    assert pem.replace("certificates-ca.1-certPem", "CA") == bundle


def test_change_of_trust_makes_new_secrets_for_both_gateways(stack: Stack) -> None:
    names = set()
    for generation, trusted in (("1", []), ("1", ["2"]), ("2", ["1"]), ("2", [])):
        config = {"generation": generation, "trustedGenerations": trusted}
        made = stack(target=TARGET, clients={"caller": CALLER}, hosts={"httpbin": ORDERS}, **config)
        generations = ".".join((generation, *trusted))
        bundle = "".join(f"certificates-ca.{each}-certPem" for each in (generation, *trusted))
        server = made.one("Secret", f"target-httpbin-certs.{generations}")["metadata"]["name"]
        client = made.one("Secret", f"client-caller-credential.{generations}")["metadata"]["name"]
        (gateway,) = made.one("Gateway", "target-httpbin-gateway")["spec"]["servers"]
        rule = made.marked_one("DestinationRule", "client-caller.httpbin-originate-mtls")["spec"]["trafficPolicy"]
        assert gateway["tls"]["credentialName"] == server
        assert rule["portLevelSettings"][0]["tls"]["credentialName"] == client
        assert made.pem("Secret", f"target-httpbin-certs.{generations}")["cacert"] == bundle
        assert made.pem("Secret", f"client-caller-credential.{generations}")["ca.crt"] == bundle
        assert made.result["caCertificate"] == bundle, "whoever calls the hosts has to trust the same"
        names |= {server, client}
    assert len(names) == 8, "no Secret is changed while it serves"
