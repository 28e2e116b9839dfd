"""Plans that a reviewed preview covers."""

from pathlib import Path

import pytest

from pipeline.deployment import Refused, expect_previewed
from tests.unit.pipeline.plans import PROVIDER, SECRET, SERVICE, plan_of, renewal, resource

pytestmark = pytest.mark.usefixtures("engine")


def test_previewed_plan_or_a_part_of_it_is_accepted(plan_file: Path) -> None:
    plan = plan_of(plan_file, {SERVICE: resource("delete"), SECRET: resource("create")})
    expect_previewed("prod", plan, frozenset(each.digest for each in plan.operations))
    expect_previewed("prod", plan_of(plan_file, {}), frozenset(each.digest for each in plan.operations))


def test_renewal_and_new_credentials_need_no_preview(plan_file: Path) -> None:
    changes = renewal() | {PROVIDER: resource("update", updates={"kubeconfig": {}})}
    expect_previewed("prod", plan_of(plan_file, changes), frozenset())


def test_operation_without_preview_is_refused_by_name(plan_file: Path) -> None:
    seen = plan_of(plan_file, {SERVICE: resource("update")})
    now = plan_of(plan_file, {SERVICE: resource("delete"), SECRET: resource("create")})
    with pytest.raises(Refused) as caught:
        expect_previewed("prod", now, frozenset(each.digest for each in seen.operations))
    assert str(caught.value).splitlines()[1:] == [
        "  create Secret target-orders-credential",
        "  delete Service target-orders",
    ]
