"""The engine, the verification and the deployed stack, with answers that a test sets."""

import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from pipeline.policies import PACK
from tests.unit.deployed import HTTPBIN, TARGET, WAREHOUSE, outputs_of, settings_of
from tests.unit.pipeline.fake_engine import Engine
from tests.unit.pipeline.plans import DEPLOYED
from tests.unit.pipeline.stack_files import BASE, text_of
from verification.deployed_outputs import read_outputs
from verification.stack import DeployedStack


@pytest.fixture
def engine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Engine:
    """Answer previews without changes; the current directory has the files of the stack prod."""
    monkeypatch.chdir(tmp_path)
    Path("Pulumi.prod.yaml").write_text(text_of(**BASE))
    Path("policies").mkdir()
    PACK.touch()
    made = Engine(tmp_path)
    made.answer("preview", plan={})
    made.deployed_from(None)
    made.has(DEPLOYED)
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}:/usr/bin:/bin")
    return made


@pytest.fixture
def verified(monkeypatch: pytest.MonkeyPatch) -> list[list[str]]:
    """Let the verification pass; return the arguments of its calls."""
    calls: list[list[str]] = []
    run = subprocess.run

    def answer(command: list[str], **options: Any) -> subprocess.CompletedProcess[str]:
        if "verification" not in command:
            return run(command, **options)
        calls.append(command[2:])
        return subprocess.CompletedProcess(command, 0)

    monkeypatch.setattr("subprocess.run", answer)
    return calls


@pytest.fixture
def deployed(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Return a function that sets the expiry dates of the deployed stack, as it is read after an update."""

    def deploy(**ends: str) -> None:
        settings = settings_of(target=TARGET, clients={"warehouse": WAREHOUSE}, hosts={"httpbin": HTTPBIN})
        outputs = read_outputs("prod", outputs_of(settings) | ends, settings)
        stack = DeployedStack("prod", settings, outputs)
        monkeypatch.setattr(DeployedStack, "load", lambda *_, **__: stack)

    deploy()
    return deploy


@pytest.fixture
def plan_file(tmp_path: Path) -> Path:
    """Return the path of a plan."""
    return tmp_path / "plan.json"
