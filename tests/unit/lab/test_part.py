"""The parts' pins and keys."""

import re
from pathlib import Path

import pytest

from lab import part
from lab.part import PARTS, Part, pinned_versions, tables


def test_key_changes_with_every_input_of_build_only(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(part, "PARTS", tmp_path)
    (tmp_path / "part").mkdir()
    module = tmp_path / "part" / "go.mod"
    module.write_text("module part\n\nrequire example.org/tool v1.2.3\n")
    table = {"minutes": 1, "ldflags": " -X main.version={example.org/tool}"}
    first = Part("part", table, "go1.26.0")
    assert first.linker_flags.endswith(" -X main.version=v1.2.3"), "the version should be the one that go.mod pins"
    assert Part("part", table | {"minutes": 2}, "go1.26.0").key == first.key, "an estimate is no input"
    assert Part("part", table, "go1.26.1").key != first.key, "another Go makes another program"
    assert Part("part", table | {"rename": {"a": "b"}}, "go1.26.0").key != first.key
    assert Part("part", table | {"ldflags": ""}, "go1.26.0").key != first.key
    module.write_text(module.read_text().replace("v1.2.3", "v1.2.4"))
    assert Part("part", table, "go1.26.0").key != first.key


def test_every_part_has_folder_with_pins_and_table() -> None:
    described = tables()
    folders = {path.name: path for path in PARTS.iterdir() if path.is_dir()}
    assert set(described) == set(folders)
    for name, folder in folders.items():
        sums, wheel = folder / "go.sum", folder / "requirements.txt"
        assert sums.exists() or "--hash=sha256:" in wheel.read_text(), f"{name} is not pinned by hash"
        assert {"minutes", "peak", "kept"} <= set(described[name]), f"{name} lacks an estimate"


@pytest.mark.parametrize("name", ["pulumi", "pulumi-terraform", "pulumi-language-yaml"])
def test_engine_and_what_is_built_with_it_have_version_of_python_package(name: str) -> None:
    assert Part(name, {}, "").modules["github.com/pulumi/pulumi/pkg/v3"] == f"v{pinned_versions()['pulumi']}"


@pytest.mark.parametrize(
    ("names", "except_for"),
    [
        (("etcd", "kubernetes"), {"sigs.k8s.io/json"}),
        (("kubernetes", "istio"), {"golang.org/x/tools"}),
        (("kubernetes", "coredns"), set()),
        (("kubernetes", "kube-router"), {"github.com/vishvananda/netlink", "github.com/vishvananda/netns"}),
        (("istio", "gardener"), set()),
        (("pulumi", "pulumi-terraform"), {"github.com/olekukonko/tablewriter"}),
        (("pulumi-terraform", "pulumi-language-yaml"), set()),
    ],
)
def test_parts_share_compiled_packages(names: tuple[str, str], except_for: set[str]) -> None:
    one, other = (Part(name, {}, "").modules for name in names)
    differing = {name for name in one.keys() & other.keys() if one[name] != other[name]}
    assert differing == except_for, "their packages, and all that import them, are compiled twice: raise the lower"


def test_every_part_comes_after_parts_that_exist_and_come_before_it() -> None:
    before: set[str] = set()
    for name, table in tables().items():
        assert set(table.get("after", ())) <= before, f"{name} would never be built, or late"
        before.add(name)


def test_kubernetes_modules_are_of_one_release() -> None:
    module = (PARTS / "kubernetes" / "go.mod").read_text()
    minor = re.search(r"k8s\.io/kubernetes v1(\.\d+\.\d+)", module)
    assert minor
    staged = set(re.findall(r"^\s*(?:replace )?k8s\.io/\S+ => k8s\.io/\S+ v0(\S+)$", module, re.M))
    assert staged == {minor[1]}
