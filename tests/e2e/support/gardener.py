"""A Gardener shoot in the target cluster, with Gardener's own controllers: an optional part of the lab.

The DNS controller keeps its records in memory. All else about it is as in a shoot: it refuses a name that another
DNSEntry has, says nothing of one that is in none of its zones, and holds a DNSEntry until its record is gone.
"""

import shutil
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
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
_CERTIFICATES = "--controllers issuer --issuer-namespace issuers --default-issuer garden"
_DNS = "--controllers compound --dns-class garden --dns-delay 1s --disable-namespace-restriction"
_CONTROLLERS = {
    "cert-controller-manager": _CERTIFICATES.split(),
    "dns-controller-manager": [*_DNS.split(), "--kubeconfig.disable-deploy-crds"],
}


@contextmanager
def shoot(lab: Lab, logs: Path) -> Iterator[x509.Certificate]:
    """Make the target cluster a shoot; give the CA of its issuer."""
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
        with _controllers(lab, logs):
            try:
                yield ca.certificate
            finally:
                lab.kubectl("target", "-n", "issuers", "delete", "dnsentries,dnsproviders", "--all")
    finally:
        lab.remove("target", _MANIFEST, "issuers", *crds)


@contextmanager
def _controllers(lab: Lab, logs: Path) -> Iterator[None]:
    options = ["--kubeconfig", lab.kubeconfig("target"), "--omit-lease", "--server-port-http", "0"]
    with ExitStack() as ending:
        for program, arguments in _CONTROLLERS.items():
            log = ending.enter_context((logs / f"{program}.log").open("w"))
            command = [program, *arguments, *options]
            manager = ending.enter_context(subprocess.Popen(command, stdout=log, stderr=log))
            ending.callback(manager.terminate)
        yield
