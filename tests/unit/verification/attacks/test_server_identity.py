"""The servers that Envoy accepts."""

import json

import pytest

from verification.attacks import server_identity
from verification.checks import Failed


def envoys(names: list[str] | None, own: str, authority: str, key: str = "match_subject_alt_names") -> str:
    matchers = [{"exact": name} for name in names or []]
    if key == "match_typed_subject_alt_names":
        matchers = [{"san_type": "DNS", "matcher": each} for each in matchers]  # type: ignore[dict-item]
    tls = {
        "tls_certificate_sds_secret_configs": [{"name": f"kubernetes://{own}"}],
        "combined_validation_context": {
            "default_validation_context": {key: matchers} if names is not None else {},
            "validation_context_sds_secret_config": {"name": f"kubernetes://{authority}"},
        },
    }
    cluster = {"name": "a", "transport_socket": {"typed_config": {"common_tls_context": tls}}}
    return json.dumps({"configs": [{"cluster": cluster}]})


@pytest.mark.parametrize(
    ("dump", "expected"),
    [
        (envoys(["a.test"], "s", "s-cacert"), "a.test only, by the CA of Secret s"),
        (envoys(["a.test"], "s", "s-cacert", "match_typed_subject_alt_names"), "a.test only"),
        (envoys(None, "s", "s-cacert"), "accepts a server of any name"),
        (envoys(["a.test", "b.test"], "s", "s-cacert"), "accepts a server of the names a.test, b.test"),
        (envoys(["a.test"], "s", "other-cacert"), "trusts the CA of other-cacert, and shows the certificate of s"),
        (envoys(["a.test"], "", ""), "trusts the CA of no Secret, and shows the certificate of no Secret"),
        (envoys(["a.test"], "other", "other-cacert"), "shows the certificate of Secret other, not s"),
        (json.dumps({"configs": [{"cluster": {"name": "a"}}]}), "Envoy's cluster a is without TLS"),
        ("{}", "Envoy has no cluster a"),
        ("not found", "Envoy printed no configuration: 'not found'"),
        ("[]", "Envoy printed no configuration: '[]'"),
    ],
)
def test_envoy_must_verify_name_and_ca_of_the_server(dump: str, expected: str) -> None:
    try:
        seen = server_identity.judge(dump, "a", "a.test", "s")
    except Failed as failure:
        seen = str(failure)
    assert seen.startswith(expected)
