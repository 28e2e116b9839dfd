"""Which Debian the lab takes its packages from, and which versions."""

import platform
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from lab import rootfs
from lab.errors import LabError
from lab.rootfs import Package

PINNED = Package("etcd", "1.0-1", "aa")
PINS = {"etcd": PINNED}
LOCK = Path("bookworm.lock")
DEBIAN_12 = {"ID": "debian", "VERSION_ID": "12", "VERSION_CODENAME": "bookworm", "PRETTY_NAME": "Debian 12"}


@pytest.fixture(autouse=True)
def _bookworm(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(platform, "freedesktop_os_release", lambda: DEBIAN_12)


def serve(monkeypatch: pytest.MonkeyPatch, *targets: str) -> None:
    """Make apt list these index targets: ORIGIN CODENAME COMPONENT URI SUITE."""

    def run(command: list[str], **_: Any) -> subprocess.CompletedProcess[str]:
        return subprocess.CompletedProcess(command, 0, "".join(f"{target}\n" for target in targets))

    monkeypatch.setattr(subprocess, "run", run)


def test_comparison_of_pinned_package_is_silent() -> None:
    assert rootfs.compare([PINNED], PINS, LOCK) == []


def test_comparison_names_superseded_and_new_packages() -> None:
    superseded, added = Package("etcd", "1.0-2", "bb"), Package("runc", "1.1", "cc")
    assert rootfs.compare([superseded, added], PINS, LOCK) == [
        "etcd 1.0-1 is not in the index any more: taking 1.0-2",
        "runc 1.1 is not pinned: taking the index's version",
    ]


def test_comparison_refuses_another_hash_of_the_pinned_version() -> None:
    with pytest.raises(LabError, match=r"etcd 1\.0-1 has sha256 bb in Debian's index, but bookworm\.lock says aa"):
        rootfs.compare([Package("etcd", "1.0-1", "bb")], PINS, LOCK)


def test_comparison_without_pins_is_silent() -> None:
    assert rootfs.compare([PINNED], {}, LOCK) == []


@pytest.mark.parametrize(("name", "package"), [("node", "containerd"), ("image", "curl"), ("browser", "chromium")])
def test_lock_survives_a_round_trip(name: str, package: str) -> None:
    lock = rootfs.lock_file(name).read_text()
    pins = rootfs.parse(lock)
    assert {"mmdebstrap", package} <= set(pins)
    assert rootfs.format_lock(pins.values()) == lock


def test_new_browser_replaces_no_file_system_of_a_cluster(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    shutil.copytree(rootfs.DEBIAN, tmp_path, dirs_exist_ok=True)
    monkeypatch.setattr(rootfs, "DEBIAN", tmp_path)
    before = {name: rootfs.directory_of(name) for name in (*rootfs.NAMES, rootfs.BROWSER)}
    rootfs.lock_file(rootfs.BROWSER).write_text("chromium 999 aa\n")
    changed = [name for name, directory in before.items() if rootfs.directory_of(name) != directory]
    assert changed == [rootfs.BROWSER]
    rootfs.lock_file("node").write_text("runc 999 aa\n")
    assert all(rootfs.directory_of(name) != directory for name, directory in before.items())


def test_plan_of_apt_is_read_with_epoch_and_hash() -> None:
    printed = (
        "'http://deb.debian.org/debian/pool/main/e/etcd/etcd_1.0-1_amd64.deb' etcd_1.0-1_amd64.deb 98 SHA256:aa\n"
        "'http://deb.debian.org/debian/pool/main/l/l_1%3a4.13_all.deb' login_1%3a4.13%2bx_all.deb 9 SHA256:bb\n"
    )
    assert rootfs.parse_uris(printed) == [PINNED, Package("login", "1:4.13+x", "bb")]


def test_sources_are_those_of_debian_by_whatever_mirror_and_alias(monkeypatch: pytest.MonkeyPatch) -> None:
    serve(
        monkeypatch,
        "Debian bookworm main http://mirror.example/linux/deb12/ oldstable",
        "Debian bookworm-updates main mirror+file:/etc/apt/mirrors.list/ bookworm-updates",
        "Debian bookworm-security main http://mirror.example/security/ bookworm-security",
        "Debian bookworm contrib http://mirror.example/linux/deb12/ oldstable",
        "Debian bookworm-backports main http://mirror.example/linux/deb12/ bookworm-backports",
        "Debian trixie main http://mirror.example/linux/deb13/ stable",
        "Node nodistro main https://deb.nodesource.com/node_20.x/ nodistro",
        "Google LLC bookworm main https://packages.example/apt/ bookworm",
    )
    signed = f"deb [signed-by={rootfs.KEYRING}]"
    assert rootfs.sources() == [
        f"{signed} http://mirror.example/linux/deb12/ oldstable main",
        f"{signed} http://mirror.example/security/ bookworm-security main",
        f"{signed} mirror+file:/etc/apt/mirrors.list/ bookworm-updates main",
    ]


def test_machine_that_never_updated_its_index_is_told_to(monkeypatch: pytest.MonkeyPatch) -> None:
    serve(monkeypatch)
    with pytest.raises(LabError, match=r"apt has no index of Debian bookworm main: run `apt-get update`"):
        rootfs.sources()


@pytest.mark.parametrize(
    "release",
    [
        {"ID": "ubuntu", "VERSION_ID": "24.04", "VERSION_CODENAME": "noble", "PRETTY_NAME": "Ubuntu 24.04"},
        {"ID": "debian", "VERSION_ID": "11", "VERSION_CODENAME": "bullseye", "PRETTY_NAME": "Debian 11"},
    ],
)
def test_other_systems_are_refused(monkeypatch: pytest.MonkeyPatch, release: dict[str, str]) -> None:
    monkeypatch.setattr(platform, "freedesktop_os_release", lambda: release)
    with pytest.raises(LabError, match=f"this is {release['PRETTY_NAME']}: the lab needs Debian 12 or newer"):
        rootfs.codename()


def test_machine_without_os_release_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing() -> dict[str, str]:
        raise OSError("no os-release")

    monkeypatch.setattr(platform, "freedesktop_os_release", missing)
    with pytest.raises(LabError, match="this is not Debian"):
        rootfs.codename()


def test_newer_debian_has_a_lock_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    debian_13 = DEBIAN_12 | {"VERSION_ID": "13", "VERSION_CODENAME": "trixie"}
    monkeypatch.setattr(platform, "freedesktop_os_release", lambda: debian_13)
    assert rootfs.codename() == "trixie"
    assert rootfs.lock_file() == Path(rootfs.DEBIAN) / "trixie.lock"
    assert rootfs.lock_file("browser") == Path(rootfs.DEBIAN) / "trixie.browser.lock"
