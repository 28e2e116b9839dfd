"""Which clusters a lab has, and what each is called."""

from pathlib import Path

import pytest
import yaml

from lab import __main__ as commands
from lab import network, paths
from lab.node import CLIENTS, NODES, Node


@pytest.fixture(autouse=True)
def _empty_cache(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(paths, "cache_dir", lambda: tmp_path)


def names(clients: int) -> list[str]:
    return [node.name for node in commands._nodes(clients)]


def test_clusters_are_numbered_from_the_target() -> None:
    assert [(node.name, node.address, node.pods, node.dns) for node in NODES[:3]] == [
        ("target", "10.77.0.11", "10.78.1.0/24", "10.79.1.10"),
        ("client", "10.77.0.12", "10.78.2.0/24", "10.79.2.10"),
        ("client2", "10.77.0.13", "10.78.3.0/24", "10.79.3.10"),
    ]
    assert NODES[-1].name == "client4"


def test_lab_has_as_many_clients_as_are_asked_for() -> None:
    assert names(1) == ["target", "client"]
    assert names(4) == ["target", "client", "client2", "client3", "client4"]


def test_lab_keeps_clients_that_are_not_asked_for() -> None:
    CLIENTS[2].state.mkdir(parents=True)
    assert names(1) == ["target", "client", "client3"]
    assert names(2) == ["target", "client", "client2", "client3"]


@pytest.mark.parametrize("clients", ["0", "5", "x"])
def test_number_of_clients_out_of_range_is_a_usage_error(clients: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match="2"):
        commands._parser().parse_args(["up", "--clients", clients])
    assert "argument --clients: invalid" in capsys.readouterr().err


@pytest.mark.parametrize("node", NODES, ids=lambda node: node.name)
def test_dns_of_every_cluster_knows_all_clusters_and_the_internet(node: Node) -> None:
    objects = list(yaml.safe_load_all(node.fill("cluster.yaml")))
    corefile = next(found["data"]["Corefile"] for found in objects if found["kind"] == "ConfigMap")
    addresses = {other.name: other.address for other in NODES} | {"internet": network.WEBSITE_ADDRESS}
    assert "\n" + " ".join(f"{name}.test" for name in addresses) + " {\n" in corefile
    for name, address in addresses.items():
        assert f'template IN A {name}.test {{\n        answer "{{{{ .Name }}}} 30 IN A {address}"' in corefile
