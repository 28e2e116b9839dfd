"""When the pack's policies judge: an object before it is made, or a stack once all is made."""

import pytest

from policies.mtls_policies import POLICIES
from policies.mtls_policies.policy import ResourcePolicy


@pytest.mark.parametrize("name", ["gateway-tls", "mutual-origination", "no-key-in-config-maps"])
def test_policy_of_an_object_judges_it_before_it_is_made(name: str) -> None:
    (policy,) = (each for each in POLICIES if each.name == name)
    assert isinstance(policy, ResourcePolicy)
