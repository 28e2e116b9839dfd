"""Paths that a server may decode to another path than the gateway compares."""

import re

import pytest

from components import path_encoding


def is_refused(path: str) -> bool:
    """Return whether the route matches a path, as Envoy does: the whole of it."""
    (match,) = path_encoding.refusing_route()["match"]
    return re.fullmatch(match["uri"]["regex"], path) is not None


@pytest.mark.parametrize(
    "path",
    [
        *("/orders/..%2fadmin", "/orders/..%2Fadmin", "/orders/..%5cadmin", "/orders/%252e%252e/admin"),
        *("/orders/..;/admin", "/orders/..;x=1/admin", "/orders/.;/admin", "/orders/%2E%2e;/admin", "/orders/..%3Ba"),
    ],
)
def test_path_with_an_encoded_separator_or_a_dot_segment_with_parameters_is_refused(path: str) -> None:
    assert is_refused(path)


@pytest.mark.parametrize(
    "path", ["/", "/orders/a%20b", "/orders/v1.2;x=1", "/orders/a..;b", "/orders/%e2%82%ac", "/a.b"]
)
def test_path_that_every_server_reads_alike_is_not_refused(path: str) -> None:
    assert not is_refused(path)


@pytest.mark.parametrize(
    ("paths", "expected"),
    [
        (["/*"], False),
        (["/health"], False),
        (["/orders/*"], True),
        (["/health", "/a/*"], True),
        (["/a/*", "/*"], False),
    ],
)
def test_prefixes_are_misreadable(paths: list[str], expected: bool) -> None:
    assert path_encoding.is_misreadable(paths) is expected
