"""Rules for the workflows that actionlint and zizmor do not check."""

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
FILES = [*WORKFLOWS, ACTION]
ACTIONS = {"actions/cache", "actions/checkout", "actions/setup-python", "pulumi/actions"}
PIN = re.compile(r"uses: (?P<action>[^@\s]+)@(?P<commit>[0-9a-f]{40}) # (?P<version>v\d+\.\d+\.\d+)")
CREDENTIALS = re.compile(r"\$\{\{ secrets\.")


def load(file: Path) -> dict[Any, Any]:
    return dict(yaml.safe_load(file.read_text()))


def jobs() -> Iterator[tuple[str, str, dict[str, Any]]]:
    for file in WORKFLOWS:
        for name, job in load(file)["jobs"].items():
            yield file.stem, name, job


def has_credentials(job: dict[str, Any]) -> bool:
    return bool(CREDENTIALS.search(yaml.safe_dump(job, width=1000)))


def used_actions(file: Path) -> list[str]:
    """Return the lines of a file that use an action of a different repository."""
    return re.findall(r"\buses: (?!\./).*", file.read_text())


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_actions_are_known_and_pinned_by_commit_with_their_version(file: Path) -> None:
    for line in used_actions(file):
        pin = PIN.fullmatch(line)
        assert pin, f"{line}: not OWNER/NAME@COMMIT # vVERSION"
        assert pin["action"] in ACTIONS


def test_action_has_one_pin_in_all_files() -> None:
    pins = {PIN.sub(r"\g<action> \g<commit> \g<version>", line) for file in FILES for line in used_actions(file)}
    assert sorted(pin.split()[0] for pin in pins) == sorted(ACTIONS)


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
def test_credentials_come_from_an_environment_and_stay_out_of_forks(
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
        assert job["concurrency"]["group"] == f"stack-{stack}", (
            "an update and a renewal of a stack never run at the same time"
        )
        assert job["concurrency"]["cancel-in-progress"] is False
    assert name in {"preview", "deploy", "renew"}


@pytest.mark.parametrize("file", WORKFLOWS, ids=lambda file: file.stem)
def test_checkout_keeps_no_token(file: Path) -> None:
    for job in load(file)["jobs"].values():
        for step in job["steps"]:
            if step.get("uses", "").startswith("actions/checkout@"):
                assert step["with"]["persist-credentials"] is False


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_steps_are_commands_of_the_project_and_no_secret_is_an_argument(file: Path) -> None:
    text = file.read_text()
    runs = re.findall(r"run: ([^|\n].*)", text) + re.findall(r"(\.venv/bin/python -m pipeline.*)\)\"", text)
    for run in runs:
        command = re.fullmatch(r"(?:exec )?\.venv/bin/python -m pipeline (\w+)\b.*", run)
        assert run.startswith("make ") or (command and command[1] in _COMMANDS), run
        assert "${{" not in run


@pytest.mark.parametrize("workflow", ["pull-request", "deploy", "renew"])
def test_stack_that_drops_out_fails_the_run_and_not_the_jobs_of_the_others(workflow: str) -> None:
    first, *others = load(GITHUB / f"workflows/{workflow}.yml")["jobs"].values()
    checkout, *_, listing = first["steps"]
    assert checkout["with"]["fetch-depth"] == 0, "the history knows the files that are gone"
    assert " -m pipeline stacks" in listing["run"]
    assert listing["run"].splitlines()[-2:][0] == 'echo "stacks=$stacks" >> "$GITHUB_OUTPUT"'
    assert listing["run"].splitlines()[-1].startswith('exit "$status"')
    for job in others:
        assert job["if"].startswith("${{ !cancelled() && needs.stacks.outputs.stacks != '' && ")


@pytest.mark.parametrize(("workflow", "command"), [("deploy", "update"), ("renew", "renew")])
def test_step_that_changes_a_stack_gets_the_signals_and_ends_before_its_job(workflow: str, command: str) -> None:
    job = load(GITHUB / f"workflows/{workflow}.yml")["jobs"][workflow]
    (step,) = (each for each in job["steps"] if f" -m pipeline {command} " in each.get("run", ""))
    assert step["run"].startswith("exec "), "the runner signals the shell only"
    assert step["timeout-minutes"] < job["timeout-minutes"] - 10, (
        "a job that times out skips the steps that report a failure"
    )


def test_deployment_by_hand_shows_its_plan_and_applies_it_only_on_request() -> None:
    workflow = load(GITHUB / "workflows/deploy.yml")
    assert workflow[True]["workflow_dispatch"]["inputs"]["apply"]["default"] is False
    update = workflow["jobs"]["deploy"]["steps"][-1]
    assert " -m pipeline update " in update["run"]
    assert update["if"] == "github.event_name == 'push' || inputs.apply"


def test_kubeconfig_is_passed_in_the_variable_that_the_command_reads() -> None:
    texts = [file.read_text() for file in WORKFLOWS]
    given = [line.strip() for text in texts for line in text.splitlines() if "secrets.KUBECONFIG" in line]
    assert given == [f"{kubeconfig.VARIABLE}: ${{{{ secrets.KUBECONFIG }}}}"] * 3


def test_caches_are_saved_on_the_branch_from_which_pull_requests_restore_them() -> None:
    caching = {file for file in WORKFLOWS if "actions/cache@" in file.read_text()}
    assert {file.stem for file in caching} == {"test"}
    for file in caching:
        triggers = load(file)[True]
        assert "pull_request" in triggers
        assert triggers["push"] == {"branches": ["main"]}
