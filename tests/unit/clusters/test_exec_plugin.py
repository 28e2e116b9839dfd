"""Credentials from the exec plugin of a kubeconfig; each plugin is a real program."""

import base64
import json
import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import clusters
from clusters import exec_plugin
from settings import ClusterAccess, ConfigError
from tests.support.kubeconfigs import write_kubeconfig
from tests.unit.fakes import api_server, kube_system

TOKEN = {"token": "t0ken"}
VERSION = "client.authentication.k8s.io/v1"
ACCESS = ClusterAccess(path="clients.caller", kubeconfig="caller.yaml", context="caller")
CLUSTER = {"server": "https://caller:6443", "certificate-authority-data": "Q0E="}

Plugin = Callable[..., exec_plugin.ExecPlugin]


@pytest.fixture
def plugin(tmp_path: Path) -> Plugin:
    """Return a function that makes a plugin of a shell script, with more fields in its kubeconfig entry."""

    def make(script: str, cluster: dict[str, Any] | None = None, **entry: Any) -> exec_plugin.ExecPlugin:
        program = tmp_path / "login"
        program.write_text(f"#!/bin/sh\n{script}\n")
        program.chmod(0o700)
        user = {"exec": {"apiVersion": VERSION, "command": str(program)} | entry}
        content = {"users": [{"user": user}], "clusters": [{"cluster": cluster or CLUSTER}]}
        found = exec_plugin.find(ACCESS, content)
        assert found
        return found

    return make


def credential(version: str = VERSION, **status: str) -> str:
    """Return a script that prints a credential."""
    return f"echo '{json.dumps({'apiVersion': version, 'kind': 'ExecCredential', 'status': status})}'"


def problem(ask: Callable[[], object]) -> str:
    with pytest.raises(ConfigError) as caught:
        ask()
    assert "\n" not in str(caught.value)
    prefix, _, message = str(caught.value).partition("/login ")
    assert prefix.startswith("kyma-mtls:clients.caller.kubeconfig: exec plugin /"), "whatever chose the context"
    return message


@pytest.mark.parametrize("version", [VERSION, f"{VERSION}beta1"])
def test_plugin_gives_a_token_or_a_certificate(plugin: Plugin, version: str) -> None:
    with_token = plugin(credential(version, **TOKEN), apiVersion=version)
    assert (with_token.user(), with_token.token()) == (TOKEN, "t0ken")
    pems = {"clientCertificateData": "CERTIFICATE", "clientKeyData": "KEY"}
    with_certificate = plugin(credential(version, **pems), apiVersion=version)
    found = {name: base64.b64decode(value).decode() for name, value in with_certificate.user().items()}
    assert found == {"client-certificate-data": "CERTIFICATE", "client-key-data": "KEY"}
    assert with_certificate.token() == ""


def test_plugin_gets_its_arguments_environment_and_exec_info(plugin: Plugin, tmp_path: Path) -> None:
    script = f'echo "$1 $HOST $KUBERNETES_EXEC_INFO" > {tmp_path}/told\n{credential(**TOKEN)}'
    extension = [{"name": "client.authentication.k8s.io/exec", "extension": {"audience": "a"}}]
    entry = {"args": ["--for"], "env": [{"name": "HOST", "value": "here"}]}
    plugin(script, {**CLUSTER, "extensions": extension}, provideClusterInfo=True, **entry).user()
    words = (tmp_path / "told").read_text().split(" ", 2)
    assert words[:2] == ["--for", "here"]
    cluster = {**CLUSTER, "config": {"audience": "a"}}
    assert json.loads(words[2]) == {
        "apiVersion": VERSION,
        "kind": "ExecCredential",
        "spec": {"interactive": False, "cluster": cluster},
    }
    plugin(script).user()
    assert "cluster" not in (tmp_path / "told").read_text()


@pytest.mark.parametrize(
    ("script", "entry", "message"),
    [
        ("echo trace >&2; echo 'session expired, log in' >&2; exit 1", {}, "failed: session expired, log in"),
        ("exit 3", {}, "failed: exit code 3, without a message"),
        ("echo Sign in", {}, "gave no ExecCredential"),
        ("echo '[]'", {}, "gave no ExecCredential"),
        ("echo '{}'", {}, "gave no ExecCredential"),
        (credential(**TOKEN, expirationTimestamp="soon"), {}, "gave no ExecCredential"),
        (credential(), {}, "gave neither a token nor a certificate with its key"),
        (credential(clientCertificateData="C"), {}, "gave neither a token nor a certificate with its key"),
        (credential("other/v1", **TOKEN), {}, f"gave an ExecCredential of other/v1, not of {VERSION}"),
        ("", {"apiVersion": "v0"}, f"has apiVersion v0; supported are {VERSION} and {VERSION}beta1"),
        (
            "",
            {"interactiveMode": "Always"},
            "needs a terminal (interactiveMode: Always), which the stack does not have",
        ),
    ],
)
def test_plugin_failure_is_reported_in_one_line(
    plugin: Plugin, script: str, entry: dict[str, Any], message: str
) -> None:
    assert problem(plugin(script, **entry).user) == message


def test_plugin_that_is_missing_is_reported(tmp_path: Path) -> None:
    entry = {"apiVersion": VERSION, "command": str(tmp_path / "login")}
    content = {"users": [{"user": {"exec": entry}}], "clusters": [{"cluster": CLUSTER}]}
    found = exec_plugin.find(ACCESS, content)
    assert found
    assert problem(found.user) == "cannot be run: No such file or directory"


def test_plugin_that_hangs_is_ended_with_its_child_processes(
    plugin: Plugin, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(exec_plugin, "TIMEOUT_SECONDS", 1)
    hanging = plugin(f"sleep 600 & echo $! > {tmp_path}/child\necho $$ > {tmp_path}/parent\nwait")
    assert problem(hanging.user).startswith("did not end within 1 s; if it asks you to log in, run `kubectl version`")
    for name in ("parent", "child"):
        wait_until_gone(int((tmp_path / name).read_text()))


def wait_until_gone(pid: int) -> None:
    end = time.monotonic() + 10
    while is_running(pid):
        assert time.monotonic() < end, f"{pid} still runs"
        time.sleep(0.01)


def is_running(pid: int) -> bool:
    """Return whether a process runs: neither ended nor a zombie."""
    try:
        os.kill(pid, 0)
        return Path(f"/proc/{pid}/stat").read_text().rpartition(") ")[2][0] != "Z"
    except (ProcessLookupError, FileNotFoundError):
        return False


@pytest.mark.parametrize(("end", "runs"), [("2000-01-01T00:00:00Z", 3), ("2999-01-01T00:00:00Z", 1), (None, 1)])
def test_plugin_runs_again_when_its_credential_has_expired(
    plugin: Plugin, tmp_path: Path, end: str | None, runs: int
) -> None:
    status = TOKEN | ({"expirationTimestamp": end} if end else {})
    found = plugin(f"echo >> {tmp_path}/runs\n{credential(**status)}")
    for _ in range(3):
        found.token()
    assert len((tmp_path / "runs").read_text()) == runs


@pytest.mark.parametrize(
    "way", [{"token": "t"}, {"tokenFile": "t"}, {"auth-provider": {"name": "gcp"}}, {"exec": None}]
)
def test_plugin_does_not_run_where_the_user_has_another_credential(way: dict[str, Any]) -> None:
    user = {"exec": {"apiVersion": VERSION, "command": "login"}} | way
    assert exec_plugin.find(ACCESS, {"users": [{"user": user}], "clusters": [{"cluster": CLUSTER}]}) is None


def test_plugin_credential_reaches_the_cluster(tmp_path: Path) -> None:
    answer = {"apiVersion": VERSION, "kind": "ExecCredential", "status": TOKEN}
    entry = {"exec": {"apiVersion": VERSION, "command": "echo", "args": [json.dumps(answer)]}}
    heard: list[str | None] = []
    with api_server(kube_system("uid"), heard) as server:
        path = write_kubeconfig(tmp_path / "config", server, user=entry)
        cluster = clusters.connect(ClusterAccess(path="target", kubeconfig=path, context=""))
        assert cluster.uid == "uid"
    assert heard == ["Bearer t0ken"]
    assert json.loads(cluster.kubeconfig)["users"][0]["user"] == entry, "the provider asks the plugin itself"
