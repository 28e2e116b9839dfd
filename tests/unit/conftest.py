"""Components under Pulumi's mocks: what they register, by type and name."""

from base64 import b64encode
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import pulumi
import pytest
from pulumi.runtime import mocks

from components.certificates import Credential


@dataclass
class Recorder(mocks.Mocks):
    """Answers for the engine and keeps every resource that was registered."""

    resources: list[mocks.MockResourceArgs] = field(default_factory=list)

    def new_resource(self, args: mocks.MockResourceArgs) -> tuple[str | None, dict[Any, Any]]:
        self.resources.append(args)
        state = dict(args.inputs)
        if args.typ == "kubernetes:core/v1:Service" and args.resource_id:
            state |= {
                "spec": {"clusterIP": "10.0.0.10"},
                "status": {"loadBalancer": {"ingress": [{"ip": "192.0.2.7"}]}},
            }
        if args.inputs.get("spec", {}).get("type") == "LoadBalancer":
            state["status"] = {"loadBalancer": {"ingress": [{"ip": "192.0.2.8"}]}}
        if args.typ == "kubernetes:core/v1:Secret" and args.resource_id:
            state["data"] = {key: b64encode(f"ISSUED {key}".encode()).decode() for key in ("tls.crt", "ca.crt")}
        for output in ("privateKeyPem", "certPem", "certRequestPem", "hex", "validityEndTime"):
            state.setdefault(output, f"{args.name}-{output}")
        metadata = args.inputs.get("metadata", {})
        return args.resource_id or f"{metadata.get('namespace')}/{metadata.get('name', args.name)}", state

    def call(self, args: mocks.MockCallArgs) -> tuple[dict[Any, Any], list[tuple[str, str]] | None]:
        raise AssertionError(f"no component calls a function, but {args.token} was called")

    def one(self, kind: str, name: str) -> dict[str, Any]:
        """Inputs of the only resource whose type ends in `kind` and whose name is `name`."""
        found = [r.inputs for r in self.resources if r.typ.endswith(f":{kind}") and r.name == name]
        assert len(found) == 1, f"one {kind} {name} was expected, among {self.names()}"
        return dict(found[0])

    def kinds(self) -> set[str]:
        """Kinds of all resources, without package and version."""
        return {resource.typ.rpartition(":")[2] for resource in self.resources}

    def names(self) -> list[str]:
        """Every resource as `Kind name`."""
        return [f"{resource.typ.rpartition(':')[2]} {resource.name}" for resource in self.resources]


Deploy = Callable[[Callable[[], object]], Recorder]


@pytest.fixture
def deploy() -> Deploy:
    """Run a program to its end under fresh mocks."""

    def run(program: Callable[[], object]) -> Recorder:
        recorder = Recorder()
        mocks.set_mocks(recorder, project="kyma-mtls", stack="test", preview=False)

        @pulumi.runtime.test  # type: ignore[untyped-decorator]
        def whole() -> None:
            program()

        whole()
        return recorder

    return run


@pytest.fixture
def credential() -> Callable[[], Credential]:
    """Makes a credential whose texts can be told apart."""

    def make() -> Credential:
        return Credential(
            certificate=pulumi.Output.from_input("CERTIFICATE"),
            key=pulumi.Output.secret("KEY"),
            expiry=pulumi.Output.from_input("2030-01-01T00:00:00Z"),
            subject="CN=client.example.com,O=client organization",
        )

    return make
