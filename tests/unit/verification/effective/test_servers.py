"""Which servers the egress gateway's proxies accept, and which certificate they show."""

import base64
from dataclasses import replace

import pytest

from tests.unit.pki import issue
from tests.unit.verification.effective.recorded import FIRST, changed, with_socket
from verification.effective.servers import Wanted, problems
from verification.effective.tls_settings import fingerprints

CREDENTIAL = "client-credential-broken.1"


def received(name: str) -> list[str]:
    return fingerprints(base64.b64decode(changed("egress").secrets[name]).decode())


WANTED = Wanted(FIRST, 443, CREDENTIAL, received(CREDENTIAL), received(f"{CREDENTIAL}-cacert"))
OTHER = fingerprints(issue("another").pem)


def test_the_declared_server_passes() -> None:
    assert WANTED.certificate
    assert list(problems(changed("egress"), WANTED)) == []


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        ('"match_subject_alt_names"', '"others"', "accepts a server of any name"),
        (f'[{{"exact": "{FIRST}"}}]', f'[{{"exact": "{FIRST}"}}, {{"exact": "a.test"}}]', "a server of a.test, one."),
        (f'"sni": "{FIRST}"', '"sni": "a.test"', "asks for the server name a.test"),
        (f'"kubernetes://{CREDENTIAL}-cacert"', '"kubernetes://other-cacert"', "trusts the CA of other-cacert"),
        ('"name": "kubernetes://client-credential-broken.1"}]', '"name": "default"}]', "has the Secrets default"),
        (
            '"validation_context_sds_secret_config": {"name": "kubernetes',
            '"others": {"name": "kubernetes',
            "and none, not",
        ),
        (f'"name": "outbound|443||{FIRST}"', '"name": "a"', "has no cluster outbound|443||"),
        (
            '"exact": "one.broken.target.test"}]}',
            '"exact": "one.broken.target.test"}], "allow_expired_certificate": true}',
            "allow",
        ),
        ('"TLSv1_2", "tls_max', '"TLSv1_0", "tls_max', "speaks TLSv1_0"),
    ],
)
def test_a_changed_setting_is_noticed(old: str, new: str, expected: str) -> None:
    assert any(expected in each for each in problems(changed("egress", old, new), WANTED))


def test_another_certificate_or_ca_is_noticed() -> None:
    assert any("shows certificate" in each for each in problems(changed("egress"), replace(WANTED, certificate=OTHER)))
    assert any("does not trust" in each for each in problems(changed("egress"), replace(WANTED, authorities=OTHER)))


def test_plain_text_is_noticed() -> None:
    dump = replace(
        changed("egress"),
        upstreams={
            f"outbound|443||{FIRST}": changed("egress").upstreams["outbound|443||curl.broken.svc.cluster.local"]
        },
    )
    assert list(problems(dump, WANTED)) == [f"connects to {FIRST} in clear"]


def test_a_socket_for_some_endpoints_is_judged_too() -> None:
    upstream = f"outbound|443||{FIRST}"
    assert list(problems(with_socket("egress", upstream), WANTED)) == []
    assert list(problems(with_socket("egress", upstream, plain=True), WANTED)) == [f"connects to {FIRST} in clear"]
    changed_name = with_socket("egress", upstream, f'"exact": "{FIRST}"', '"exact": "a.test"')
    assert list(problems(changed_name, WANTED)) == ["accepts a server of a.test"]
