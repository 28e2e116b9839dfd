"""Reads the TLS of an Envoy's filter chain, or of its connections to an upstream:
https://www.envoyproxy.io/docs/envoy/latest/api-v3/extensions/transport_sockets/tls/v3/tls.proto
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from proxies.parts import CREDENTIAL

_Json = Mapping[str, Any]


@dataclass(frozen=True)
class Tls:
    """The TLS of a filter chain, or of the connections to an upstream.

    secret: name of the Secret with the certificate, of each if there are several; `default` for that of the mesh
    asks_for_certificate: whether clients must show one
    sni: the name that is asked for
    names: alternative names one of which the peer must have; empty texts for patterns
    trusts: name of the Secret with the CAs, which ends in -cacert; `ROOTCA` for that of the mesh; empty for none
    minimum, maximum: versions, such as TLSv1_2; empty for Envoy's defaults
    ciphers: for TLS 1.2; empty for Envoy's defaults
    lenient: the fields by which it accepts certificates that it would refuse otherwise
    is_used: whether it speaks TLS at all
    """

    secret: str = ""
    asks_for_certificate: bool = False
    sni: str = ""
    names: frozenset[str] = frozenset()
    trusts: str = ""
    minimum: str = ""
    maximum: str = ""
    ciphers: tuple[str, ...] = ()
    lenient: tuple[str, ...] = ()
    is_used: bool = False

    @classmethod
    def parse(cls, owner: _Json) -> "Tls":
        """Return the TLS of a filter chain, or of a cluster; an empty one for plain text."""
        socket = within(owner, "transport_socket", "typed_config")
        socket = socket.get("downstream_tls_context") or socket  # that of QUIC
        common = socket.get("common_tls_context") or {}
        secrets = common.get("tls_certificate_sds_secret_configs") or [{}]
        combined = within(common, "combined_validation_context")
        validation = combined.get("default_validation_context") or within(common, "validation_context")
        source = combined.get("validation_context_sds_secret_config") or within(
            common, "validation_context_sds_secret_config"
        )
        names = validation.get("match_subject_alt_names") or validation.get("match_typed_subject_alt_names") or []
        params = within(common, "tls_params")
        return cls(
            secret=", ".join(str(each.get("name", "")).removeprefix(CREDENTIAL) for each in secrets),
            asks_for_certificate=bool(socket.get("require_client_certificate")),
            sni=str(socket.get("sni", "")),
            names=frozenset(str((each.get("matcher") or each).get("exact", "")) for each in names),
            trusts=str(source.get("name", "")).removeprefix(CREDENTIAL),
            minimum=_version(params, "tls_minimum_protocol_version"),
            maximum=_version(params, "tls_maximum_protocol_version"),
            ciphers=tuple(params.get("cipher_suites") or ()),
            lenient=tuple(_lenient(validation)),
            is_used=bool(common),
        )


def _version(params: _Json, field: str) -> str:
    version = str(params.get(field, ""))
    return "" if version == "TLS_AUTO" else version


def _lenient(validation: _Json) -> Iterator[str]:
    if validation.get("trust_chain_verification", "VERIFY_TRUST_CHAIN") != "VERIFY_TRUST_CHAIN":
        yield "trust_chain_verification"
    for field in ("allow_expired_certificate", "custom_validator_config"):
        if validation.get(field):
            yield field


def within(found: _Json, *path: str) -> _Json:
    """Return the object at a path of fields; an empty one if there is none."""
    for name in path:
        found = found.get(name) or {}
    return found
