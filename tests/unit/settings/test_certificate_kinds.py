"""The rules for partners' certificates agree with Envoy on every kind."""

import pytest

from settings import authorities, certificate_checks
from tests.support import certificate_kinds
from tests.support.certificate_kinds import Authorities, Credential


def name(kind: Authorities | Credential) -> str:
    return kind.name


@pytest.mark.parametrize("kind", list(certificate_kinds.authorities()), ids=name)
def test_authorities_are_taken_as_envoy_takes_them(kind: Authorities) -> None:
    problems = list(authorities.problems(kind.pem))
    # A signature that Envoy does not know is the client's, which nobody sees before it calls.
    assert (not problems) == (kind.ours or kind.name == "signature-sha3"), problems


@pytest.mark.parametrize("kind", list(certificate_kinds.credentials()), ids=name)
def test_credentials_are_taken_as_envoy_takes_them(kind: Credential) -> None:
    problems = list(certificate_checks.credential_problems(kind.chain, kind.key))
    assert (not problems) == kind.envoy, problems
    assert not any(line in problem for _, problem in problems for line in kind.key.splitlines() if len(line) > 30)
