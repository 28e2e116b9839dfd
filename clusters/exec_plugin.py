"""Credentials from the exec plugin of a kubeconfig, by ExecCredential v1 and v1beta1, as kubectl gets them.

See https://kubernetes.io/docs/reference/access-authn-authz/authentication/#client-go-credential-plugins. The Kubernetes
client for Python (kubernetes/config/exec_provider.py) does this, too, but goes on without a credential if the plugin
fails, and waits for it without a limit.
"""

import base64
import json
import os
import signal
import subprocess
import threading
from collections.abc import Mapping
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from typing import Any

from settings import PROJECT, ClusterAccess, ConfigError

TIMEOUT_SECONDS = 180  # enough to log in by a browser

_VERSIONS = ("client.authentication.k8s.io/v1", "client.authentication.k8s.io/v1beta1")
_EXTENSION = "client.authentication.k8s.io/exec"
_CLUSTER_INFO = (
    "server",
    "tls-server-name",
    "insecure-skip-tls-verify",
    "certificate-authority-data",
    "proxy-url",
    "disable-compression",
)
_OTHER_WAYS = ("token", "tokenFile", "auth-provider")
_SKEW = timedelta(seconds=10)


class ExecPlugin:
    """The plugin that gives the only user of a kubeconfig its credential; raises ConfigError if the plugin fails."""

    def __init__(self, access: ClusterAccess, plugin: Mapping[str, Any], cluster: Mapping[str, Any]) -> None:
        self._access, self._plugin, self._cluster = access, plugin, cluster
        self._lock = threading.Lock()
        self._status: dict[str, Any] = {}

    def user(self) -> dict[str, str]:
        """Return the user, as a kubeconfig has it, with the credential."""
        status = self._current()
        if token := status.get("token"):
            return {"token": str(token)}
        pems = {"client-certificate-data": "clientCertificateData", "client-key-data": "clientKeyData"}
        return {name: base64.b64encode(str(status[key]).encode()).decode() for name, key in pems.items()}

    def token(self) -> str:
        """Return a valid token, a new one if the last one has expired; empty if the plugin gives certificates."""
        return str(self._current().get("token") or "")

    def _current(self) -> dict[str, Any]:
        with self._lock:
            if not self._status or _has_ended(self._status):
                self._status = self._parsed(self._run())
            return self._status

    def _run(self) -> str:
        version, mode = self._plugin.get("apiVersion"), self._plugin.get("interactiveMode")
        if version not in _VERSIONS:
            raise self._problem(f"has apiVersion {version}; supported are {' and '.join(_VERSIONS)}")
        if mode == "Always":
            raise self._problem("needs a terminal (interactiveMode: Always), which the stack does not have")
        variables = {each["name"]: each["value"] for each in self._plugin.get("env") or ()}
        try:
            process = subprocess.Popen(  # noqa: S603 - the user's own kubeconfig names it
                [self._plugin["command"], *(self._plugin.get("args") or ())],
                env={**os.environ, **variables, "KUBERNETES_EXEC_INFO": json.dumps(self._info(str(version)))},
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                text=True,
                errors="replace",
                start_new_session=True,
            )
        except OSError as error:
            raise self._problem(f"cannot be run: {error.strerror}") from None
        return self._output(process)

    def _output(self, process: subprocess.Popen[str]) -> str:
        with process:
            try:
                output, errors = process.communicate(timeout=TIMEOUT_SECONDS)
            except subprocess.TimeoutExpired:
                remedy = "if it asks you to log in, run `kubectl version` with this kubeconfig first"
                raise self._problem(f"did not end within {TIMEOUT_SECONDS} s; {remedy}") from None
            finally:
                if process.returncode is None:
                    with suppress(ProcessLookupError):
                        os.killpg(process.pid, signal.SIGKILL)
        if process.returncode:
            said = [line.strip() for line in errors.splitlines() if line.strip()]
            raise self._problem(f"failed: {said[-1] if said else f'exit code {process.returncode}, without a message'}")
        return output

    def _parsed(self, output: str) -> dict[str, Any]:
        try:
            answer = json.loads(output)
            version, status = answer["apiVersion"], dict(answer["status"])
            _has_ended(status)
        except (ValueError, TypeError, KeyError):
            raise self._problem("gave no ExecCredential") from None
        if version != self._plugin["apiVersion"]:
            raise self._problem(f"gave an ExecCredential of {version}, not of {self._plugin['apiVersion']}")
        if not status.get("token") and not (status.get("clientCertificateData") and status.get("clientKeyData")):
            raise self._problem("gave neither a token nor a certificate with its key")
        return status

    def _info(self, version: str) -> dict[str, Any]:
        spec: dict[str, Any] = {"interactive": False}
        if self._plugin.get("provideClusterInfo"):
            extensions = self._cluster.get("extensions") or ()
            config = [each["extension"] for each in extensions if each["name"] == _EXTENSION]
            spec["cluster"] = {key: self._cluster[key] for key in _CLUSTER_INFO if key in self._cluster}
            spec["cluster"] |= {"config": config[0]} if config else {}
        return {"apiVersion": version, "kind": "ExecCredential", "spec": spec}

    def _problem(self, message: str) -> ConfigError:
        return ConfigError(f"{PROJECT}:{self._access.path}.kubeconfig: exec plugin {self._plugin['command']} {message}")


def find(access: ClusterAccess, kubeconfig: Mapping[str, Any]) -> ExecPlugin | None:
    """Return the plugin of the only user of a kubeconfig; None if the user has a token or certificate instead."""
    user = kubeconfig["users"][0]["user"]
    if not user.get("exec") or any(user.get(way) for way in _OTHER_WAYS):
        return None
    return ExecPlugin(access, {"command": "", **user["exec"]}, kubeconfig["clusters"][0]["cluster"])


def _has_ended(status: Mapping[str, Any]) -> bool:
    end = status.get("expirationTimestamp")
    return bool(end) and datetime.fromisoformat(str(end)) - _SKEW < datetime.now(UTC)
