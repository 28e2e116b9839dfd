"""What is wrong with a kubeconfig is told without a cluster."""

import socket
from pathlib import Path

import pytest
import yaml

import clusters
from settings import ClusterAccess, ConfigError


def kubeconfig(file: Path, server: str) -> str:
    content = {
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": "one",
        "contexts": [{"name": name, "context": {"cluster": "c", "user": "u"}} for name in ("one", "two")],
        "clusters": [{"name": "c", "cluster": {"server": server}}],
        "users": [{"name": "u", "user": {}}],
    }
    file.write_text(yaml.safe_dump(content))
    return str(file)


def error(path: str, context: str = "") -> str:
    with pytest.raises(ConfigError) as caught:
        clusters.connect(ClusterAccess(side="target", kubeconfig=path, context=context))
    return str(caught.value)


def test_a_kubeconfig_that_does_not_exist_is_named() -> None:
    assert error("no/such/file") == "kyma-mtls:targetKubeconfig: no such file: no/such/file"


def test_a_file_that_is_no_kubeconfig_is_named(tmp_path: Path) -> None:
    file = tmp_path / "kubeconfig"
    for text in ("", "just text", "{", "[]", "a: b"):
        file.write_text(text)
        message = error(str(file))
        assert message.startswith(f"kyma-mtls:targetKubeconfig: {file} is not a usable kubeconfig: "), text
        assert "\n" not in message


def test_a_context_that_does_not_exist_is_named_beside_those_that_do(tmp_path: Path) -> None:
    path = kubeconfig(tmp_path / "kubeconfig", "https://127.0.0.1:1")
    assert error(path, "three") == f"kyma-mtls:targetContext: {path} has no context 'three'; it has one, two"


def test_a_cluster_that_does_not_answer_is_named_by_the_key_that_chose_it(tmp_path: Path) -> None:
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        server = f"https://127.0.0.1:{closed.getsockname()[1]}"
    path = kubeconfig(tmp_path / "kubeconfig", server)
    assert (
        error(path) == f"kyma-mtls:targetKubeconfig: cluster {server} does not answer: [Errno 111] Connection refused"
    )
    assert error(path, "two").startswith(f"kyma-mtls:targetContext: cluster {server} does not answer")
