"""The record of a deployment: what was deployed, from which commit, who approved it, and how it ended."""

import hashlib
import json
import subprocess
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from pipeline import this_run
from pipeline.forge import Forge, PullRequest
from pipeline.plan import Plan
from settings import ConfigError

FORMAT = 1
_DEPLOYED = "deployed"
_REVIEWS = "pullRequests"


def review(file: Path, forge: Forge, merged: Iterable[PullRequest]) -> None:
    """Write the pull requests that are deployed, and who approved each of them."""
    reviews = [
        {"number": each.number, "head": each.head, "approvedBy": forge.approvers(each.number)} for each in merged
    ]
    _write(file, {_REVIEWS: reviews})


@contextmanager
def written(file: Path | None, stack: str, plan: Path | None) -> Iterator[None]:
    """Write what the block deploys and how it ends into the record, beside the reviews that it has.

    file: the record; None to write none
    plan: the plan that is deployed; None if the block makes it
    """
    if not file:
        yield
        return
    known = {"format": FORMAT, "stack": stack, "commit": _commit(), "run": this_run.url(), "by": this_run.starter()}
    known |= {"plan": _plan(Plan.read(plan))} if plan else {}
    known |= {"started": _now()} | _reviews(file)
    result = "interrupted"
    try:
        yield
        result = _DEPLOYED
    except Exception as error:
        result = str(error)
        raise
    finally:
        _write(file, known | {"ended": _now(), "result": result})


def _plan(plan: Plan) -> dict[str, str]:
    """Return what a plan does, and a digest of its operations, as the comment on the pull request has them."""
    return {"operations": plan.summary, "sha256": hashlib.sha256(plan.digests.encode()).hexdigest()}


def _commit() -> str:
    done = subprocess.run(["git", "rev-parse", "HEAD"], capture_output=True, text=True, check=False)
    return done.stdout.strip()


def _now() -> str:
    return f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%SZ}"


def _reviews(file: Path) -> dict[str, Any]:
    """Return the reviews that the record has so far."""
    if not file.exists():
        return {}
    try:
        return {_REVIEWS: json.loads(file.read_text())[_REVIEWS]}
    except (ValueError, TypeError, KeyError):
        raise ConfigError(f"{file}: not a record that `previewed` wrote; remove it") from None


def _write(file: Path, content: dict[str, Any]) -> None:
    file.write_text(json.dumps(content, indent=2) + "\n")
