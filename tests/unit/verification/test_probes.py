"""The requests that try a host."""

import pytest

from tests.unit.deployed import (
    HTTPBIN,
    ORDERS,
    PARTNER,
    TARGET,
    WAREHOUSE,
    settings_of,
)
from verification.probes import Probe, probe, refused_probe


@pytest.mark.parametrize(
    ("host", "expected"),
    [
        (HTTPBIN, Probe("GET", "/headers", shows_client=True)),
        ({**HTTPBIN, "paths": ["/get", "/headers"]}, Probe("GET", "/headers", shows_client=True)),
        ({**HTTPBIN, "paths": ["/anything/*"]}, Probe("GET", "/anything/")),
        ({**HTTPBIN, "methods": ["HEAD"]}, Probe("HEAD", "/")),
        (ORDERS, Probe("GET", "/")),
        ({**ORDERS, "paths": ["/health", "/*"], "methods": ["OPTIONS", "GET"]}, Probe("GET", "/health")),
        ({**ORDERS, "methods": ["POST", "DELETE"]}, None),
        (PARTNER, Probe("GET", "/")),
    ],
)
def test_host_is_tried_by_a_harmless_request_that_it_allows(host: dict[str, object], expected: Probe | None) -> None:
    settings = settings_of(target=TARGET, clients={"warehouse": WAREHOUSE}, hosts={"it": host})
    assert probe(settings.hosts["it"]) == expected


@pytest.mark.parametrize(
    ("methods", "expected"),
    [
        (["GET"], "POST"),
        (["GET", "POST"], "PUT"),
        (["POST", "PUT", "PATCH", "DELETE", "GET", "HEAD", "OPTIONS"], None),
    ],
)
def test_method_that_is_not_allowed_is_found(methods: list[str], expected: str | None) -> None:
    host = {**HTTPBIN, "methods": methods}
    settings = settings_of(target=TARGET, clients={"warehouse": WAREHOUSE}, hosts={"it": host})
    found = refused_probe(settings.hosts["it"])
    assert (found.method if found else None) == expected
