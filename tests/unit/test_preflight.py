"""A need of the lab that is not met is one clear line before anything is started."""

import json
import os
import shutil
from pathlib import Path

import pytest

from lab import network, paths, preflight, rootfs
from lab.errors import LabError


@pytest.fixture(autouse=True)
def _able_machine(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    monkeypatch.setattr(shutil, "which", lambda program: f"/usr/bin/{program}")
    monkeypatch.setattr(rootfs, "codename", lambda: "bookworm")
    monkeypatch.setattr(paths, "cache_dir", lambda: tmp_path)


def message() -> str:
    with pytest.raises(LabError) as caught:
        preflight.check()
    assert "\n" not in str(caught.value)
    assert 'With two clusters of your own you need no lab: see "Your own clusters"' in str(caught.value)
    return str(caught.value)


def test_the_lab_needs_root(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    assert message().startswith("the lab makes namespaces and mounts: run it as root.")


def test_the_lab_needs_debian(monkeypatch: pytest.MonkeyPatch) -> None:
    def other() -> str:
        raise LabError("the lab runs on Debian; this is Fedora")

    monkeypatch.setattr(rootfs, "codename", other)
    assert message().startswith("the lab runs on Debian; this is Fedora.")


def test_missing_programs_are_named_by_their_packages(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "which", lambda program: None if program in {"ip", "nsenter"} else program)
    assert "run `apt-get install iproute2 util-linux`" in message()


@pytest.mark.parametrize(("clusters", "said"), [(1, "1 cluster, the lab needs 3"), (4, "4 clusters, the lab needs 12")])
def test_free_disk_is_needed_for_every_cluster(monkeypatch: pytest.MonkeyPatch, clusters: int, said: str) -> None:
    monkeypatch.setattr(preflight, "MEMORY_GIB", 0)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: shutil._ntuple_diskusage(2**40, 2**40 - 2**30, 2**30))
    with pytest.raises(LabError, match=rf"to boot {said} GiB in .*, 1.0 GiB are free: .*KYMA_MTLS_CACHE"):
        preflight.check_free(clusters)


def test_free_memory_is_needed_for_every_cluster() -> None:
    with pytest.raises(LabError, match=r"to boot 9999 clusters, the lab needs \d+ GiB of memory, [\d.]+ GiB are avail"):
        preflight.check_free(9999)


@pytest.mark.parametrize(
    ("routes", "found"),
    [
        ([{"dst": "10.0.0.0/8", "dev": "tun0"}], "10.77.0.0/24 is in use: this machine has a route to 10.0.0.0/8"),
        ([{"dst": "10.77.0.9", "dev": "eth0"}], "10.77.0.0/24 is in use: this machine has a route to 10.77.0.9"),
    ],
)
def test_addresses_that_are_taken_are_told(
    monkeypatch: pytest.MonkeyPatch, routes: list[dict[str, str]], found: str
) -> None:
    monkeypatch.setattr(network, "_ip", lambda *_: json.dumps(routes))
    with pytest.raises(LabError, match=found):
        network.check_free()


def test_a_default_route_takes_no_address(monkeypatch: pytest.MonkeyPatch) -> None:
    routes = [{"dst": "default", "dev": "eth0"}, {"dst": "192.168.1.0/24", "dev": "eth0"}]
    monkeypatch.setattr(network, "_ip", lambda *_: json.dumps(routes))
    monkeypatch.setattr(network, "_host_interface_exists", lambda: False)
    network.check_free()
