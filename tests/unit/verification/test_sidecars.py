"""The promise that the demo's Pods have a sidecar."""

from dataclasses import replace
from typing import Any, cast

import pytest

from tests.unit.deployed import demo_stack
from verification.attacker import Attacker
from verification.checks import Failed
from verification.context import HostContext
from verification.sidecars import of_host


def test_pods_without_a_sidecar_are_named(monkeypatch: pytest.MonkeyPatch) -> None:
    def pod(name: str, *containers: str, init: tuple[str, ...] = ()) -> Any:
        spec = {"containers": [_named(each) for each in containers], "init_containers": [_named(each) for each in init]}
        return _named(name, spec=_named("", **spec), metadata=_named(name))

    stack = demo_stack()
    attackers = {"target": Attacker("target cluster", cast(Any, None), "mtls", "", "", "")}
    check = of_host(HostContext(replace(stack, attackers=attackers), "httpbin"))
    found = [pod("a", "httpbin", "istio-proxy"), pod("b", "httpbin", init=("istio-proxy",))]
    monkeypatch.setattr("verification.pods.ready", lambda *_: found)
    assert check.run() == "2 of 2"
    found.append(pod("c", "httpbin"))
    with pytest.raises(Failed, match="Pod c in namespace mtls has no sidecar"):
        check.run()
    found.clear()
    with pytest.raises(Failed, match="no Pod of the demo is ready in namespace mtls"):
        check.run()


def _named(name: str, **more: Any) -> Any:
    class Thing:
        pass

    thing = Thing()
    thing.__dict__.update({"name": name, **more})
    return thing
