"""What a deployed stack says of itself, and the two clusters it was deployed into."""

import base64
import json
import re
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Self

from kubernetes.client import CoreV1Api
from kubernetes.stream import stream
from pulumi import automation

import clusters
from settings import ConfigError, Settings
from verification.tls import ClientCredential, Endpoint

ISTIO_SYSTEM = "istio-system"


@dataclass(frozen=True)
class Executed:
    """How a command in a Pod ended."""

    code: int
    stdout: str
    stderr: str


@dataclass(frozen=True)
class DeployedStack:
    """A stack's name, settings and outputs, and connections to its clusters."""

    name: str
    settings: Settings
    outputs: dict[str, Any]
    target: clusters.Cluster
    client: clusters.Cluster

    @classmethod
    def load(cls, name: str | None) -> Self:
        """Read the stack in the current directory; the selected one by default. Raise ConfigError if that can't be."""
        try:
            workspace = automation.LocalWorkspace(work_dir=".")
            selected = name or getattr(workspace.stack(), "name", None)
            if not selected:
                raise ConfigError(
                    "no stack is selected; name one with --stack or select one with `pulumi stack select`"
                )
            config = {key: item.value for key, item in workspace.get_all_config(selected).items()}
            outputs = {key: item.value for key, item in workspace.stack_outputs(selected).items()}
        except automation.CommandError as error:
            raise ConfigError(_last_line(error)) from None
        except (FileNotFoundError, automation.InvalidVersionError) as error:
            raise ConfigError(f"no usable `pulumi` on PATH: {error}") from None
        if "client" not in outputs:
            raise ConfigError(f"stack {selected} has no outputs yet; deploy it with `pulumi up`")
        settings = Settings.from_config(config)
        return cls(selected, settings, outputs, clusters.connect(settings.target), clusters.connect(settings.client))

    @property
    def endpoint(self) -> Endpoint:
        """The target's mTLS gateway."""
        return Endpoint(self.outputs["domain"], self.outputs["target"]["address"], self.outputs["caCertificate"])

    def client_credential(self) -> ClientCredential:
        """The egress gateway's own credential, read from its Secret."""
        secret: Any = self._core().read_namespaced_secret(self.outputs["client"]["secret"], ISTIO_SYSTEM)
        return ClientCredential(*(base64.b64decode(secret.data[key]) for key in ("tls.crt", "tls.key")))

    def curl(self, *arguments: str) -> Executed:
        """Run curl in the client's Pod. Raise LookupError while no such Pod is ready."""
        namespace = self.outputs["client"]["namespace"]
        pods: Any = self._core().list_namespaced_pod(namespace, label_selector="app=curl")
        ready = [pod.metadata.name for pod in pods.items if _is_ready(pod)]
        if not ready:
            raise LookupError(f"no curl Pod is ready in namespace {namespace}")
        session = stream(
            self._core().connect_get_namespaced_pod_exec,
            ready[0],
            namespace,
            container="curl",
            command=["curl", *arguments],
            stdout=True,
            stderr=True,
            _preload_content=False,
        )
        session.run_forever(timeout=60)
        return Executed(session.returncode, session.read_stdout() or "", session.read_stderr() or "")

    def egress_gateway_log(self, since: datetime) -> str:
        """What the egress gateway's Pods wrote since then."""
        seconds = int((datetime.now(since.tzinfo) - since).total_seconds()) + 2
        pods: Any = self._core().list_namespaced_pod(ISTIO_SYSTEM, label_selector="istio=egressgateway")
        return "".join(
            self._core().read_namespaced_pod_log(pod.metadata.name, ISTIO_SYSTEM, since_seconds=seconds)
            for pod in pods.items
        )

    def _core(self) -> CoreV1Api:
        return CoreV1Api(self.client.api)


def _is_ready(pod: Any) -> bool:
    conditions = pod.status.conditions or []
    return not pod.metadata.deletion_timestamp and any(c.type == "Ready" and c.status == "True" for c in conditions)


def _last_line(error: Exception) -> str:
    lines = [line.strip() for line in str(error).splitlines() if line.strip().startswith(("stderr:", "error:"))]
    return lines[-1].removeprefix("stderr:").strip() if lines else str(error)


def client_subjects(body: bytes | str) -> list[str]:
    """The Subjects that httpbin's /headers answer shows in X-Forwarded-Client-Cert, nearest hop last."""
    values = json.loads(body)["headers"].get("X-Forwarded-Client-Cert", [])
    return [subject for value in values for subject in re.findall(r'Subject="([^"]*)"', value)]
