"""What is said of Debian packages that are not those of packages.lock."""

import io

import pytest
from rich.console import Console

from lab import rootfs
from lab.errors import LabError
from lab.rootfs import Package

PINNED = Package("etcd", "1.0-1", "aa")


def said(found: Package, expected: Package | None) -> str:
    text = io.StringIO()
    rootfs._compare(found, expected, Console(file=text, width=200))
    return text.getvalue()


def test_what_is_pinned_comes_without_a_word() -> None:
    assert said(PINNED, PINNED) == ""


def test_a_package_that_debian_superseded_comes_with_a_warning() -> None:
    newer = Package("etcd", "1.0-2", "bb")
    assert said(newer, PINNED) == "etcd 1.0-1 is superseded in Debian: taking 1.0-2\n"
    assert said(newer, None) == "etcd 1.0-2 is not in packages.lock: taken from Debian's signed index\n"


def test_a_package_of_the_pinned_version_with_another_hash_is_refused() -> None:
    with pytest.raises(LabError, match=r"etcd 1\.0-1 has sha256 bb, but packages\.lock says aa"):
        said(Package("etcd", "1.0-1", "bb"), PINNED)


def test_the_lock_survives_a_round_trip() -> None:
    pins = rootfs.locked()
    assert pins
    assert rootfs._format(list(pins.values())) == rootfs.LOCK.read_text()
