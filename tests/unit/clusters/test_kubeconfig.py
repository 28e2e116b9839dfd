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


def test_kubeconfig_has_the_wanted_context_alone(tmp_path: Path) -> None:
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
def test_kubeconfig_without_a_current_context_is_usable_with_one_context_or_a_named_one(
    tmp_path: Path, contexts: tuple[str, ...], context: str, expected: str
) -> None:
    path = write_kubeconfig(tmp_path / "config", SERVER, contexts=contexts, current="")
    assert load(path, context)["current-context"] == expected


def test_kubeconfig_files_are_merged_and_the_first_one_precedes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = write_kubeconfig(tmp_path / "first", "https://first", contexts=("a",))
    second = write_kubeconfig(tmp_path / "second", "https://second", contexts=("a", "b"))
    third = write_kubeconfig(tmp_path / "third", "https://third", contexts=("c",))
    files = [str(tmp_path / "missing"), "", first, second, third]
    monkeypatch.setenv("KUBECONFIG", os.pathsep.join(files))
    assert server(load()) == "https://first"
    assert load(context="b")["current-context"] == "b"
    assert server(load(context="c")) == "https://third"


def test_kubeconfig_that_is_empty_is_skipped_beside_others(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "empty").write_text("# nothing yet\n")
    full = write_kubeconfig(tmp_path / "full", SERVER)
    monkeypatch.setenv("KUBECONFIG", os.pathsep.join([str(tmp_path / "empty"), full]))
    assert server(load()) == SERVER
    (tmp_path / "full").write_text("")
    assert error() == f"kubeconfig: {tmp_path}/empty:{full} has no contexts"


@pytest.mark.parametrize(
    ("name", "cluster", "user", "expected"),
    [
        ("localhost:8080", {}, {}, "http://localhost:8080"),
        ("127.0.0.1:6443", {"certificate-authority-data": "Q0E="}, {}, "https://127.0.0.1:6443"),
        ("localhost", {"insecure-skip-tls-verify": True}, {}, "https://localhost"),
        ("localhost:8443", {}, {"client-certificate-data": "Q0E="}, "https://localhost:8443"),
        ("https://a:1/path", {}, {}, "https://a:1/path"),
    ],
)
def test_kubeconfig_names_a_server_as_kubectl_takes_it(
    tmp_path: Path, name: str, cluster: dict[str, Any], user: dict[str, Any], expected: str
) -> None:
    assert server(load(write_kubeconfig(tmp_path / "config", name, cluster=cluster, user=user))) == expected


def test_kubeconfig_takes_dates_for_texts(tmp_path: Path) -> None:
    path = write_kubeconfig(tmp_path / "config", SERVER)
    Path(path).write_text(Path(path).read_text().replace("server:", "extensions: {since: 2026-11-01}\n    server:"))
    assert load(path)["clusters"][0]["cluster"]["extensions"] == {"since": "2026-11-01"}


def test_kubeconfig_of_the_config_precedes_that_of_the_environment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KUBECONFIG", write_kubeconfig(tmp_path / "other", "https://other"))
    assert server(load(write_kubeconfig(tmp_path / "config", SERVER))) == SERVER


def test_kubeconfig_in_the_home_directory_is_the_default(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv("KUBECONFIG", raising=False)
    assert error() == f"kubeconfig: not set, and there is no file {tmp_path}/.kube/config"
    (tmp_path / ".kube").mkdir()
    write_kubeconfig(tmp_path / ".kube/config", SERVER)
    assert server(load()) == SERVER
    assert server(load("~/.kube/config")) == SERVER
    assert error("~nouser/config") == "kubeconfig: ~nouser/config: no such user's home directory"


def test_kubeconfig_has_the_content_of_its_files(tmp_path: Path) -> None:
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


def test_kubeconfig_files_are_relative_to_the_kubeconfig_that_names_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
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


def test_kubeconfig_content_precedes_a_file(tmp_path: Path) -> None:
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
def test_kubeconfig_has_absolute_paths_of_programs_and_token_files(
    tmp_path: Path, user: dict[str, Any], expected: dict[str, Any]
) -> None:
    loaded = load(write_kubeconfig(tmp_path / "config", SERVER, user=user))["users"][0]["user"]
    texts = yaml.safe_dump(expected).replace("{here}", str(tmp_path))
    assert loaded == yaml.safe_load(texts)


def test_kubeconfig_keeps_the_link_to_a_token(tmp_path: Path) -> None:
    (tmp_path / "token").symlink_to("..data/token")
    loaded = load(write_kubeconfig(tmp_path / "config", SERVER, user={"tokenFile": "token"}))
    assert loaded["users"][0]["user"]["tokenFile"] == str(tmp_path / "token"), "it leads elsewhere tomorrow"


def test_kubeconfig_error_names_the_missing_part(tmp_path: Path) -> None:
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


def test_kubeconfig_without_the_contexts_cluster_is_refused(tmp_path: Path) -> None:
    path = write_kubeconfig(tmp_path / "config", SERVER)
    content = yaml.safe_load(Path(path).read_text())
    Path(path).write_text(yaml.safe_dump(content | {"clusters": []}))
    assert error(path) == f"context: context 'only' of {path} names no cluster with a server"
    Path(path).write_text(yaml.safe_dump(content | {"users": []}))
    assert load(path)["users"] == [{"name": "none", "user": {}}]


def test_kubeconfig_that_does_not_exist_is_refused_by_name() -> None:
    assert error("no/such/file") == "kubeconfig: no such file: no/such/file"


@pytest.mark.parametrize("text", ["", "just text", "{", "[]", "contexts: 1", "contexts: [a]", "users: [{name: a}]"])
def test_kubeconfig_of_another_format_is_refused_by_name(tmp_path: Path, text: str) -> None:
    file = tmp_path / "config"
    file.write_text(text)
    assert error(str(file)) == f"kubeconfig: {file} is not a usable kubeconfig"


@pytest.mark.parametrize(
    "user", [{"exec": "login"}, {"exec": {"command": 7}}, {"client-key": 7}, {"tokenFile": ["a"]}, {"exec": ["a"]}]
)
def test_kubeconfig_with_a_malformed_user_is_refused(tmp_path: Path, user: dict[str, Any]) -> None:
    path = write_kubeconfig(tmp_path / "config", SERVER, user=user)
    assert error(path) == f"kubeconfig: {path} is not a usable kubeconfig"


def test_kubeconfig_that_is_no_text_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "config"
    file.write_bytes(b"\xff\xfe\x00")
    assert error(str(file)) == f"kubeconfig: {file} is not a usable kubeconfig"
