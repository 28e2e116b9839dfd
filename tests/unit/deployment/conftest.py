"""The whole program under mocks."""

import runpy
from collections.abc import Awaitable, Callable
from typing import Any

import pulumi
import pytest

import clusters
from tests.unit.config import engine_config
from tests.unit.conftest import Deploy, Outputs, Recorder
from tests.unit.deployment.program import PROGRAM, Stack, sites_of


@pytest.fixture
def stack(deploy: Deploy, monkeypatch: pytest.MonkeyPatch) -> Stack:
    """Return a function that runs the program with a config against fake clusters; its result is the stack's outputs.

    made: outputs of resources, by kind
    """

    def run(*, made: Outputs | None = None, **config: Any) -> Recorder:
        texts = engine_config({"platform": "istio", "namespace": "mtls"} | config)
        outputs: dict[str, Any] = {}
        programs: list[Callable[[], Awaitable[None]]] = []
        monkeypatch.setattr(pulumi.runtime, "get_config_env", lambda: texts)
        monkeypatch.setattr(pulumi.runtime, "is_config_secret", lambda _: True)
        monkeypatch.setattr(pulumi, "export", outputs.__setitem__)
        monkeypatch.setattr(pulumi, "run", programs.append)
        monkeypatch.setattr(clusters, "check_sites", sites_of)
        monkeypatch.setattr("deployment.managed_site.find_drift", no_drift)

        async def program() -> dict[str, Any]:
            runpy.run_path(str(PROGRAM), run_name="__main__")
            await programs[0]()
            return outputs

        return deploy(program, outputs=made)

    return run


async def no_drift(_: object) -> list[str]:
    """Return no lines: the fake clusters lack all objects that the mocks make."""
    return []
