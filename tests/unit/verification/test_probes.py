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
from verification.probes import Probe, misreadable_path, probe_of, refused_probe, refuses_a_method


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


@pytest.mark.parametrize(
    ("methods", "expected", "refuses"),
    [
        (["GET"], "HEAD", True),
        (["OPTIONS", "GET", "HEAD"], None, True),
        (["GET", "HEAD", "OPTIONS", "POST", "PUT", "PATCH", "DELETE"], None, False),
    ],
)
def test_refused_probe_of_an_own_service_has_a_safe_method(
    methods: list[str], expected: str | None, refuses: bool
) -> None:
    settings = settings_of(
        target=TARGET, clients={"warehouse": WAREHOUSE}, hosts={"it": {**ORDERS, "methods": methods}}
    )
    found = refused_probe(settings.hosts["it"])
    assert (found.method if found else None) == expected
    assert refuses_a_method(settings.hosts["it"]) == refuses


@pytest.mark.parametrize(
    ("paths", "expected"),
    [
        (["/health", "/v1/*"], "/v1/..%2fkyma-mtls-verification"),
        (["/health"], None),
        (["/v1/*", "/*"], None),
    ],
)
def test_path_that_a_server_may_decode_is_below_an_allowed_prefix(paths: list[str], expected: str | None) -> None:
    settings = settings_of(target=TARGET, clients={"warehouse": WAREHOUSE}, hosts={"it": {**ORDERS, "paths": paths}})
    assert misreadable_path(settings.hosts["it"]) == expected
