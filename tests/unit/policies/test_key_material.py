"""Private keys in ConfigMaps and outputs."""

from base64 import b64encode
from textwrap import wrap

import pytest

from policies.mtls_policies import key_material
from policies.mtls_policies.policy import UNKNOWN, Resource
from tests.unit.policies.judging import CERTIFICATE, KEY, in_base64, problems, resource, stack_problems

HIDDEN = {
    "plain": KEY,
    "encrypted": KEY.replace("PRIVATE", "ENCRYPTED PRIVATE"),
    "in JSON": KEY.replace("\n", "\\n"),
    "behind its certificate": CERTIFICATE + KEY,
    "in Base64": in_base64(KEY),
    "in Base64, shifted by one": in_base64(f"_{KEY}"),
    "in Base64, shifted by two": in_base64(f"__{KEY}"),
    "in lines of Base64": "\n".join(wrap(in_base64(KEY), 19)),
    "in a kubeconfig": f"users:\n- user:\n    client-key-data: {in_base64(KEY)}\n",
}


@pytest.mark.parametrize("text", HIDDEN.values(), ids=HIDDEN.keys())
@pytest.mark.parametrize("kind", ["ConfigMap", "ConfigMapPatch"])
def test_key_in_config_map_is_a_violation_that_shows_nothing_of_it(kind: str, text: str) -> None:
    judged = resource(f"kubernetes:core/v1:{kind}", data={"tls.crt": CERTIFICATE, "tls.key": text})
    assert problems(key_material.CONFIG_MAPS, judged) == ["data.tls.key: holds a private key; move it to a Secret"]


@pytest.mark.parametrize("text", HIDDEN.values(), ids=HIDDEN.keys())
@pytest.mark.parametrize("kind", ["ConfigMap", "ConfigMapPatch"])
def test_key_in_binary_data_is_a_violation_that_shows_nothing_of_it(kind: str, text: str) -> None:
    judged = resource(f"kubernetes:core/v1:{kind}", binaryData={"ca": in_base64(CERTIFICATE), "store": in_base64(text)})
    assert problems(key_material.CONFIG_MAPS, judged) == ["binaryData.store: holds a private key; move it to a Secret"]


def test_key_in_invalid_base64_is_a_violation() -> None:
    judged = resource("kubernetes:core/v1:ConfigMap", binaryData={"store": KEY})
    assert problems(key_material.CONFIG_MAPS, judged) == ["binaryData.store: holds a private key; move it to a Secret"]


@pytest.mark.parametrize(
    "judged",
    [
        resource("kubernetes:core/v1:ConfigMap", data={"ca.crt": CERTIFICATE, "in Base64": in_base64(CERTIFICATE)}),
        resource("kubernetes:core/v1:ConfigMap", data={"help": "A PRIVATE KEY belongs in a Secret.", "new": UNKNOWN}),
        resource("kubernetes:core/v1:ConfigMap", data=UNKNOWN, binaryData=UNKNOWN),
        resource("kubernetes:core/v1:ConfigMap", binaryData={"image": b64encode(bytes(range(256))).decode()}),
        resource("kubernetes:core/v1:ConfigMap", binaryData={"new": UNKNOWN, "broken": "A"}),
        resource("kubernetes:core/v1:ConfigMap"),
        resource("kubernetes:core/v1:Secret", data={"tls.key": in_base64(KEY)}),
    ],
)
def test_config_map_without_a_key_and_secret_pass(judged: Resource) -> None:
    assert not problems(key_material.CONFIG_MAPS, judged)


def test_key_in_output_is_a_violation_that_shows_nothing_of_it() -> None:
    stack = resource("pulumi:pulumi:Stack", "stack", clients={"a": {"keys": ["", KEY]}}, ca=CERTIFICATE)
    assert stack_problems(key_material.OUTPUTS, stack) == [
        ("urn::stack", "output clients.a.keys[1]: holds a private key; give the name of its Secret instead")
    ]


def test_outputs_without_a_key_pass() -> None:
    stack = resource("pulumi:pulumi:Stack", ca=CERTIFICATE, credential="client-credential", later=UNKNOWN, days=365.0)
    key = resource("tls:index/privateKey:PrivateKey", privateKeyPem=KEY)
    assert not stack_problems(key_material.OUTPUTS, stack, key)
