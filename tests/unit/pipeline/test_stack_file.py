"""Files of stacks, read without their secrets."""

import pytest

from pipeline.stack_file import StackFile, local_kubeconfigs
from settings import ConfigError
from tests.unit.pipeline.stack_files import BASE, SECURE, file_of, hosts, text_of


def test_encrypted_structure_is_refused_with_the_remedy() -> None:
    with pytest.raises(ConfigError, match=r"kyma-mtls:hosts: encrypted as a whole.* --path --secret"):
        file_of(hosts=SECURE)


@pytest.mark.parametrize("text", ["- a\n", "config: [", "config: text", "42"])
def test_file_that_is_no_stack_file_is_refused(text: str) -> None:
    with pytest.raises(ConfigError, match="not the YAML file of a stack"):
        StackFile.parse(text)


def test_invalid_config_is_refused_by_the_programs_rules() -> None:
    with pytest.raises(ConfigError, match=r"kyma-mtls:hosts\.orders\.clients\[0\]: 'shop': no such client"):
        file_of(**hosts(clients=["shop"]))


@pytest.mark.parametrize("value", ["2026-11-01", "010", "off"])
def test_ambiguous_value_is_one_line_that_says_put_it_in_quotes(value: str) -> None:
    text = f"{text_of(**BASE)}  kyma-mtls:generation: {value}\n"
    with pytest.raises(ConfigError, match=rf"^kyma-mtls:generation: {value}: [^\n]*put it in quotes[^\n]*$"):
        StackFile.parse(text)


@pytest.mark.parametrize(
    "value",
    ["!!timestamp 2026-11-01", "!!binary aGVsbG8=", "!!set {x}", "!other x", "&a [*a]", "&a {b: *a}", "[" * 3000],
    ids=lambda value: value[:20],
)
def test_value_that_is_no_json_is_refused(value: str) -> None:
    with pytest.raises(ConfigError, match=r"^not the YAML file of a stack$"):
        StackFile.parse(f"{text_of(**BASE)}  kyma-mtls:generation: {value}\n")


@pytest.mark.parametrize("value", ["2026-11-01", "010", "off"])
@pytest.mark.parametrize("key", ["generation: {}", "hosts: {{orders: {{domain: {}}}}}", "trustedGenerations: [{}]"])
def test_ambiguous_value_hides_no_kubeconfig(key: str, value: str) -> None:
    text = f"config:\n  kyma-mtls:target: {{kubeconfig: t.yaml}}\n  kyma-mtls:{key.format(value)}\n"
    assert local_kubeconfigs(text) == ["t.yaml"]
