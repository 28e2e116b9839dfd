"""Previews, updates and renewals of one stack."""

import json
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

from clusters.rights import RENEWAL
from pipeline import comparison, engine, expiry, renewal, stacks
from pipeline.comment import Preview
from pipeline.plan import Operation, Plan
from settings import ConfigError
from verification.runner import Verdict
from verification.stack import DeployedStack

_PLAN_IS_STALE = (
    "The update would differ from its plan. Steps completed before this error remain; the update changed nothing else. "
    "Preview again, and deploy the new plan"
)
_STDOUT = 1  # the file descriptor: beside a JSON document, the verification prints its lines to stderr
_NOT_KEPT = {Verdict.FAILED.value, Verdict.ERROR.value}
_OF_CLUSTERS = "kubernetes:"  # not the waits: they change with the generation of an object, also if it is as before
_NOT_RENEWED = "`pulumi preview` failed, so nothing is renewed"


class Refused(Exception):  # noqa: N818 - it is no error of the program
    """The command refuses to act; the message has a line for each reason."""

    def __init__(self, *reasons: str) -> None:
        super().__init__("\n".join(reasons))


class Pending(Refused):
    """The stack's file is not what is deployed, so the verification cannot judge by it."""


def preview(stack: str, plan: Path, head: str = "") -> Preview:
    """Preview the stack with its current file, and save the plan.

    plan: the file to save the plan to
    head: the commit that is previewed
    """
    run = engine.preview(stack, plan)
    planned = Plan.read(plan) if run.exit_code == 0 else None
    compared = comparison.of(stack)
    return Preview(stack, compared.before, compared.after, run, planned, head, compared.unfinished)


def expect_previewed(stack: str, plan: Plan, previewed: frozenset[str]) -> None:
    """Raise Refused if a plan of the stack has operations that no comment has shown, other than renewals.

    previewed: the digests of the operations that the comment has shown
    """
    changes = _unexplained(stack, plan)
    if unseen := [each for each in changes if each.digest not in previewed]:
        raise Refused("the plan has operations that the preview in the pull request did not have:", *_lines(unseen))


def expect_no_later(stack: str) -> None:
    """Raise Refused if the stack was last changed from a commit that follows the checked-out one."""
    last = engine.last_commit(stack)
    if last and stacks.is_behind(last):
        raise Refused(
            f"{stack} was last changed from a later commit, {last}, which this deployment would revert; "
            "deploy the latest commit"
        )


def update(stack: str, plan: Path, reports: Sequence[str] = ()) -> None:
    """Deploy a plan and verify the stack; raise Refused if either fails, or if a later commit is deployed.

    reports: the verification's arguments for its reports
    """
    expect_no_later(stack)
    _deploy(stack, plan)
    verify(stack, reports)


def verify(stack: str, reports: Sequence[str] = ()) -> None:
    """Verify a deployed stack without changes to its clusters; raise Refused, with the promises that are not kept.

    reports: the verification's arguments for its reports
    """
    command = [sys.executable, "-m", "verification", "--read-only", "--json", "--stack", stack, *reports]
    streams: dict[str, Any] = {"stdin": subprocess.DEVNULL, "stdout": subprocess.PIPE, "stderr": _STDOUT}
    done = subprocess.run(command, **streams, text=True, check=False)
    if done.returncode:
        raise Refused(f"`python -m verification --read-only --stack {stack}` does not pass", *_broken(done.stdout))


def renew(stack: str, reports: Sequence[str] = ()) -> None:
    """Renew the certificates that end soon, then look for drift: in a preview with refresh, and by the verification.

    Raise Refused, with all problems, if any other change is pending, if a cluster is not as the stack was deployed, or
    if the stack cannot renew a certificate that ends soon.
    """
    expect_no_later(stack)
    problems = _problems(partial(_renew, stack))
    if not any(isinstance(each, Pending) for each in problems):
        problems += _problems(partial(verify, stack, reports))
    problems += _problems(partial(_expect_no_ending, stack))
    if problems:
        raise Refused(*dict.fromkeys(map(str, problems)))


def _problems(step: Callable[[], None]) -> list[Exception]:
    try:
        step()
    except (Refused, ConfigError) as error:
        return [error]
    return []


def _deploy(stack: str, plan: Path, **environment: str) -> None:
    run = engine.up(stack, plan, **environment)
    if run.exit_code:
        remedy = [_PLAN_IS_STALE] if run.left_its_plan else []
        raise Refused(f"`pulumi up` failed: {stack} is not deployed, or only in part", *run.errors, *remedy)


def _renew(stack: str) -> None:
    with tempfile.TemporaryDirectory() as folder:
        plan = Path(folder, "plan.json")
        planned = _planned(stack, plan)
        if pending := _unexplained(stack, planned):
            raise Pending(
                "more than a renewal is pending, so nothing is renewed; deploy or revert these operations:",
                *_lines(pending),
            )
        if planned.operations:
            _deploy(stack, plan, **{RENEWAL: "true"})
        refreshed = _planned(stack, Path(folder, "refreshed.json"), refresh=True)
        changed = _unexplained(stack, refreshed)
        if drift := [each for each in changed if each.type.startswith(_OF_CLUSTERS)]:
            raise Refused(
                "the clusters are not as the stack was deployed; `pulumi up --refresh` would do these operations:",
                *_lines(drift),
            )


def _unexplained(stack: str, plan: Plan) -> list[Operation]:
    """Return the operations of a stack's plan that no renewal explains; the state is read only if there are any."""
    return renewal.unexplained(plan, engine.deployed_inputs(stack)) if plan.operations else []


def _planned(stack: str, file: Path, *, refresh: bool = False) -> Plan:
    run = engine.preview(stack, file, refresh=refresh)
    if run.exit_code:
        raise Refused("`pulumi preview --refresh` failed" if refresh else _NOT_RENEWED, *run.errors)
    return Plan.read(file)


def _expect_no_ending(stack: str) -> None:
    deployed = DeployedStack.load(stack, read_only=True)
    if ending := expiry.ending(deployed.settings, deployed.outputs, datetime.now(UTC)):
        raise Refused("these certificates end soon, and no `pulumi up` renews them:", *ending)


def _lines(operations: Sequence[Operation]) -> list[str]:
    return [f"  {each}" for each in operations]


def _broken(printed: str) -> Iterator[str]:
    """Yield a line for each promise that is not kept, or why the verification could not begin.

    printed: the JSON document that the verification printed
    """
    try:
        document = json.loads(printed)
    except ValueError:
        return
    yield from (f"  {problem}" for problem in document.get("problems", ()))
    for check in document.get("checks", ()):
        if check["verdict"] in _NOT_KEPT:
            yield f"  {check['group']}: {check['promise']}: {' '.join(check['seen'].split())}"
