"""What the workflows promise beyond what actionlint and zizmor see."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from lab.part import pinned_versions
from pipeline import kubeconfig
from pipeline.__main__ import _COMMANDS

GITHUB = Path(__file__).parents[2] / ".github"
ACTION = GITHUB / "actions/setup/action.yml"
WORKFLOWS = sorted((GITHUB / "workflows").glob("*.yml"))
ACTIONS = {
    "actions/cache": "27d5ce7f107fe9357f9df03efb73ab90386fccae",
    "actions/checkout": "3d3c42e5aac5ba805825da76410c181273ba90b1",
    "actions/setup-python": "5fda3b95a4ea91299a34e894583c3862153e4b97",
    "pulumi/actions": "8e5e406f4007fca908480587cb9893c07090f58d",
}
CREDENTIALS = re.compile(r"\$\{\{ secrets\.")


def load(file: Path) -> dict[Any, Any]:
    return dict(yaml.safe_load(file.read_text()))


def jobs() -> Iterator[tuple[str, str, dict[str, Any]]]:
    for file in WORKFLOWS:
        for name, job in load(file)["jobs"].items():
            yield file.stem, name, job


def has_credentials(job: dict[str, Any]) -> bool:
    return bool(CREDENTIALS.search(yaml.safe_dump(job, width=1000)))


@pytest.mark.parametrize("file", [*WORKFLOWS, ACTION], ids=lambda file: file.stem)
def test_actions_are_pinned_by_commit(file: Path) -> None:
    used = re.findall(r"uses: (\S+)", file.read_text())
    for action, _, commit in (each.partition("@") for each in used if not each.startswith("./")):
        assert commit == ACTIONS[action]


def test_pulumi_is_the_version_of_the_program() -> None:
    (version,) = re.findall(r"pulumi-version: (\S+)", ACTION.read_text())
    assert version == pinned_versions()["pulumi"]


@pytest.mark.parametrize("file", WORKFLOWS, ids=lambda file: file.stem)
def test_workflow_has_no_permissions_and_no_dangerous_trigger(file: Path) -> None:
    workflow = load(file)
    assert workflow["permissions"] == {}
    triggers = set(workflow[True])  # YAML takes `on` for a boolean
    assert triggers <= {"pull_request", "push", "schedule", "workflow_dispatch"}


@pytest.mark.parametrize(
    ("workflow", "name", "job"), [*jobs()], ids=lambda value: value if isinstance(value, str) else ""
)
def test_credentials_are_those_of_an_environment_and_far_from_forks(
    workflow: str, name: str, job: dict[str, Any]
) -> None:
    assert job["permissions"]["contents"] == "read"
    if not has_credentials(job):
        assert "environment" not in job
        return
    needed, stack = job["needs"], "${{ matrix.stack }}"
    assert job["environment"] == (f"preview-{stack}" if workflow == "pull-request" else stack)
    if workflow == "pull-request":
        guard = load(GITHUB / f"workflows/{workflow}.yml")["jobs"][needed]["if"]
        assert guard.split(" && ") == [
            "github.event.pull_request.head.repo.full_name == github.repository",
            "github.event.pull_request.user.login != 'dependabot[bot]'",
        ]
    else:
        assert job["concurrency"]["group"] == f"stack-{stack}", "an update and a renewal of a stack never meet"
        assert job["concurrency"]["cancel-in-progress"] is False
    assert name in {"preview", "deploy", "renew"}


@pytest.mark.parametrize("file", WORKFLOWS, ids=lambda file: file.stem)
def test_checkout_keeps_no_token(file: Path) -> None:
    for job in load(file)["jobs"].values():
        for step in job["steps"]:
            if step.get("uses", "").startswith("actions/checkout@"):
                assert step["with"]["persist-credentials"] is False


@pytest.mark.parametrize("file", [*WORKFLOWS, ACTION], ids=lambda file: file.stem)
def test_steps_are_commands_of_the_project_and_no_secret_is_an_argument(file: Path) -> None:
    text = file.read_text()
    runs = re.findall(r"run: ([^|\n].*)", text) + re.findall(r"(\.venv/bin/python -m pipeline.*)\)\"", text)
    for run in runs:
        command = re.fullmatch(r"(?:exec )?\.venv/bin/python -m pipeline (\w+)\b.*", run)
        assert run.startswith("make ") or (command and command[1] in _COMMANDS), run
        assert "${{" not in run


@pytest.mark.parametrize(("workflow", "command"), [("deploy", "update"), ("renew", "renew")])
def test_step_that_changes_a_stack_gets_the_signals_and_ends_before_its_job(workflow: str, command: str) -> None:
    job = load(GITHUB / f"workflows/{workflow}.yml")["jobs"][workflow]
    (step,) = (each for each in job["steps"] if f" -m pipeline {command} " in each.get("run", ""))
    assert step["run"].startswith("exec "), "the runner signals nobody but the shell"
    assert step["timeout-minutes"] < job["timeout-minutes"] - 10, "a job that times out skips what follows a failure"


def test_deployment_by_hand_shows_its_plan_unless_it_is_told_to_apply_it() -> None:
    workflow = load(GITHUB / "workflows/deploy.yml")
    assert workflow[True]["workflow_dispatch"]["inputs"]["apply"]["default"] is False
    update = workflow["jobs"]["deploy"]["steps"][-1]
    assert " -m pipeline update " in update["run"]
    assert update["if"] == "github.event_name == 'push' || inputs.apply"


def test_kubeconfig_comes_by_the_variable_that_the_command_reads() -> None:
    texts = [file.read_text() for file in WORKFLOWS]
    given = [line.strip() for text in texts for line in text.splitlines() if "secrets.KUBECONFIG" in line]
    assert given == [f"{kubeconfig.VARIABLE}: ${{{{ secrets.KUBECONFIG }}}}"] * 3
