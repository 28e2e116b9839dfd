"""DestinationRules that originate mutual TLS."""

from collections.abc import Mapping
from typing import Any

import pytest

from policies.mtls_policies import origination
from policies.mtls_policies.policy import UNKNOWN, Resource
from tests.unit.policies.judging import ISTIO, problems, resource

MUTUAL = {"mode": "MUTUAL", "credentialName": "client", "subjectAltNames": ["api.example.com"]}
SELECTOR = {"matchLabels": {"istio": "egressgateway"}}


def rule(**spec: Any) -> Resource:
    return resource(f"{ISTIO}:DestinationRule", spec={"host": "api.example.com", **spec})


@pytest.mark.parametrize(
    "spec",
    [
        {"trafficPolicy": {"tls": MUTUAL}, "workloadSelector": SELECTOR},
        {"trafficPolicy": {"portLevelSettings": [{"tls": MUTUAL}]}, "workloadSelector": SELECTOR},
        {"trafficPolicy": {"tls": {"mode": "ISTIO_MUTUAL"}}},
        {"trafficPolicy": {"tls": {"mode": "SIMPLE"}}},
        {"trafficPolicy": {"tls": {**MUTUAL, "subjectAltNames": UNKNOWN}}, "workloadSelector": UNKNOWN},
        {"trafficPolicy": UNKNOWN, "subsets": UNKNOWN},
        {},
    ],
)
def test_origination_that_names_server_and_workload_passes(spec: Mapping[str, Any]) -> None:
    assert not problems(origination.POLICY, rule(**spec))


@pytest.mark.parametrize("version", ["v1", "v1beta1", "v1alpha3"])
@pytest.mark.parametrize(
    ("spec", "place"),
    [
        (lambda tls: {"trafficPolicy": {"tls": tls}}, "trafficPolicy"),
        (lambda tls: {"trafficPolicy": {"portLevelSettings": [{"tls": tls}]}}, "trafficPolicy.portLevelSettings[0]"),
        (lambda tls: {"subsets": [{}, {"trafficPolicy": {"tls": tls}}]}, "subsets[1].trafficPolicy"),
    ],
)
def test_origination_without_subject_alt_names_is_a_violation(version: str, spec: Any, place: str) -> None:
    settings = spec({"mode": "MUTUAL", "subjectAltNames": []}) | {"workloadSelector": SELECTOR}
    judged = resource(f"kubernetes:networking.istio.io/{version}:DestinationRule", spec=settings)
    (problem,) = problems(origination.POLICY, judged)
    assert problem.startswith(f"spec.{place}.tls.subjectAltNames: not set")


@pytest.mark.parametrize("selector", [{}, {"workloadSelector": {}}, {"workloadSelector": {"matchLabels": {}}}])
def test_origination_without_workload_selector_is_a_violation(selector: Mapping[str, Any]) -> None:
    (problem,) = problems(origination.POLICY, rule(trafficPolicy={"tls": MUTUAL}, **selector))
    assert problem.startswith("spec.workloadSelector.matchLabels: not set")


def test_origination_that_skips_verification_is_a_violation() -> None:
    judged = rule(trafficPolicy={"tls": {**MUTUAL, "insecureSkipVerify": True}}, workloadSelector=SELECTOR)
    (problem,) = problems(origination.POLICY, judged)
    assert problem.startswith("spec.trafficPolicy.tls.insecureSkipVerify: true")


def rule_patch(**spec: Any) -> Resource:
    return resource(f"{ISTIO}:DestinationRulePatch", spec=spec)


@pytest.mark.parametrize(
    "spec",
    [
        {"trafficPolicy": {"tls": {"mode": "MUTUAL", "credentialName": "renamed"}}},
        {"trafficPolicy": {"tls": {"subjectAltNames": ["api.example.com"]}}, "workloadSelector": {}},
        {"trafficPolicy": {"tls": {"mode": "SIMPLE", "subjectAltNames": []}}},
        {"trafficPolicy": {"tls": {"insecureSkipVerify": False}}},
        {"workloadSelector": SELECTOR},
        {"workloadSelector": UNKNOWN},
        {},
    ],
)
def test_patch_need_not_repeat_what_the_rule_may_say(spec: Mapping[str, Any]) -> None:
    assert not problems(origination.POLICY, rule_patch(**spec))


@pytest.mark.parametrize(
    ("spec", "place"),
    [
        ({"trafficPolicy": {"tls": {"mode": "MUTUAL", "insecureSkipVerify": True}}}, "trafficPolicy.tls.insecureSkip"),
        ({"trafficPolicy": {"tls": {"insecureSkipVerify": True}}}, "trafficPolicy.tls.insecureSkipVerify"),
        ({"trafficPolicy": {"tls": {"subjectAltNames": []}}}, "trafficPolicy.tls.subjectAltNames"),
    ],
)
def test_patch_that_weakens_origination_is_a_violation(spec: Mapping[str, Any], place: str) -> None:
    (problem,) = problems(origination.POLICY, rule_patch(**spec))
    assert problem.startswith(f"spec.{place}")
