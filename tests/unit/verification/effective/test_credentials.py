"""Which proxies beside the egress gateway use a client's certificate."""

from typing import Any

from tests.unit.verification.effective.recorded import changed, with_socket
from verification.effective.credentials import Beside, problems, some_proxies


def pod(name: str, owner: str, container: str = "istio-proxy") -> dict[str, Any]:
    owners = [{"name": owner, "controller": True}]
    return {"metadata": {"name": name, "ownerReferences": owners}, "spec": {"containers": [{"name": container}]}}


SECRETS = ("client-credential-broken.",)
SERVERS = frozenset({"outbound|443||one.broken.target.test"})


def test_the_egress_gateway_alone_uses_the_certificate() -> None:
    assert list(problems(changed("beside"), SECRETS)) == []
    assert any(
        "Secret client-credential-broken.1 to outbound|443||one" in each
        for each in problems(changed("egress"), SECRETS)
    )


def test_the_egress_gateway_shows_it_to_its_hosts_alone() -> None:
    assert list(problems(changed("egress"), SECRETS, SERVERS)) == []
    for name in ("outbound|443||evil.test", "outbound|443|v2|one.broken.target.test", "own"):
        dump = changed("egress", '"name": "outbound|443||one.broken.target.test"', f'"name": "{name}"')
        assert list(problems(dump, SECRETS, SERVERS)) == [
            f"shows the certificate of Secret client-credential-broken.1 to {name}"
        ]


def test_a_second_certificate_is_seen() -> None:
    old = '[{"name": "kubernetes://client-credential-broken.1"}]'
    dump = changed("egress", old, f'[{{"name": "default"}}, {old[1:]}')
    assert len(list(problems(dump, SECRETS))) == 1


def test_a_stack_whose_name_begins_alike_is_another() -> None:
    assert list(problems(changed("egress"), ("client-credential-brok.", "client-credential-broken-api."))) == []


def test_one_pod_of_each_workload_is_asked() -> None:
    pods = [pod("b", "one"), pod("a", "one"), pod("c", "two"), pod("d", "three", "istiod")]
    assert [each["metadata"]["name"] for each in some_proxies(pods)] == ["a", "c"]
    assert len(some_proxies([pod(f"{number}", f"{number}") for number in range(20)])) == 8


def test_pods_with_some_of_the_gateways_labels_are_beside_it() -> None:
    labelled = [{"app": "gateway", "istio": "egress"}, {"app": "gateway", "istio": "b"}, {"istio": "egress"}, None]
    pods = [pod(f"{number}", f"{number}") for number in range(4)]
    for each, labels in zip(pods, labelled, strict=True):
        each["metadata"]["labels"] = labels
    beside = Beside((("app", "gateway"), ("istio", "egress")))
    assert [each["metadata"]["name"] for each in beside(pods)] == ["1", "2", "3"]
    assert beside == Beside((("app", "gateway"), ("istio", "egress")))


def test_a_socket_for_some_endpoints_is_seen() -> None:
    upstream = "outbound|443||one.broken.target.test"
    old = '"name": "kubernetes://client-credential-broken.1"'
    own = with_socket("egress", upstream, old, '"name": "kubernetes://client-credential-brok.1"')
    assert len(list(problems(own, ("client-credential-brok.",)))) == 1
    assert list(problems(own, ("client-credential-brok.",), SERVERS)) == []
