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
from verification.probes import Probe, probe_of, refused_probe


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
def test_probe_is_harmless_and_allowed(host: dict[str, object], expected: Probe | None) -> None:
    settings = settings_of(target=TARGET, clients={"warehouse": WAREHOUSE}, hosts={"it": host})
    assert probe_of(settings.hosts["it"]) == expected


@pytest.mark.parametrize(
    ("methods", "expected"),
    [
        (["GET"], "POST"),
        (["GET", "POST"], "PUT"),
        (["POST", "PUT", "PATCH", "DELETE", "GET", "HEAD", "OPTIONS"], None),
    ],
)
def test_refused_probe_has_a_method_that_is_not_allowed(methods: list[str], expected: str | None) -> None:
    host = {**HTTPBIN, "methods": methods}
    settings = settings_of(target=TARGET, clients={"warehouse": WAREHOUSE}, hosts={"it": host})
    found = refused_probe(settings.hosts["it"])
    assert (found.method if found else None) == expected
