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

ROOT = Path(__file__).parents[2]
GITHUB = ROOT / ".github"
ACTIONS = sorted((GITHUB / "actions").glob("*/action.yml"))
WORKFLOWS = sorted((GITHUB / "workflows").glob("*.yml"))
FILES = [*WORKFLOWS, *ACTIONS]
KNOWN = {
    "actions/cache",
    "actions/checkout",
    "actions/download-artifact",
    "actions/setup-python",
    "actions/upload-artifact",
    "aws-actions/configure-aws-credentials",
    "google-github-actions/auth",
    "pulumi/auth-actions",
}
ENVIRONMENTS = {"preview": "preview-{}", "deploy": "{}", "renew": "renew-{}"}
"""The GitHub environment of each job with credentials."""
ALARM = 'gh issue list --search "author:app/github-actions in:title '
"""Lists only the issues that workflows opened: anybody may open one of this title in a public repository."""
FURTHER = {".ci/pulumi", "echo", "exit"}
"""Programs that steps run, beside `make` and the commands of `python -m pipeline`."""
PIN = re.compile(r"uses: (?P<action>[^@\s]+)@(?P<commit>[0-9a-f]{40}) # (?P<version>v\d+\.\d+\.\d+)")
CREDENTIALS = re.compile(r"\$\{\{ secrets\.")
STACK = "${{ matrix.stack }}"


def name_of(file: Path) -> str:
    """Return a name for a test: that of the workflow, or of the action's folder."""
    return file.parent.name if file.name == "action.yml" else file.stem


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


@pytest.mark.parametrize("file", FILES, ids=name_of)
def test_actions_are_known_and_pinned_by_commit_with_their_version(file: Path) -> None:
    for line in used_actions(file):
        pin = PIN.fullmatch(line)
        assert pin, f"{line}: not OWNER/NAME@COMMIT # vVERSION"
        assert pin["action"] in KNOWN


def test_action_has_one_pin_in_all_files() -> None:
    pins = {PIN.sub(r"\g<action> \g<commit> \g<version>", line) for file in FILES for line in used_actions(file)}
    assert sorted(pin.split()[0] for pin in pins) == sorted(KNOWN)


def test_hashes_of_pulumi_and_its_plugins_are_those_of_the_versions_of_the_program() -> None:
    versions = pinned_versions()
    hashes = [line.split() for line in (ROOT / ".ci/pulumi.sha256").read_text().splitlines()]
    assert {archive for _, archive in hashes} == {
        f"pulumi-v{versions['pulumi']}-linux-x64.tar.gz",
        f"pulumi-resource-kubernetes-v{versions['pulumi-kubernetes']}-linux-amd64.tar.gz",
    }
    assert all(re.fullmatch("[0-9a-f]{64}", digest) for digest, _ in hashes)


@pytest.mark.parametrize("file", WORKFLOWS, ids=name_of)
def test_workflow_has_no_permissions_and_no_dangerous_trigger(file: Path) -> None:
    workflow = load(file)
    assert workflow["permissions"] == {}
    triggers = set(workflow[True])  # YAML takes `on` for a boolean
    assert triggers <= {"pull_request", "merge_group", "push", "schedule", "workflow_call", "workflow_dispatch"}


ALL_JOBS = pytest.mark.parametrize(
    ("workflow", "name", "job"), [*jobs()], ids=lambda value: value if isinstance(value, str) else ""
)


@ALL_JOBS
def test_credentials_come_from_an_environment_and_stay_out_of_forks(
    workflow: str, name: str, job: dict[str, Any]
) -> None:
    if not has_credentials(job):
        assert "environment" not in job
        assert "id-token" not in job["permissions"]
        return
    assert job["environment"] == ENVIRONMENTS[name].format(STACK)
    if workflow == "pull-request":
        guard = load(GITHUB / f"workflows/{workflow}.yml")["jobs"][job["needs"]]["if"]
        assert guard == (
            "github.event_name == 'merge_group' || "
            "github.event.pull_request.head.repo.full_name == github.repository && "
            "github.event.pull_request.user.login != 'dependabot[bot]'"
        )
    else:
        assert job["concurrency"]["group"] == f"stack-{STACK}", (
            "an update and a renewal of a stack never run at the same time"
        )
        assert job["concurrency"]["cancel-in-progress"] is False


def test_every_environment_is_used() -> None:
    assert {name for _, name, job in jobs() if has_credentials(job)} == ENVIRONMENTS.keys()


@ALL_JOBS
def test_only_jobs_with_credentials_run_on_a_teams_own_runner(workflow: str, name: str, job: dict[str, Any]) -> None:
    if "uses" in job:
        return
    own = "${{ vars.RUNNER || 'ubuntu-24.04' }}"
    assert job["runs-on"] == (own if has_credentials(job) else "ubuntu-24.04"), f"{workflow}: {name}"


@ALL_JOBS
def test_beside_credentials_only_the_programs_own_packages_are_installed(
    workflow: str, name: str, job: dict[str, Any]
) -> None:
    targets = {
        target
        for steps in (job.get("steps", ()), *(used_steps(job)))
        for step in steps
        for target in re.findall(r"^make (.*)", step.get("run", ""))
    }
    if workflow == "test":
        assert targets == {"lint unit sdks"}
    else:
        assert targets <= {".venv", "policies/.venv/complete"}, f"{workflow}: {name}"
    assert ("policies/.venv/complete" in targets) == has_credentials(job)


def used_steps(job: dict[str, Any]) -> Iterator[list[dict[str, Any]]]:
    """Yield the steps of the project's own actions that a job uses, and of those that they use."""
    for step in job.get("steps", ()):
        if step.get("uses", "").startswith("./"):
            runs = load(ROOT / step["uses"] / "action.yml")["runs"]
            yield runs["steps"]
            yield from used_steps(runs)


def test_programs_environment_has_no_package_of_development() -> None:
    makefile = (ROOT / "Makefile").read_text()
    rule = re.search(r"^\.venv/complete: (.*)\n((?:\t.*\n)+)", makefile, re.MULTILINE)
    assert rule
    assert rule[1] == "requirements.txt"
    assert re.findall(r"-r (\S+)", rule[2]) == ["requirements.txt"]


@pytest.mark.parametrize("name", ["pull-request", "test"])
def test_checks_run_for_merge_queues(name: str) -> None:
    assert {"pull_request", "merge_group"} <= set(load(GITHUB / f"workflows/{name}.yml")[True])


def test_required_check_waits_for_every_preview() -> None:
    job = load(GITHUB / "workflows/pull-request.yml")["jobs"]["previews"]
    assert (job["name"], job["needs"], job["if"]) == ("Previews", ["stacks", "preview"], "always()")
    (step,) = job["steps"]
    assert step == {
        "if": "contains(needs.*.result, 'failure') || contains(needs.*.result, 'cancelled')",
        "run": "exit 1",
    }


def test_deployment_asks_for_the_previews_of_all_that_was_pushed() -> None:
    steps = load(GITHUB / "workflows/deploy.yml")["jobs"]["deploy"]["steps"]
    (step,) = (each for each in steps if " -m pipeline previewed " in each.get("run", ""))
    assert ' --commit "$GITHUB_SHA" --since "$BEFORE" ' in step["run"]
    assert step["env"]["BEFORE"] == "${{ github.event.before }}"


def test_every_night_is_reported_whatever_failed() -> None:
    nightly = load(GITHUB / "workflows/renew.yml")["jobs"]
    report, alarm = nightly["report"], nightly["alarm"]
    assert report["needs"] == ["stacks", "renew"]
    assert report["if"] == "${{ always() && needs.renew.result != 'skipped' }}"
    assert report["strategy"] == nightly["renew"]["strategy"]
    assert alarm["needs"] == ["stacks", "report"]
    assert alarm["if"] == "always() && (contains(needs.*.result, 'failure') || contains(needs.*.result, 'cancelled'))"
    (step,) = alarm["steps"]
    assert "uses" not in step, "it needs nothing of what may have failed"
    assert step["run"].startswith(ALARM)


EVIDENCE = {"record.json", "verification.html", "verified.xml"}


@pytest.mark.parametrize(("workflow", "files"), [("deploy", EVIDENCE), ("renew", EVIDENCE | {"problems.txt"})])
def test_what_a_run_wrote_is_its_artifact_however_it_ends(workflow: str, files: set[str]) -> None:
    job = load(GITHUB / f"workflows/{workflow}.yml")["jobs"][workflow]
    (saved,) = (each for each in job["steps"] if "upload-artifact" in each.get("uses", ""))
    assert saved["if"] == "always()"
    assert saved["with"]["path"].splitlines() == [f"${{{{ runner.temp }}}}/{name}" for name in sorted(files)]
    commands = " ".join(each.get("run", "") for each in job["steps"])
    assert files == set(re.findall(r'--(?:problems|record|html|junit) "\$RUNNER_TEMP/(\S+)"', commands))


def test_artifact_of_a_night_is_what_its_report_reads() -> None:
    nightly = load(GITHUB / "workflows/renew.yml")["jobs"]
    (saved,) = (each for each in nightly["renew"]["steps"] if "upload-artifact" in each.get("uses", ""))
    (read,) = (each for each in nightly["report"]["steps"] if "download-artifact" in each.get("uses", ""))
    assert saved["with"]["name"] == read["with"]["name"]
    assert read["continue-on-error"], "a run whose setup failed has none"


def test_last_success_is_watched_at_each_push_and_each_night() -> None:
    watch = load(GITHUB / "workflows/watch.yml")
    assert watch[True] == {"push": {"branches": ["main"]}, "workflow_call": None}
    assert watch["concurrency"] == {"group": "watch", "cancel-in-progress": False, "queue": "max"}
    assert load(GITHUB / "workflows/renew.yml")["jobs"]["watch"]["uses"] == "./.github/workflows/watch.yml"


@pytest.mark.parametrize("file", WORKFLOWS, ids=name_of)
def test_checkout_keeps_no_token(file: Path) -> None:
    for job in load(file)["jobs"].values():
        for step in job.get("steps", ()):
            if step.get("uses", "").startswith("actions/checkout@"):
                assert step["with"]["persist-credentials"] is False


@pytest.mark.parametrize("file", FILES, ids=name_of)
def test_steps_are_commands_of_the_project_and_no_secret_is_an_argument(file: Path) -> None:
    text = file.read_text()
    runs = re.findall(r"run: ([^|\n].*)", text) + re.findall(r"(\.venv/bin/python -m pipeline.*)\)\"", text)
    for run in runs:
        command = re.fullmatch(r"(?:exec )?\.venv/bin/python -m pipeline (\w+)\b.*", run)
        is_known = run.startswith(("make ", ALARM)) or run.split()[0] in FURTHER
        assert is_known or (command and command[1] in _COMMANDS), run
        assert "${{" not in run


@pytest.mark.parametrize(
    ("workflow", "next_job"), [("pull-request", "preview"), ("deploy", "deploy"), ("renew", "renew")]
)
def test_stack_that_drops_out_fails_the_run_and_not_the_jobs_of_the_others(workflow: str, next_job: str) -> None:
    jobs = load(GITHUB / f"workflows/{workflow}.yml")["jobs"]
    checkout, listing = jobs["stacks"]["steps"]
    assert checkout["with"]["fetch-depth"] == 0, "the history knows the files that are gone"
    assert listing["uses"] == "./.github/actions/stacks"
    assert jobs[next_job]["if"].startswith("${{ !cancelled() && needs.stacks.outputs.stacks != '' && ")
    run = load(GITHUB / "actions/stacks/action.yml")["runs"]["steps"][-1]["run"].splitlines()
    assert run[-2] == 'echo "stacks=$stacks" >> "$GITHUB_OUTPUT"'
    assert run[-1].startswith('exit "$status"')


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
    (update,) = (each for each in workflow["jobs"]["deploy"]["steps"] if " -m pipeline update " in each.get("run", ""))
    assert update["if"] == "github.event_name == 'push' || inputs.apply"


def test_kubeconfig_is_passed_in_the_variable_that_the_command_reads() -> None:
    given = [line.strip() for file in WORKFLOWS for line in file.read_text().splitlines() if "KUBECONFIG" in line]
    assert given == ["kubeconfig: ${{ secrets.KUBECONFIG }}"] * len(ENVIRONMENTS)
    setup = load(GITHUB / "actions/setup/action.yml")["runs"]["steps"]
    (step,) = (each for each in setup if each.get("run", "").endswith(" -m pipeline kubeconfig"))
    assert step["env"] == {kubeconfig.VARIABLE: "${{ inputs.kubeconfig }}"}


def test_caches_are_saved_on_the_branch_from_which_pull_requests_restore_them() -> None:
    caching = {file for file in WORKFLOWS if "actions/cache@" in file.read_text()}
    assert {file.stem for file in caching} == {"test"}
    for file in caching:
        triggers = load(file)[True]
        assert "pull_request" in triggers
        assert triggers["push"] == {"branches": ["main"]}
