"""Renewals of certificates."""

from collections.abc import Callable
from pathlib import Path

import pytest

from pipeline.__main__ import main
from tests.unit.pipeline.fake_engine import Engine
from tests.unit.pipeline.plans import SERVICE, STACK, renewal, resource

WAIT = f"{STACK}kyma-mtls:index:MtlsHost$pulumi:index:Stash::target-orders-ready"


def renew() -> int:
    return main(["renew", "prod", "--problems", "problems.txt"])


def test_renewal_with_nothing_to_do_verifies_alone(
    engine: Engine, verified: list[list[str]], deployed: Callable[..., None]
) -> None:
    deployed()
    assert renew() == 0
    assert engine.calls == ["preview", "refresh"]
    assert len(verified) == 1
    assert Path("problems.txt").read_text() == "", "an empty file says that there are none"


def test_renewal_deploys_what_is_due(engine: Engine, verified: list[list[str]], deployed: Callable[..., None]) -> None:
    deployed()
    engine.answer("preview", plan=renewal())
    assert renew() == 0
    assert engine.calls == ["preview", "up", "refresh"]
    assert len(verified) == 1


def test_change_by_hand_is_reported_and_not_undone(
    engine: Engine, verified: list[list[str]], deployed: Callable[..., None], capsys: pytest.CaptureFixture[str]
) -> None:
    deployed()
    engine.answer("refresh", plan=renewal() | {SERVICE: resource("update", updates={"spec": {}})})
    assert renew() == 1
    assert engine.calls == ["preview", "refresh"]
    assert len(verified) == 1
    assert capsys.readouterr().err == (
        "the clusters are not as the stack was deployed; `pulumi up --refresh` would do these operations:\n"
        "  update Service target-orders\n"
    )


def test_wait_that_saw_a_change_by_hand_and_its_return_is_no_drift(
    engine: Engine,
    verified: list[list[str]],  # noqa: ARG001 - which lets it pass
    deployed: Callable[..., None],
) -> None:
    deployed()
    engine.answer("refresh", plan={WAIT: resource("update", updates={"input": {}})})
    assert renew() == 0


def test_update_of_a_renewal_says_that_it_is_one(
    engine: Engine,
    verified: list[list[str]],  # noqa: ARG001 - which lets it pass
    deployed: Callable[..., None],
) -> None:
    deployed()
    engine.answer("preview", plan=renewal())
    assert renew() == 0
    assert (engine.folder / "renewals").read_text() == "up\n"


def test_change_that_nobody_deployed_is_reported_and_not_deployed(
    engine: Engine, verified: list[list[str]], deployed: Callable[..., None], capsys: pytest.CaptureFixture[str]
) -> None:
    deployed()
    engine.answer("preview", plan=renewal() | {SERVICE: resource("delete")})
    assert renew() == 1
    assert engine.calls == ["preview"]
    assert not verified, "it would judge by a file that is not deployed"
    said = capsys.readouterr().err
    assert "more than a renewal is pending" in said
    assert "  delete Service target-orders\n" in said
    assert Path("problems.txt").read_text() == said


def test_ending_certificate_is_reported_beside_a_failed_preview(
    engine: Engine,
    verified: list[list[str]],  # noqa: ARG001 - which lets it pass
    deployed: Callable[..., None],
) -> None:
    deployed(caExpiry="2020-01-01T00:00:00Z")
    engine.answer("preview", exit=255, errors=["cluster https://target does not answer"])
    assert renew() == 1
    reported = Path("problems.txt").read_text()
    assert "cluster https://target does not answer" in reported
    assert "kyma-mtls:generation: ends on 2020-01-01 00:00 UTC" in reported


def test_preview_that_fails_renews_nothing(
    engine: Engine, verified: list[list[str]], deployed: Callable[..., None]
) -> None:
    deployed()
    engine.answer("preview", exit=255, errors=["cluster https://target has no Secret a/b, which this stack made"])
    assert renew() == 1
    assert engine.calls == ["preview"]
    assert len(verified) == 1
    assert "has no Secret a/b" in Path("problems.txt").read_text()


def test_certificate_that_still_ends_soon_fails_the_renewal(
    engine: Engine, verified: list[list[str]], deployed: Callable[..., None]
) -> None:
    deployed(caExpiry="2020-01-01T00:00:00Z")
    assert renew() == 1
    assert engine.calls == ["preview", "refresh"]
    assert len(verified) == 1
    assert (
        "kyma-mtls:generation: ends on 2020-01-01 00:00 UTC, within renewBeforeDays (30)"
        in Path("problems.txt").read_text()
    )
