"""Rules for the pipeline of GitLab, and its schema, which GitLab publishes."""

import json
import re
import shlex
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
    assert jobs()["run"]["trigger"]["include"][1] == {"local": ".gitlab/stack.yml"}


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
            assert _parser_options(arguments).get("--plan", "/tmp/plan.json") == "/tmp/plan.json"  # noqa: S108 - a container's


def test_inputs_and_variables_of_a_run_are_no_arguments_of_the_shell() -> None:
    """Expect that inputs reach scripts by variables only, and that those are quoted."""
    for job in jobs().values():
        for line in lines(job):
            assert "$[[" not in line
            assert not re.search(r'(?<!["\w{$])\$(?!JOBS\b|\{)\w+(?!")', re.sub(r'"[^"]*"', '""', line)), line


def _parser_options(arguments: list[str]) -> dict[str, str]:
    return {name: value for name, value in pairwise(arguments) if name.startswith("--")}
