"""Clusters behind HTTP servers, for checks that connect to them."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

import clusters
from clusters import Site
from components.ownership import Owner
from tests.support.kubeconfigs import write_kubeconfig
from tests.unit.clusters.served import TOKEN, Check
from tests.unit.config import read
from tests.unit.fakes import api_server

Serve = Callable[[dict[str, Any]], str]


@pytest.fixture
def serve() -> Iterator[Serve]:
    """Return a function that starts a server, which ends with the test, and returns its URL."""
    with ExitStack() as servers:
        yield lambda answers: servers.enter_context(api_server(answers))


@pytest.fixture
def check(tmp_path: Path, serve: Serve) -> Check:
    """Return a function that checks a target and a client with the given answers against a config."""

    def run(target: dict[str, Any], client: dict[str, Any], /, owner: str | None = None, **config: Any) -> list[Site]:
        paths = {
            name: write_kubeconfig(tmp_path / name, serve(answers), user={"token": TOKEN})
            for name, answers in (("target", target), ("client", client))
        }
        values: dict[str, Any] = {
            "platform": "istio",
            "target": {"kubeconfig": paths["target"]} | config.pop("target", {}),
            "clients": {"caller": {"kubeconfig": paths["client"]} | config.pop("client", {})},
        }
        return clusters.check_sites(read(**(values | config)), Owner(owner))

    return run
