"""What is GitHub's alone."""

import pytest

from pipeline import this_run
from tests.unit.pipeline.forges import Hub, served


def review(login: str | None, state: str) -> dict[str, object]:
    return {"user": login and {"login": login}, "state": state}


def test_last_review_of_an_account_decides_whether_it_approves(monkeypatch: pytest.MonkeyPatch) -> None:
    with served(Hub(), monkeypatch) as hub:
        hub.reviews = [
            review("zoe", "APPROVED"),
            review("ann", "CHANGES_REQUESTED"),
            review("ann", "APPROVED"),
            review("ann", "COMMENTED"),
            review("bob", "APPROVED"),
            review("bob", "CHANGES_REQUESTED"),
            review("eve", "DISMISSED"),
            review(None, "COMMENTED"),
        ]
        assert this_run.forge().approvers(7) == ["ann", "zoe"]
