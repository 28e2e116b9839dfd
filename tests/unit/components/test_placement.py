"""What cannot change without an interruption, and how that is confirmed."""

from collections.abc import Mapping
from typing import Any

import pulumi
import pytest

from components.placement import Interruption, Placement, check_confirmed
from tests.unit.conftest import Deploy

OLD = {"platform": "kyma", "namespace": "", "target": "uid-1", "clients.warehouse": "uid-2"}


@pytest.mark.parametrize(
    ("new", "confirmed"),
    [
        (OLD, []),
        ({**OLD, "clients.billing": "uid-3"}, []),
        ({"platform": "kyma", "namespace": ""}, []),
        ({**OLD, "namespace": "b"}, ["namespace=b"]),
        ({**OLD, "namespace": "b", "target": "uid-4"}, ["target=uid-4", "namespace=b"]),
        ({**OLD, "target": "uid-4", "gatewayTakeOver": "true"}, ["target=uid-4"]),
        ({**OLD, "gatewayMode": "gardener", "gatewayTakeOver": "false"}, []),
    ],
    ids=["same", "new-key", "removed-keys", "confirmed", "all-confirmed", "take-over-at-a-new-target", "new-gateway"],
)
def test_change_passes_if_it_interrupts_nothing_or_is_confirmed(
    new: Mapping[str, object], confirmed: list[str]
) -> None:
    check_confirmed(OLD, new, confirmed)


@pytest.mark.parametrize("confirmed", [[], ["namespace=c"], ["namespace"], ["target=uid-4"]])
def test_change_that_is_not_confirmed_shows_the_command_that_confirms_it(confirmed: list[str]) -> None:
    with pytest.raises(Interruption) as caught:
        check_confirmed(OLD, {**OLD, "namespace": "b"}, confirmed)
    assert str(caught.value) == (
        "kyma-mtls:namespace: changes from a random one to b, which interrupts what is deployed: it is deleted and "
        "made anew; stop the callers first: once their routes are deleted, requests leave in plain HTTP. To confirm: "
        f"`pulumi config set --path 'confirm[{len(confirmed)}]' 'namespace=b'`"
    )


@pytest.mark.parametrize(
    ("key", "clear"),
    [("namespace", True), ("clients.warehouse", True), ("clients.warehouse.egressGateway", False), ("target", False)],
)
def test_change_that_takes_the_routes_from_callers_asks_to_stop_them(key: str, clear: bool) -> None:
    with pytest.raises(Interruption) as caught:
        check_confirmed({key: "a"}, {key: "b"}, [])
    assert ("stop the callers first" in str(caught.value)) is clear


def test_renamed_stack_is_refused_until_it_is_confirmed() -> None:
    old, new = {**OLD, "stack": "prod"}, {**OLD, "stack": "live"}
    with pytest.raises(
        Interruption, match=r"^kyma-mtls:stack: changes from prod to live.* another identity.*"
    ) as caught:
        check_confirmed(old, new, [])
    assert str(caught.value).endswith("`pulumi config set --path 'confirm[0]' 'stack=live'`")
    check_confirmed(old, new, ["stack=live"])
    check_confirmed(OLD, new, [])


def test_changes_get_a_place_each_among_the_confirmed() -> None:
    new = {**OLD, "namespace": "b", "target": "uid-4", "clients.warehouse": "uid-5"}
    with pytest.raises(Interruption) as caught:
        check_confirmed(OLD, new, ["namespace=b"])
    target, client = str(caught.value).splitlines()
    assert "'confirm[1]' 'target=uid-4'" in target
    assert "'confirm[2]' 'clients.warehouse=uid-5'" in client, "the second command would undo the first"


PLATFORM_STAYS = "kyma-mtls:platform: cannot change from kyma to istio: "
TARGET_STAYS = "kyma-mtls:target: cannot change or go while gatewayTakeOver is true: "
MODE_STAYS = "kyma-mtls:gatewayMode: cannot change from {} to {}: "
TAKEN_OVER = {**OLD, "gatewayTakeOver": "true"}
SIGNED = {**OLD, "gatewayTakeOver": "false", "gatewayMode": "own or selfSigned"}
GARDENERS = {**OLD, "gatewayTakeOver": "false", "gatewayMode": "gardener"}
WITHOUT_TARGET = {key: value for key, value in OLD.items() if key != "target"}


@pytest.mark.parametrize(
    ("old", "new", "beginnings"),
    [
        (OLD, {**OLD, "platform": "istio"}, [PLATFORM_STAYS]),
        (TAKEN_OVER, {**TAKEN_OVER, "target": "uid-4"}, [TARGET_STAYS]),
        (TAKEN_OVER, {**TAKEN_OVER, "gatewayTakeOver": "false", "target": "uid-4"}, [TARGET_STAYS]),
        (TAKEN_OVER, WITHOUT_TARGET, [TARGET_STAYS]),
        (SIGNED, GARDENERS, [MODE_STAYS.format("own or selfSigned", "gardener")]),
        (GARDENERS, SIGNED, [MODE_STAYS.format("gardener", "own or selfSigned")]),
        (
            TAKEN_OVER,
            {**TAKEN_OVER, "platform": "istio", "target": "uid-4", "namespace": "b"},
            [PLATFORM_STAYS, TARGET_STAYS, "kyma-mtls:namespace: changes from a random one to b"],
        ),
    ],
    ids=[
        "platform",
        "target",
        "target-with-its-take-over",
        "target-that-goes",
        "to-gardener",
        "from-gardener",
        "all-at-once",
    ],
)
def test_changes_that_no_confirmation_allows_are_listed_with_the_unconfirmed(
    old: Mapping[str, object], new: Mapping[str, object], beginnings: list[str]
) -> None:
    with pytest.raises(Interruption) as caught:
        check_confirmed(old, new, ["platform=istio", "target=uid-4", "gatewayTakeOver=false", "gatewayMode=gardener"])
    lines = str(caught.value).splitlines()
    assert len(lines) == len(beginnings), f"a line for each: {lines}"
    assert all(line.startswith(beginning) for line, beginning in zip(lines, beginnings, strict=True)), lines


def test_gateway_mode_may_change_with_a_take_over() -> None:
    taken = {**SIGNED, "gatewayTakeOver": "true"}
    check_confirmed(GARDENERS, taken, ["gatewayTakeOver=true"])
    with pytest.raises(Interruption) as caught:
        check_confirmed(GARDENERS, taken, [])
    (line,) = str(caught.value).splitlines()
    assert line.startswith("kyma-mtls:gatewayTakeOver: changes from false to true")


def test_change_that_no_confirmation_allows_shows_no_command() -> None:
    with pytest.raises(Interruption) as caught:
        check_confirmed(TAKEN_OVER, {**TAKEN_OVER, "platform": "istio", "target": "uid-4"}, [])
    assert "confirm" not in str(caught.value)


def test_placement_is_checked_before_updates_and_in_previews(deploy: Deploy) -> None:
    stack = deploy(lambda: Placement("placement", OLD, []) and None)
    assert stack.one("Placement", "placement") == {"facts": OLD}
    (name,) = stack.request("Placement", "placement").hooks.before_update
    hook = stack.hooks[name]
    assert hook.opts
    assert hook.opts.on_dry_run

    def update(old: dict[str, Any] | None, new: Mapping[str, object]) -> None:
        hook(pulumi.ResourceHookArgs("urn", "", name, "Placement", old_inputs=old, new_inputs={"facts": new}))

    update(None, OLD)
    update({"facts": OLD}, OLD)
    with pytest.raises(Interruption):
        update({"facts": OLD}, {**OLD, "platform": "istio"})
