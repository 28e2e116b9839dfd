"""Outputs that are read, and compared with the settings."""

from collections.abc import Callable
from typing import Any

import pytest

from settings import ConfigError
from tests.unit.deployed import (
    HTTPBIN,
    TARGET,
    WAREHOUSE,
    outputs_of,
    settings_of,
)
from verification.deployed_outputs import read_outputs


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda outputs: outputs.clear(), r"stack test has no outputs yet; deploy it with `pulumi up`"),
        (lambda outputs: outputs.pop("hosts"), r"stack test: output hosts: Field required; deploy it again"),
        (lambda outputs: outputs.update(hosts=7), r"stack test: output hosts: Input should be .*dictionary"),
        (lambda outputs: outputs["hosts"]["httpbin"].pop("domain"), r"output hosts.httpbin.domain: Field required"),
        (lambda outputs: outputs["hosts"].clear(), r"kyma-mtls:hosts.httpbin: not deployed yet; run `pulumi up`"),
        (lambda outputs: outputs["clients"].clear(), r"kyma-mtls:clients.warehouse: not deployed yet"),
        (
            lambda outputs: outputs["hosts"].update(
                old={"domain": "old.example.com", "external": False, "clients": {}}
            ),
            r"kyma-mtls:hosts.old: deployed, but no longer in the config",
        ),
        (
            lambda outputs: outputs["hosts"]["httpbin"]["clients"].clear(),
            r"kyma-mtls:hosts.httpbin.clients: not deployed yet; run `pulumi up`",
        ),
        (
            lambda outputs: outputs["hosts"]["httpbin"]["clients"].update(billing="spiffe://b"),
            r"kyma-mtls:hosts.httpbin.clients: not deployed yet; run `pulumi up`",
        ),
        (lambda outputs: outputs.pop("target"), r"kyma-mtls:target: not deployed yet"),
        (
            lambda outputs: outputs["clients"]["warehouse"].pop("secret"),
            r"kyma-mtls:clients.warehouse: deployed without a cluster",
        ),
    ],
)
def test_outputs_that_differ_from_the_config_are_refused(
    change: Callable[[dict[str, Any]], object], message: str
) -> None:
    settings = settings_of(target=TARGET, clients={"warehouse": WAREHOUSE}, hosts={"httpbin": HTTPBIN})
    outputs = outputs_of(settings)
    change(outputs)
    with pytest.raises(ConfigError, match=message):
        read_outputs("test", outputs, settings)
