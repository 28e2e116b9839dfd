"""Rules for the pipeline of GitLab, and its schema, which GitLab publishes."""

import json
import os
import re
import shlex
import subprocess
from collections.abc import Iterator
from importlib import resources
from itertools import pairwise
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml

from pipeline.__main__ import _parser
from pipeline.stacks import gitlab_pipeline

ROOT = Path(__file__).parents[2]
FILES = [ROOT / name for name in (".gitlab-ci.yml", ".gitlab/image.yml", ".gitlab/stack.yml")]
KEYWORDS = {"spec", "workflow", "include", "stages", "default", "variables"}
COMMAND = re.compile(r"\.venv/bin/python -m pipeline (?P<arguments>[^>|&]*)")
OWN = "$CI_MERGE_REQUEST_SOURCE_PROJECT_ID && $CI_MERGE_REQUEST_SOURCE_PROJECT_ID == $CI_MERGE_REQUEST_PROJECT_ID"
VALUES = {"$JOBS": "renew", "$CI_MERGE_REQUEST_IID": "7", "$STACK": "prod", "$HEAD": "a" * 40}
PLAN = "$PRIVATE/plan.json"
SAYS = "#!/bin/sh\n" + 'echo "$@" >> calls; test "$4" != prod || touch "$PRIVATE/comment.md"; eval "${ANSWERS:-}"\n'
"""A Python that lists its calls, leaves a comment, and answers as a test says."""
Job = dict[str, Any]


def documents() -> Iterator[tuple[Path, dict[str, Any]]]:
    for file in FILES:
        for document in yaml.safe_load_all(file.read_text()):
            yield file, document


def jobs() -> dict[str, Job]:
    """Return all jobs, with what they extend."""
    found = {name: job for _, each in documents() for name, job in each.items() if name not in KEYWORDS}

    def whole(job: Job) -> Job:
        return {**(whole(found[job["extends"]]) if "extends" in job else {}), **job}

    return {name: whole(job) for name, job in found.items()}


def lines(job: Job) -> list[str]:
    """Return the lines of a job's scripts."""

    def flat(part: str | list[Any]) -> Iterator[str]:
        yield from [part] if isinstance(part, str) else (line for each in part for line in flat(each))

    return [*flat(job.get("before_script", [])), *flat(job.get("script", []))]


def commands(job: Job) -> list[list[str]]:
    found = [match["arguments"] for line in lines(job) for match in COMMAND.finditer(line)]
    return [[VALUES.get(word, word) for word in shlex.split(each)] for each in found]


def has_credentials(job: Job) -> bool:
    """Return whether a job gets variables of an environment."""
    return "environment" in job


def test_files_have_the_shape_that_gitlab_publishes() -> None:
    published = resources.files("check_jsonschema").joinpath("builtin_schemas/vendor/gitlab-ci.json").read_text()
    validator = jsonschema.Draft7Validator(json.loads(published))
    generated = (Path("generated"), gitlab_pipeline(["renew", "report"], ["prod", "prod-eu"]))
    for file, document in (*documents(), generated, (Path("empty"), gitlab_pipeline(["renew"], []))):
        problems = [f"{[*each.path]}: {each.message}" for each in validator.iter_errors(document)]
        assert not problems, file.name
    assert [*validator.iter_errors({"job": {"scripts": ["true"]}})]


@pytest.mark.parametrize("name", jobs())
def test_steps_are_commands_that_exist_with_their_options(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("Pulumi.prod.yaml").touch()
    for arguments in commands(jobs()[name]):
        _parser().parse_args(arguments)


def test_jobs_that_stacks_name_are_there() -> None:
    named = {job for rule in jobs()["stacks"]["rules"] for job in rule["variables"]["JOBS"].split()}
    assert named == {"preview", "deploy", "show", "apply", "renew", "report"}
    assert {f".{name}" for name in named} <= {*jobs()}


def test_image_is_pinned_by_digest_and_the_only_one() -> None:
    images = [line.strip() for file in FILES for line in file.read_text().splitlines() if "image: " in line]
    assert len(images) == 1
    assert re.fullmatch(r"image: python:3\.11\.\d+-bookworm@sha256:[0-9a-f]{64}", images[0])
    assert not any("services" in job or "image" in job for job in jobs().values())


def test_code_of_a_fork_never_runs_beside_credentials() -> None:
    """Expect that jobs with an environment run in the child pipeline, or never for a merge request."""
    for name, job in jobs().items():
        if not has_credentials(job) or name.startswith("."):
            continue
        assert all("merge_request" not in rule["if"].lower() for rule in job["rules"]), name
    for name in ("stacks", "run", "dropped out"):
        rules = [rule["if"] for rule in jobs()[name]["rules"]]
        assert rules[0] == OWN
        assert not any("merge_request" in rule.lower() for rule in rules[1:])
    included = jobs()["run"]["trigger"]["include"]
    assert included[1] == {"local": ".gitlab/stack.yml"}
    assert len(included) <= 3, "GitLab takes no more"


def test_jobs_for_merge_requests_of_forks_have_no_credentials() -> None:
    """Expect that only the checks run for any merge request."""
    for_any = {
        name
        for name, job in jobs().items()
        if any("merge_request_event" in rule["if"] for rule in job.get("rules", []))
    }
    assert for_any == {"test"}
    assert not has_credentials(jobs()["test"])
    assert "id_tokens" not in jobs()["test"]


def test_only_jobs_of_an_environment_use_tokens_and_clusters() -> None:
    needing = {"preview", "previewed", "comment", "update", "renew", "issue", "watch"}
    for name, job in jobs().items():
        if needing & {arguments[0] for arguments in commands(job)}:
            assert has_credentials(job), name
    environments = {name: job["environment"]["name"] for name, job in jobs().items() if has_credentials(job)}
    assert environments == {
        "watch": "report",
        ".report": "report",
        ".preview": "preview-$STACK",
        ".change": "$STACK",
        ".show": "$STACK",
        ".apply": "$STACK",
        ".deploy": "$STACK",
        ".renew": "renew-$STACK",
    }


def test_changes_of_a_stack_run_one_at_a_time_and_to_their_end() -> None:
    changing = {name: job for name, job in jobs().items() if {"update", "renew"} & {each[0] for each in commands(job)}}
    assert {*changing} == {".apply", ".deploy", ".renew"}
    for job in changing.values():
        assert job["resource_group"] == "stack-$STACK"
        assert "interruptible" not in job
        assert lines(job)[-1].startswith("exec "), "a signal to the shell reaches the command"
        assert job["timeout"] == "60 minutes"
        assert job["variables"]["RUNNER_SCRIPT_TIMEOUT"] == "50m", "after it, the artifacts are still kept"


def test_merge_is_deployed_only_if_its_comment_shows_it_and_by_hand_only_on_request() -> None:
    def names(job: str) -> list[str]:
        return [arguments[0] for arguments in commands(jobs()[job])]

    assert names(".deploy") == ["preview", "previewed", "update"]
    assert names(".apply") == ["preview", "update"]
    assert names(".show") == ["preview"]
    chosen = {rule["variables"]["JOBS"]: rule["if"] for rule in jobs()["stacks"]["rules"]}
    assert chosen["deploy"] == '$CI_PIPELINE_SOURCE == "push"'
    assert '"$[[ inputs.apply ]]" == "true"' in chosen["apply"]
    (header,) = (each for _, each in documents() if "spec" in each)
    assert header["spec"]["inputs"]["apply"]["default"] is False
    assert header["spec"]["inputs"]["stack"]["regex"] == "^[A-Za-z0-9_.-]*$"


def test_deployment_keeps_its_record_reports_and_evidence() -> None:
    for name in (".apply", ".deploy", ".renew"):
        job = jobs()[name]
        (arguments,) = (each for each in commands(job) if each[0] in {"update", "renew"})
        options = _parser_options(arguments)
        assert {"--record", "--junit", "--html"} <= options.keys()
        assert all(options[each].startswith("evidence/$STACK/") for each in ("--record", "--junit", "--html"))
        assert job["artifacts"]["paths"] == ["evidence"]
        assert job["artifacts"]["when"] == "always"
        assert job["artifacts"]["access"] == "developer"


def test_plan_and_token_stay_out_of_artifacts() -> None:
    for job in jobs().values():
        assert all(path in {"evidence", "stacks.yml"} for path in job.get("artifacts", {}).get("paths", []))
        for arguments in commands(job):
            assert _parser_options(arguments).get("--plan", PLAN) == PLAN


def test_inputs_and_variables_of_a_run_are_no_arguments_of_the_shell() -> None:
    """Expect that inputs reach scripts by variables only, and that those are quoted."""
    for job in jobs().values():
        for line in lines(job):
            assert "$[[" not in line
            assert not re.search(r'(?<!["\w{$])\$(?!JOBS\b|\{)\w+(?!")', re.sub(r'"[^"]*"', '""', line)), line


def run(name: str, folder: Path, answers: str = "", **variables: str) -> tuple[int, list[str]]:
    """Run the script of a job as a runner does; return its exit code and the commands of the pipeline that it runs."""
    python = folder / ".venv/bin/python"
    python.parent.mkdir(parents=True, exist_ok=True)
    python.write_text(SAYS)
    python.chmod(0o755)
    (folder / "evidence").mkdir(exist_ok=True)
    script = jobs()[name]["script"]
    steps = [line for each in script for line in ([each] if isinstance(each, str) else each) if line != "make .venv"]
    environment = {"PATH": os.environ["PATH"], "STACK": "prod", "PRIVATE": str(folder), "ANSWERS": answers, **variables}
    command = ["bash", "-eo", "pipefail", "-c", "\n".join(steps)]
    done = subprocess.run(command, cwd=folder, env=environment, check=False, capture_output=True, text=True)
    calls = folder / "calls"
    return done.returncode, [line.split()[2] for line in calls.read_text().splitlines()] if calls.exists() else []


def test_failed_preview_is_commented_and_fails_its_job(tmp_path: Path) -> None:
    assert run(".preview", tmp_path, 'test "$3" != preview || exit 1') == (1, ["preview", "comment"])


def test_comment_that_is_refused_fails_its_job(tmp_path: Path) -> None:
    assert run(".preview", tmp_path, 'test "$3" != comment || exit 2') == (2, ["preview", "comment"])


def test_preview_in_a_merge_train_is_not_commented(tmp_path: Path) -> None:
    assert run(".preview", tmp_path, CI_MERGE_REQUEST_EVENT_TYPE="merge_train") == (0, ["preview"])


def test_preview_shows_the_commit_of_the_branch(tmp_path: Path) -> None:
    assert run(".preview", tmp_path, CI_MERGE_REQUEST_SOURCE_BRANCH_SHA="source", CI_COMMIT_SHA="commit")[0] == 0
    assert "--head source" in (tmp_path / "calls").read_text()
    assert run(".preview", tmp_path, CI_COMMIT_SHA="commit")[0] == 0
    assert "--head commit" in (tmp_path / "calls").read_text()


def test_stack_that_dropped_out_fails_the_run_after_the_others(tmp_path: Path) -> None:
    assert run("stacks", tmp_path, "echo {}; exit 1", JOBS="deploy")[0] == 0
    assert (tmp_path / "stacks.yml").read_text() == "{}\n"
    (status,) = re.findall(r"STATUS=(.*)", (tmp_path / "status.env").read_text())
    assert run("dropped out", tmp_path, STATUS=status)[0] == 1
    assert run("dropped out", tmp_path, STATUS="0")[0] == 0


def test_stacks_that_cannot_be_listed_fail_their_job(tmp_path: Path) -> None:
    assert run("stacks", tmp_path, "exit 2", JOBS="deploy")[0] != 0


def test_plan_that_no_comment_shows_is_not_deployed(tmp_path: Path) -> None:
    assert run(".deploy", tmp_path, 'test "$3" != previewed || exit 1') == (1, ["preview", "previewed"])


def test_later_push_cancels_previews_but_no_deployment() -> None:
    workflow = next(each["workflow"] for _, each in documents() if "spec" not in each)
    of_merge_requests, of_the_branch = workflow["rules"]
    assert "auto_cancel" not in of_merge_requests
    assert of_the_branch["auto_cancel"] == {"on_new_commit": "none"}
    assert {name for name, job in jobs().items() if job.get("interruptible")} == {"test", "stacks", ".preview"}


def test_deployment_by_hand_asks_for_no_comment(tmp_path: Path) -> None:
    assert run(".apply", tmp_path) == (0, ["preview", "update"])


def _parser_options(arguments: list[str]) -> dict[str, str]:
    return {name: value for name, value in pairwise(arguments) if name.startswith("--")}
