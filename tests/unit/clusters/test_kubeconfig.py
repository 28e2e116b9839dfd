"""One context of a user's kubeconfig, made self-contained."""

import base64
import os
from pathlib import Path
from typing import Any

import pytest
import yaml

from clusters import kubeconfig, provider_files
from settings import ClusterAccess, ConfigError
from tests.support.kubeconfigs import write_kubeconfig

SERVER = "https://target:6443"


def load(path: str = "", context: str = "") -> dict[str, Any]:
    return kubeconfig.load(ClusterAccess(path="clients.warehouse", kubeconfig=path, context=context))


def error(path: str = "", context: str = "") -> str:
    with pytest.raises(ConfigError) as caught:
        load(path, context)
    message = str(caught.value)
    assert "\n" not in message
    return message.removeprefix("kyma-mtls:clients.warehouse.")


def server(loaded: dict[str, Any]) -> str:
    return str(loaded["clusters"][0]["cluster"]["server"])


def test_context_comes_alone(tmp_path: Path) -> None:
    path = write_kubeconfig(tmp_path / "config", SERVER, contexts=("one", "two"), user={"token": "t"})
    assert load(path, "two") == {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": "one", "cluster": {"server": SERVER}}],
        "users": [{"name": "one", "user": {"token": "t"}}],
        "contexts": [{"name": "two", "context": provider_files.marked({"cluster": "one", "user": "one"})}],
        "current-context": "two",
    }
    assert load(path)["current-context"] == "one"


@pytest.mark.parametrize(("contexts", "context", "expected"), [(("only",), "", "only"), (("one", "two"), "two", "two")])
def test_current_context_may_lack_if_there_is_one_or_one_is_named(
    tmp_path: Path, contexts: tuple[str, ...], context: str, expected: str
) -> None:
    path = write_kubeconfig(tmp_path / "config", SERVER, contexts=contexts, current="")
    assert load(path, context)["current-context"] == expected


def test_first_file_of_a_list_wins_and_the_others_add(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = write_kubeconfig(tmp_path / "first", "https://first", contexts=("a",))
    second = write_kubeconfig(tmp_path / "second", "https://second", contexts=("a", "b"))
    third = write_kubeconfig(tmp_path / "third", "https://third", contexts=("c",))
    files = [str(tmp_path / "missing"), "", first, second, third]
    monkeypatch.setenv("KUBECONFIG", os.pathsep.join(files))
    assert server(load()) == "https://first"
    assert load(context="b")["current-context"] == "b"
    assert server(load(context="c")) == "https://third"


def test_kubeconfig_of_the_config_is_taken_before_that_of_the_environment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KUBECONFIG", write_kubeconfig(tmp_path / "other", "https://other"))
    assert server(load(write_kubeconfig(tmp_path / "config", SERVER))) == SERVER


def test_home_is_where_kubectl_looks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv("KUBECONFIG", raising=False)
    assert error() == f"kubeconfig: not set, and there is no file {tmp_path}/.kube/config"
    (tmp_path / ".kube").mkdir()
    write_kubeconfig(tmp_path / ".kube/config", SERVER)
    assert server(load()) == SERVER
    assert server(load("~/.kube/config")) == SERVER
    assert error("~nouser/config") == "kubeconfig: ~nouser/config: no such user's home directory"


def test_files_beside_it_are_read_in(tmp_path: Path) -> None:
    names = ("certificate-authority", "client-certificate", "client-key")
    for name in names:
        (tmp_path / f"{name}.pem").write_text(name)
    files = {name: f"{name}.pem" for name in names}
    cluster, user = {names[0]: files.pop(names[0])}, files
    loaded = load(write_kubeconfig(tmp_path / "config", SERVER, cluster=cluster, user=user))
    found = {**loaded["clusters"][0]["cluster"], **loaded["users"][0]["user"]}
    for name in names:
        assert base64.b64decode(found[f"{name}-data"]).decode() == name
        assert name not in found


def test_files_are_relative_to_the_kubeconfig_that_names_them(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KUBECONFIG", "")
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "ca.pem").write_text(name)
        write_kubeconfig(
            tmp_path / name / "config", SERVER, contexts=(name,), cluster={"certificate-authority": "ca.pem"}
        )
    monkeypatch.setenv("KUBECONFIG", os.pathsep.join(str(tmp_path / name / "config") for name in ("a", "b")))
    data = load(context="b")["clusters"][0]["cluster"]["certificate-authority-data"]
    assert base64.b64decode(data) == b"b"


def test_content_wins_over_a_file(tmp_path: Path) -> None:
    (tmp_path / "ca.pem").write_text("file")
    cluster = {"certificate-authority": "ca.pem", "certificate-authority-data": "Y29udGVudA=="}
    loaded = load(write_kubeconfig(tmp_path / "config", SERVER, cluster=cluster))
    assert loaded["clusters"][0]["cluster"]["certificate-authority-data"] == "Y29udGVudA=="


@pytest.mark.parametrize(
    ("user", "expected"),
    [
        ({"tokenFile": "token"}, {"tokenFile": "{here}/token"}),
        ({"tokenFile": "/var/run/token"}, {"tokenFile": "/var/run/token"}),
        ({"exec": {"command": "bin/login"}}, {"exec": {"command": "{here}/bin/login"}}),
        ({"exec": {"command": "login", "args": ["x"]}}, {"exec": {"command": "login", "args": ["x"]}}),
    ],
    ids=["token-file", "absolute-token-file", "command-beside", "command-on-path"],
)
def test_what_changes_by_itself_is_found_from_anywhere(
    tmp_path: Path, user: dict[str, Any], expected: dict[str, Any]
) -> None:
    loaded = load(write_kubeconfig(tmp_path / "config", SERVER, user=user))["users"][0]["user"]
    texts = yaml.safe_dump(expected).replace("{here}", str(tmp_path))
    assert loaded == yaml.safe_load(texts)


def test_link_to_a_token_stays_a_link(tmp_path: Path) -> None:
    (tmp_path / "token").symlink_to("..data/token")
    loaded = load(write_kubeconfig(tmp_path / "config", SERVER, user={"tokenFile": "token"}))
    assert loaded["users"][0]["user"]["tokenFile"] == str(tmp_path / "token"), "it leads elsewhere tomorrow"


def test_missing_parts_are_named(tmp_path: Path) -> None:
    path = write_kubeconfig(tmp_path / "config", SERVER, contexts=("one", "two"))
    assert error(path, "three") == f"context: {path} has no context 'three'; it has one, two"
    write_kubeconfig(tmp_path / "config", SERVER, contexts=("one", "two"), current="gone")
    assert error(path) == f"kubeconfig: {path} has no context 'gone'; it has one, two"
    write_kubeconfig(tmp_path / "config", SERVER, contexts=("one", "two"), current="")
    assert error(path) == f"context: {path} has no current context; name one of one, two"
    write_kubeconfig(tmp_path / "config", "")
    assert error(path) == f"context: context 'only' of {path} names no cluster with a server"
    write_kubeconfig(tmp_path / "config", SERVER, cluster={"certificate-authority": "gone.pem"})
    assert error(path).startswith("kubeconfig: names a file that cannot be read: ")
    assert error(path).endswith("gone.pem'")


def test_cluster_that_no_entry_describes_is_told(tmp_path: Path) -> None:
    path = write_kubeconfig(tmp_path / "config", SERVER)
    content = yaml.safe_load(Path(path).read_text())
    Path(path).write_text(yaml.safe_dump(content | {"clusters": []}))
    assert error(path) == f"context: context 'only' of {path} names no cluster with a server"
    Path(path).write_text(yaml.safe_dump(content | {"users": []}))
    assert load(path)["users"] == [{"name": "none", "user": {}}]


def test_kubeconfig_that_does_not_exist_is_named() -> None:
    assert error("no/such/file") == "kubeconfig: no such file: no/such/file"


@pytest.mark.parametrize("text", ["", "just text", "{", "[]", "contexts: 1", "contexts: [a]", "users: [{name: a}]"])
def test_file_that_is_no_kubeconfig_is_named(tmp_path: Path, text: str) -> None:
    file = tmp_path / "config"
    file.write_text(text)
    assert error(str(file)) == f"kubeconfig: {file} is not a usable kubeconfig"


@pytest.mark.parametrize(
    "user", [{"exec": "login"}, {"exec": {"command": 7}}, {"client-key": 7}, {"tokenFile": ["a"]}, {"exec": ["a"]}]
)
def test_user_that_is_no_user_is_told(tmp_path: Path, user: dict[str, Any]) -> None:
    path = write_kubeconfig(tmp_path / "config", SERVER, user=user)
    assert error(path) == f"kubeconfig: {path} is not a usable kubeconfig"


def test_bytes_that_are_no_text_are_told(tmp_path: Path) -> None:
    file = tmp_path / "config"
    file.write_bytes(b"\xff\xfe\x00")
    assert error(str(file)) == f"kubeconfig: {file} is not a usable kubeconfig"
