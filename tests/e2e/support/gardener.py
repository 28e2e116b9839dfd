"""A Gardener shoot in the target cluster, with Gardener's own controllers: an optional part of the lab.

The DNS controller keeps its records in memory. All else about it is as in a shoot: it refuses a name that another
DNSEntry has, says nothing of one that is in none of its zones, and holds a DNSEntry until its record is gone.
"""

import shutil
import signal
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

from cryptography import x509

from tests.e2e.support.commands import MANIFESTS
from tests.e2e.support.lab import Lab
from tests.unit.pki import issue

CERTIFICATE = "certificate.cert.gardener.cloud"
DOMAIN = "shoot.target.test"
ISSUER = "issuers/garden"

_MANIFEST = str(MANIFESTS / "gardener.yaml")
_PLURALS = ("certificates", "certificaterevocations", "issuers", "dnsentries", "dnsproviders", "dnshostedzonepolicies")
_ISSUING = "cert-controller-manager"
_CERTIFICATES = "--controllers issuer --issuer-namespace issuers --default-issuer garden"
_DNS = "--controllers compound --dns-class garden --dns-delay 1s --disable-namespace-restriction"
_CONTROLLERS = {
    _ISSUING: _CERTIFICATES.split(),
    "dns-controller-manager": [*_DNS.split(), "--kubeconfig.disable-deploy-crds"],
}


@dataclass(frozen=True)
class Shoot:
    """A shoot: the CA of its issuer, and the controllers of Gardener, by the names of their programs."""

    ca: x509.Certificate
    managers: Mapping[str, "subprocess.Popen[bytes]"]

    @contextmanager
    def without_issuing(self) -> Iterator[None]:
        """Stop the management of certificates in the context, as while it restarts: it puts back what is changed."""
        self.managers[_ISSUING].send_signal(signal.SIGSTOP)
        try:
            yield
        finally:
            self.managers[_ISSUING].send_signal(signal.SIGCONT)


@contextmanager
def shoot(lab: Lab, logs: Path) -> Iterator[Shoot]:
    """Make the target cluster a shoot."""
    for program in _CONTROLLERS:
        assert shutil.which(program), f"{program} is in an optional part: run `python -m lab build gardener`"
    crds = [str(shutil.which(f"crd-{plural}.yaml")) for plural in _PLURALS]
    try:
        lab.add_kinds("target", *crds)
        lab.kubectl("target", "apply", "-f", _MANIFEST)
        ca = issue("Gardener's CA", end=timedelta(days=3650))
        pair, metadata = {"tls.crt": ca.pem, "tls.key": ca.key_pem}, {"name": "ca", "namespace": "issuers"}
        secret = {"apiVersion": "v1", "kind": "Secret", "type": "kubernetes.io/tls"}
        lab.apply("target", {**secret, "metadata": metadata, "stringData": pair})
        with _controllers(lab, logs) as managers:
            try:
                yield Shoot(ca.certificate, managers)
            finally:
                lab.kubectl("target", "-n", "issuers", "delete", "dnsentries,dnsproviders", "--all")
    finally:
        lab.remove("target", _MANIFEST, "issuers", *crds)


@contextmanager
def _controllers(lab: Lab, logs: Path) -> Iterator[dict[str, "subprocess.Popen[bytes]"]]:
    options = ["--kubeconfig", lab.kubeconfig("target"), "--omit-lease", "--server-port-http", "0"]
    managers = {}
    with ExitStack() as ending:
        for program, arguments in _CONTROLLERS.items():
            log = ending.enter_context((logs / f"{program}.log").open("w"))
            command = [program, *arguments, *options]
            manager = ending.enter_context(subprocess.Popen(command, stdout=log, stderr=log))
            ending.callback(manager.terminate)
            managers[program] = manager
        yield managers
