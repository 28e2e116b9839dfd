"""Every rule of the stack's config."""

import re
from pathlib import Path
from typing import Any

import pytest
import yaml
from pydantic import SecretStr

from settings import ConfigError, Platform, Settings
from settings.values import KeyAlgorithm

PROJECT_FILE = Path(__file__).parents[2] / "Pulumi.yaml"
REQUIRED = {"domain": "httpbin.example.com", "clientDomain": "client.example.com"}


def read(**values: str) -> Settings:
    return Settings.from_config({f"kyma-mtls:{key}": value for key, value in (REQUIRED | values).items()})


def test_names_of_server_and_client_are_enough() -> None:
    settings = read()
    assert settings.platform == Platform.KYMA, "Kyma is what the project is for"
    assert settings.key_algorithm == KeyAlgorithm.ECDSA_P256
    assert settings.network_policy, "secure unless said otherwise"


def test_texts_become_what_they_mean() -> None:
    settings = read(platform="istio", validityDays="90", networkPolicy="false")
    assert (settings.platform, settings.validity_days, settings.network_policy) == (Platform.ISTIO, 90, False)


def test_config_of_other_projects_is_none_of_ours() -> None:
    config = {"kubernetes:context": "x", "kyma-mtls:domain": "a.example.com", "kyma-mtls:clientDomain": "b.example.com"}
    assert Settings.from_config(config).domain == "a.example.com"


@pytest.mark.parametrize(
    ("key", "value", "message"),
    [
        ("domain", "no domain", "not a domain name"),
        ("domain", "localhost", "not a domain name"),
        ("domain", "*.example.com", "not a domain name"),
        ("domain", "Httpbin.example.com", "not a domain name"),
        ("domain", "a" * 60 + ".example.com", "longer than 64"),
        ("clientDomain", "-x.example.com", "not a domain name"),
        ("clientDomain", "httpbin.example.com", "the same as domain"),
        ("platform", "openshift", "'kyma' or 'istio'"),
        ("keyAlgorithm", "ECDSA-P224", "'ECDSA-P256'"),
        ("validityDays", "0", "greater than or equal to 1"),
        ("validityDays", "soon", "valid integer"),
        ("validityDays", "2000", "no certificate outlives its CA"),
        ("renewBeforeDays", "365", "not less than validityDays"),
        ("namespace", "istio-system", "belongs to the cluster"),
        ("namespace", "kube-public", "belongs to the cluster"),
        ("namespace", "Upper", "not a namespace's name"),
        ("networkPolicy", "perhaps", "valid boolean"),
        ("targetImage", "", "at least 1 character"),
        ("keyAlgoritm", "RSA-2048", "unknown key; did you mean keyAlgorithm?"),
        ("colour", "blue", "unknown key; known are"),
    ],
)
def test_a_wrong_value_is_one_error_that_names_its_key(key: str, value: str, message: str) -> None:
    with pytest.raises(ConfigError, match=re.escape(message)) as caught:
        read(**{key: value})
    assert str(caught.value).startswith(f"kyma-mtls:{key}: ")
    assert len(str(caught.value).splitlines()) == 1, "one mistake is one line"


def test_all_mistakes_are_told_at_once() -> None:
    with pytest.raises(ConfigError) as caught:
        Settings.from_config({"kyma-mtls:domain": "x", "kyma-mtls:platform": "y"})
    keys = [line.split(": ")[0] for line in str(caught.value).splitlines()]
    assert keys == ["kyma-mtls:platform", "kyma-mtls:domain", "kyma-mtls:clientDomain"]


def project_config() -> dict[str, dict[str, Any]]:
    keys = yaml.safe_load(PROJECT_FILE.read_text())["config"]
    return {key: value for key, value in keys.items() if ":" not in key}


def test_pulumi_yaml_describes_every_key_and_no_other() -> None:
    assert set(project_config()) == set(Settings.keys())
    assert all(key["description"] and key["type"] for key in project_config().values())


def test_pulumi_yaml_has_the_defaults_of_the_settings() -> None:
    fields = Settings.keys()
    for name, key in project_config().items():
        assert ("default" not in key) == fields[name].is_required(), f"{name} is required in one place only"
        if "default" in key:
            default = fields[name].default
            plain = default.get_secret_value() if isinstance(default, SecretStr) else default
            assert key["default"] == plain, f"{name} has two defaults"
