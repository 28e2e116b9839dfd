"""The list of kinds, compared with the objects that the program registers."""

from typing import Any

from components.kinds import KINDS
from tests.unit.deployment.program import CALLER, HTTPBIN, TAKE_OVER, TARGET, Stack
from tests.unit.deployment.test_rights import WHOLE

PREFIX: dict[str, Any] = {**HTTPBIN, "paths": ["/anything/*"]}


def test_kinds_are_those_that_the_program_makes_and_no_others(stack: Stack) -> None:
    found: dict[str, str] = {}
    on_kyma = {"clients": {"a": CALLER}, "hosts": {"httpbin": PREFIX}, "platform": "kyma"}
    for config in (WHOLE, on_kyma, WHOLE | TAKE_OVER | {"gatewayMode": "gardener"}):
        found |= {each["kind"]: each["apiVersion"] for each in stack(target=TARGET, **config).objects()}
    assert found == KINDS
