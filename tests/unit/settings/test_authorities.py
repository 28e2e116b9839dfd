"""CAs of one name in the order in which Envoy finds a valid one, and certificates that are no CA's."""

from datetime import timedelta

import pytest

from settings import authorities
from tests.support.certificates import issue, version_1
from tests.unit import pki

KEY = pki.ec_key()
VALID, LONGER = issue("CA", key=KEY), issue("CA", key=KEY, end=9999)
EXPIRED = issue("CA", key=KEY, end=-1)
TO_COME = pki.issue("CA", key=KEY, start=timedelta(days=1), end=timedelta(days=999))
OTHER = issue("other")


def test_valid_certificate_of_a_name_comes_first_and_names_keep_their_order() -> None:
    given = OTHER.pem + TO_COME.pem + EXPIRED.pem + VALID.pem + LONGER.pem
    ordered = authorities.in_order(given)
    assert ordered.startswith(OTHER.pem + LONGER.pem + VALID.pem)
    assert sorted(ordered.split("-----END")) == sorted(given.split("-----END")), "none is left out"


def test_certificate_that_stands_twice_is_deployed_once_and_text_is_left_out() -> None:
    assert authorities.in_order(f"text\n{OTHER.pem}{VALID.pem}{OTHER.pem}") == OTHER.pem + VALID.pem


@pytest.mark.parametrize(
    ("pem", "count"),
    [
        (issue("a").pem + issue("a").pem, 1),
        (issue("a").pem + issue("a", has_id=True).pem, 0),
        (issue("a").pem + issue("a", end=-1).pem, 0),
        (VALID.pem + LONGER.pem + OTHER.pem, 0),
    ],
    ids=["two-keys", "one-has-an-id", "one-is-expired", "one-key"],
)
def test_keys_of_one_name_are_a_problem_where_envoy_finds_the_first_only(pem: str, count: int) -> None:
    assert len(list(authorities.problems(pem))) == count


def test_certificates_that_are_no_cas_are_named() -> None:
    leaf = issue("leaf", OTHER, is_authority=False)
    assert authorities.pinned(OTHER.pem + leaf.pem + version_1(VALID).pem) == ["CN=leaf"]
