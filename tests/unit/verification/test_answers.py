"""HTTP answers: by Envoy or by a service, and the client certificate that they show."""

import json

import pytest

from tests.unit.deployed import (
    IDENTITY,
    SUBJECT,
)
from tests.unit.verification.answered import CLIENT_HOP, MESH_HOP, OK, UPSTREAM, shown
from verification.answers import RBAC, Answer, client_hops
from verification.checks import Failed


def test_every_hop_with_a_subject_is_read() -> None:
    earlier = 'Hash=0;Subject="CN=a,O=\\"b;c\\"";URI=;URI=spiffe://x;URI=spiffe://y'
    assert [(hop["Subject"], hop["URI"]) for hop in client_hops(shown(earlier, CLIENT_HOP, MESH_HOP))] == [
        (['CN=a,O=\\"b;c\\"'], ["", "spiffe://x", "spiffe://y"]),
        ([SUBJECT], [IDENTITY]),
    ]
    assert client_hops(json.dumps({"headers": {}})) == []


@pytest.mark.parametrize(
    "body", ["<html>", "", "[]", "{}", "null", '{"headers": []}', '{"headers": {"X-Forwarded-Client-Cert": 7}}']
)
def test_answer_that_is_not_httpbins_fails_the_check(body: str) -> None:
    with pytest.raises(Failed, match="not what httpbin answers"):
        Answer(200, {}, body).check_shows(SUBJECT, IDENTITY)


@pytest.mark.parametrize(
    ("answer", "message"),
    [
        (Answer(503, {}, "no healthy upstream"), "got 503 no healthy upstream"),
        (Answer(200, {}, json.dumps({"headers": {}})), "names no client"),
        (Answer(200, {}, shown(MESH_HOP)), "names no client"),
        (Answer(200, {}, shown(CLIENT_HOP.replace("warehouse,", "billing,"))), "not Subject CN=warehouse"),
        (Answer(200, {}, shown(CLIENT_HOP.replace(IDENTITY, ""))), "URI none, not Subject"),
        (
            Answer(200, {}, shown(f'Subject="{SUBJECT}";URI=spiffe://x', f'Subject="";URI={IDENTITY}')),
            "URI spiffe://x, not",
        ),
        (Answer(200, {}, shown(CLIENT_HOP, 'Subject="CN=proxy";URI=spiffe://proxy', MESH_HOP)), "Subject CN=proxy"),
    ],
)
def test_subject_and_identity_must_be_those_of_the_nearest_client_hop(answer: Answer, message: str) -> None:
    with pytest.raises(Failed, match=message):
        answer.check_shows(SUBJECT, IDENTITY)


def test_subject_and_identity_are_returned() -> None:
    assert OK.check_shows(SUBJECT, IDENTITY) == f"200, Subject {SUBJECT}, URI {IDENTITY}"


@pytest.mark.parametrize(
    ("answer", "refusal"),
    [
        (Answer(200, UPSTREAM, "hello"), ""),
        (Answer(401, UPSTREAM, ""), ""),
        (Answer(403, UPSTREAM, "not yours"), ""),
        (Answer(404, UPSTREAM, ""), ""),
        (Answer(404, {}, "no such page"), ""),
        (Answer(503, UPSTREAM, "closed on Sundays"), ""),
        (Answer(403, UPSTREAM, RBAC), f"got 403: {RBAC}"),
        (Answer(403, {"content-length": "19"}, ""), f"got 403: {RBAC}"),
        (Answer(404, {}, ""), "got 404 of Envoy itself, which has no route"),
        (Answer(503, UPSTREAM, ""), r"got 503 \(of a service, 0 characters\), of Envoy itself"),
        (Answer(503, {}, "anything"), r"got 503 \(without a sign of a service, 8 characters\), of Envoy"),
        (Answer(503, UPSTREAM, "upstream connect error or disconnect"), "got 503 upstream connect error"),
        (Answer(504, UPSTREAM, "upstream request timeout"), "got 504 upstream request timeout"),
    ],
)
def test_answer_of_envoy_is_distinguished_from_answer_of_service(answer: Answer, refusal: str) -> None:
    if refusal:
        with pytest.raises(Failed, match=refusal):
            answer.check_is_services()
    else:
        assert answer.check_is_services() == f"{answer.status} of the service"


def test_output_of_curl_is_read() -> None:
    answer = Answer.printed(
        "HTTP/1.1 404 Not Found\r\nX-Envoy-Upstream-Service-Time: 1\r\nA: b:c\r\n\r\none\r\n\r\ntwo"
    )
    assert answer == Answer(404, {**UPSTREAM, "a": "b:c"}, "one\n\ntwo")
    assert Answer.printed("HTTP/2 200\r\n\r\n") == Answer(200, {}, "")
    for odd in ("", "curl: (7)", "HTTP/1.1 OK\n\n"):
        with pytest.raises(Failed, match="curl printed no HTTP answer"):
            Answer.printed(odd)


@pytest.mark.parametrize(
    ("answer", "shown"),
    [
        (
            Answer(
                200, {**UPSTREAM, "content-type": "text/plain", "server": "envoy", "set-cookie": "s=secret"}, "secret"
            ),
            "200 (of a service, server envoy, content-type text/plain, 6 characters)",
        ),
        (
            Answer(500, {"content-type": "x" * 100}, ""),
            f"500 (without a sign of a service, content-type {'x' * 40}, 0 characters)",
        ),
        (Answer(403, {}, RBAC), f"403 {RBAC}"),
        (Answer(503, {}, "upstream connect error; secret"), "503 upstream connect error"),
    ],
)
def test_summary_has_no_text_of_a_service(answer: Answer, shown: str) -> None:
    assert answer.summary == shown
    assert "secret" not in answer.summary


@pytest.mark.parametrize("odd", ["a service's secret", '{"headers": {"secret": "x"}'])
def test_failure_has_no_text_of_a_service(odd: str) -> None:
    with pytest.raises(Failed) as seen:
        Answer(200, {}, odd).check_shows(SUBJECT, IDENTITY)
    with pytest.raises(Failed) as printed:
        Answer.printed(odd)
    assert "secret" not in f"{seen.value}{printed.value}"
