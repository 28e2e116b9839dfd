"""Components under Pulumi's mocks, with the resources that they register, by type and name."""

import asyncio
import base64
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

import pulumi
import pytest
from pulumi.runtime import mocks, rpc
from pulumi.runtime import settings as runtime

from components import secret_contents
from components.certificates import Credential

Outputs = Mapping[str, Mapping[str, Any]]


@dataclass
class Recorder(mocks.Mocks):
    """Answers for the engine and keeps every resource that was registered, and the value that the program gave.

    outputs: of resources, by kind, beyond their inputs; an empty id for one that is not known yet
    """

    outputs: Outputs = field(default_factory=dict)
    resources: list[mocks.MockResourceArgs] = field(default_factory=list)
    requests: dict[str, Any] = field(default_factory=dict)
    hooks: dict[str, pulumi.ResourceHook] = field(default_factory=dict)
    result: Any = None

    def new_resource(self, args: mocks.MockResourceArgs) -> tuple[str | None, dict[Any, Any]]:
        self.resources.append(args)
        state = dict(args.inputs)
        if args.inputs.get("spec", {}).get("type") == "LoadBalancer":
            state["status"] = {"loadBalancer": {"ingress": [{"ip": "192.0.2.8"}]}}
        for output in ("privateKeyPem", "certPem", "certRequestPem", "hex", "validityEndTime"):
            state.setdefault(output, f"{args.name}-{output}")
        state |= self.outputs.get(_kind(args), {})
        metadata = args.inputs.get("metadata", {})
        place = f"{metadata['namespace']}/" if metadata.get("namespace") else ""
        return state.pop("id", args.resource_id or place + metadata.get("name", args.name)), state

    def call(self, args: mocks.MockCallArgs) -> tuple[dict[Any, Any], list[tuple[str, str]] | None]:
        raise AssertionError(f"no component calls a function, but {args.token} was called")

    def register_resource_hook(self, hook: pulumi.ResourceHook) -> None:
        """Keep a hook, as the engine does, which refuses a second one of its name."""
        assert hook.name not in self.hooks, f"resource hook already registered for name {hook.name}"
        self.hooks[hook.name] = hook

    def register_error_hook(self, hook: pulumi.ErrorHook) -> None:
        """Know of a hook, as the engine does."""

    def one(self, kind: str, name: str) -> dict[str, Any]:
        """Return the inputs of the only resource whose type ends in `kind` and whose name is `name`."""
        found = [r.inputs for r in self.resources if _kind(r) == kind and r.name == name]
        assert len(found) == 1, f"one {kind} {name} was expected, among {self.names()}"
        return dict(found[0])

    def pem(self, kind: str, name: str) -> dict[str, str]:
        """Return the decoded data of a Secret or ConfigMap, which must be secret in the state."""
        data = self.one(kind, name)["data"]
        assert rpc.is_rpc_secret(data), "previews and state would show the key"
        return {key: base64.b64decode(value).decode() for key, value in rpc.unwrap_rpc_secret(data).items()}

    def credential(self, name: str) -> tuple[dict[str, Any], dict[str, str]]:
        """Return the metadata and the decoded data of a Secret, whose annotation must describe the data."""
        metadata, pem = dict(self.one("Secret", name)["metadata"]), self.pem("Secret", name)
        assert metadata.pop("annotations") == {secret_contents.CONTENTS_ANNOTATION: secret_contents.described(pem)}
        return metadata, pem

    def request(self, kind: str, name: str) -> Any:
        """Return the request for a resource, with its options, as the engine gets it."""
        self.one(kind, name)
        return self.requests[f"{kind} {name}"]

    def policy(self, name: str) -> dict[str, Any]:
        """Return the inputs of the only AuthorizationPolicy whose name is `name` and the hash of a domain."""
        return self.marked_one("AuthorizationPolicy", name)

    def marked_one(self, kind: str, name: str) -> dict[str, Any]:
        """Return the inputs of the only resource of a kind whose name is `name` and a hash."""
        return self.one(kind, self.marked(name))

    def marked(self, name: str) -> str:
        """Return the name of the only resource whose name is `name` and a hash."""
        found = [r.name for r in self.resources if re.fullmatch(rf"{re.escape(name)}[-.][0-9a-f]{{8}}", r.name)]
        assert len(found) == 1, f"one {name}-MARK was expected, among {self.names()}"
        return found[0]

    def comes_after(self, later: str, earlier: str) -> bool:
        """Return whether a resource, `Kind name`, depends on an earlier one."""
        return any(
            urn.endswith(f"::{earlier.split()[1]}") and f"{earlier.split(maxsplit=1)[0]}::" in urn
            for urn in self.requests[later].dependencies
        )

    def kinds(self) -> set[str]:
        """Kinds of all resources, without package and version."""
        return {_kind(resource) for resource in self.resources}

    def names(self) -> list[str]:
        """Every resource as `Kind name`."""
        return [f"{_kind(resource)} {resource.name}" for resource in self.resources]

    def objects(self) -> list[dict[str, Any]]:
        """Return the inputs of all that the program creates in a cluster, except Patches and reads."""
        return [
            r.inputs
            for r in self.resources
            if r.typ.startswith("kubernetes:") and not r.resource_id and not r.typ.endswith("Patch")
        ]


class _Monitor(mocks.MockMonitor):
    def __init__(self, recorder: Recorder) -> None:
        super().__init__(recorder)
        self._recorder = recorder

    def RegisterResource(self, request: Any) -> Any:  # noqa: N802 - the engine's name
        response = super().RegisterResource(request)  # type: ignore[no-untyped-call]
        assert response.urn not in self._recorder.requests, f"the engine refuses a second {response.urn}"
        self._recorder.requests[response.urn] = request
        self._recorder.requests[f"{request.type.rpartition(':')[2]} {request.name}"] = request
        return response


def _kind(resource: mocks.MockResourceArgs) -> str:
    return resource.typ.rpartition(":")[2]


class Deploy(Protocol):
    """Runs a program to its end under fresh mocks; `outputs` of resources are by kind."""

    def __call__(self, program: Callable[[], object], *, outputs: Outputs | None = None) -> Recorder: ...


@pytest.fixture(autouse=True)
def _no_pause(monkeypatch: pytest.MonkeyPatch) -> None:
    """Ask clusters again at once."""
    monkeypatch.setattr("clusters.cluster._PAUSE_SECONDS", 0)


@pytest.fixture
def deploy() -> Deploy:
    """Run programs."""

    def run(program: Callable[[], object], *, outputs: Outputs | None = None) -> Recorder:
        recorder = Recorder(outputs or {})
        asyncio.set_event_loop(asyncio.new_event_loop())  # asyncio.run of an earlier test leaves none
        mocks.set_mocks(recorder, project="kyma-mtls", stack="test", preview=False, monitor=_Monitor(recorder))
        runtime.SETTINGS.callbacks = recorder

        def keep(value: Any) -> None:
            recorder.result = value

        @pulumi.runtime.test  # type: ignore[untyped-decorator]
        def whole() -> pulumi.Output[None]:
            return pulumi.Output.from_input(program()).apply(keep)

        whole()
        recorder.resources.sort(key=lambda made: (made.typ, made.name))  # they are registered in no order
        return recorder

    return run


@pytest.fixture
def credential() -> Callable[[], Credential]:
    """Return a function that makes a credential, each of whose texts is different."""

    def make() -> Credential:
        return Credential(
            certificate=pulumi.Output.from_input("CERTIFICATE"),
            key=pulumi.Output.secret("KEY"),
            expiry=pulumi.Output.from_input("2030-01-01T00:00:00Z"),
            subject="CN=client.example.com,O=kyma-mtls",
            generations="2.1",
            trusted=pulumi.Output.from_input("CA\n"),
        )

    return make
