"""What Envoy's matchers say of requests, and what is not known."""

from typing import Any

import pytest

from proxies.matchers import Peer, Request, every, header, negated, route, sample, some, template, text

REQUEST = Request(Peer.of("spiffe://a/b"), "a.test", "GET", "/orders/1")


@pytest.mark.parametrize(
    ("matcher", "value", "expected"),
    [
        ({"exact": "a"}, "a", True),
        ({"exact": "a"}, "A", False),
        ({"exact": "a", "ignore_case": True}, "A", True),
        ({"prefix": "a"}, "ab", True),
        ({"suffix": "a"}, "ab", False),
        ({"contains": "b"}, "abc", True),
        ({"safe_regex": {"regex": "a.+"}}, "ab", True),
        ({"safe_regex": {"regex": "a.+"}}, "a", False),
        ({"safe_regex": {"regex": "(?<"}}, "a", None),
        ({"custom": {}}, "a", None),
        ({"exact": "a"}, None, None),
    ],
)
def test_string_matchers_compare(matcher: dict[str, Any], value: str | None, expected: bool | None) -> None:
    assert text(matcher, value) is expected


def test_what_is_not_known_stays_so() -> None:
    assert (negated(None), every([True, None]), every([None, False])) == (None, None, False)
    assert (some([False, None]), some([None, True]), some([])) == (None, True, False)


@pytest.mark.parametrize(
    ("matcher", "expected"),
    [
        ({"name": ":method", "string_match": {"exact": "GET"}}, True),
        ({"name": ":method", "exact_match": "GET", "invert_match": True}, False),
        ({"name": ":authority", "present_match": True}, True),
        ({"name": "x-own", "string_match": {"exact": "1"}}, None),
        ({"name": "X-Forwarded-Client-Cert", "string_match": {"suffix": ";URI=spiffe://a/b"}}, True),
    ],
)
def test_headers_that_a_client_may_choose_are_not_known(matcher: dict[str, Any], expected: bool | None) -> None:
    assert header(matcher, REQUEST) is expected


@pytest.mark.parametrize(
    ("matcher", "expected"),
    [
        ({"present_match": True}, False),
        ({"present_match": True, "invert_match": True}, True),
        ({"present_match": False}, True),
        ({"string_match": {"suffix": ""}}, False),
        ({"string_match": {"exact": "a"}, "invert_match": True}, False),
        ({"string_match": {"exact": ""}, "treat_missing_header_as_empty": True}, None),
    ],
)
def test_a_header_that_is_missing_matches_only_where_it_must_be(matcher: dict[str, Any], expected: bool | None) -> None:
    assert header({"name": "x-forwarded-client-cert", **matcher}, Request(Peer())) is expected


@pytest.mark.parametrize(
    ("match", "expected"),
    [
        ({"prefix": "/"}, True),
        ({"prefix": "/ORDERS", "case_sensitive": False}, True),
        ({"path": "/orders"}, False),
        ({"path_separated_prefix": "/orders"}, True),
        ({"path_separated_prefix": "/order"}, False),
        ({"safe_regex": {"regex": "/orders/[0-9]"}}, True),
        ({"path_match_policy": {"typed_config": {"path_template": "/orders/{*}"}}}, True),
        ({"prefix": "/", "headers": [{"name": ":method", "string_match": {"exact": "POST"}}]}, False),
        ({"prefix": "/", "query_parameters": [{"name": "a"}]}, None),
        ({"connect_matcher": {}}, False),
    ],
)
def test_routes_match_by_path_and_headers(match: dict[str, Any], expected: bool | None) -> None:
    assert route(match, REQUEST) is expected


@pytest.mark.parametrize(
    ("pattern", "path", "expected"),
    [("/a/{**}", "/a/b/c", True), ("/a/{*}", "/a/b/c", False), ("/a/{id=*}", "/a/b", True), ("/a.b", "/axb", False)],
)
def test_templates_match_segments(pattern: str, path: str, expected: bool) -> None:
    assert template(pattern, path) is expected


@pytest.mark.parametrize(
    ("matcher", "expected"),
    [
        ({"exact": "a"}, "a"),
        ({"prefix": "a/"}, "a/x"),
        ({"suffix": "/a"}, "x/a"),
        ({"contains": "a"}, "xax"),
        ({"safe_regex": {"regex": "spiffe://.*/ns/a/sa/b\\.c"}}, "spiffe://x/ns/a/sa/b.c"),
        ({"safe_regex": {"regex": "[0-9]+"}}, ""),
    ],
)
def test_samples_match(matcher: dict[str, Any], expected: str) -> None:
    assert sample(matcher) == expected


def test_peers_have_the_header_that_gateways_write() -> None:
    assert Peer.of("dns:a.test").header.endswith(";DNS=a.test")
    assert [Peer.of(each).identity for each in ("dns:a.test", "spiffe://a/b")] == ["dns:a.test", "spiffe://a/b"]
    assert Peer().identity == ""
