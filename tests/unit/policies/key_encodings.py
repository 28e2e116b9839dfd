"""Private keys, and the ways in which texts hold them."""

import base64
import json
import re
from collections.abc import Callable, Mapping
from functools import cache
from textwrap import wrap

from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.asymmetric.types import PrivateKeyTypes
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
)

from tests.unit.policies.judging import CERTIFICATE

Encode = Callable[[str], str]
OTHER = base64.b64encode(bytes(range(256)) * 8).decode()


@cache
def keys() -> Mapping[str, str]:
    """Return keys as PEM."""
    own: dict[str, PrivateKeyTypes] = {
        "EC": ec.generate_private_key(ec.SECP256R1()),
        "RSA": rsa.generate_private_key(65537, 2048),
    }
    formats = {"traditional": PrivateFormat.TraditionalOpenSSL, "PKCS #8": PrivateFormat.PKCS8}
    found = {f"{kind}, {name}": _pem(key, form) for kind, key in own.items() for name, form in formats.items()}
    found |= {f"{name}, encrypted": _pem(own["EC"], form, b"passphrase") for name, form in formats.items()}
    return found | {"Ed25519": _pem(ed25519.Ed25519PrivateKey.generate(), PrivateFormat.PKCS8)}


def _pem(key: PrivateKeyTypes, form: PrivateFormat, passphrase: bytes = b"") -> str:
    encryption = BestAvailableEncryption(passphrase) if passphrase else NoEncryption()
    return key.private_bytes(Encoding.PEM, form, encryption).decode()


def in_base64(text: str) -> str:
    return base64.b64encode(text.encode()).decode()


def url_safe(text: str) -> str:
    return base64.urlsafe_b64encode(text.encode()).decode().rstrip("=")


def der(pem: str) -> str:
    """Return what is between the marks of a PEM key, in one line; without the headers of an encrypted one."""
    return "".join(line for line in pem.splitlines() if line and not re.search("[-:]", line))


def is_der(pem: str) -> bool:
    """Return whether DER is what is between the marks."""
    return "Proc-Type" not in pem


def lines(text: str, sign: str = "", width: int = 76) -> str:
    """Return a text in lines of this width with a sign before each."""
    return "".join(f"{sign}{line}\n" for line in wrap(text, width))


def signed(text: str, sign: str) -> str:
    """Return a text with a sign before each of its lines."""
    return "".join(f"{sign}{line}\n" for line in text.splitlines())


def beside_old_lines(text: str, width: int) -> str:
    """Return the lines of a text in a diff, each beside a line that it replaces."""
    new, old = wrap(text, width), wrap(OTHER, width)
    return "".join(f"- {before}\n+ {after}\n" for before, after in zip(old, new, strict=False)) + lines(
        "".join(new[len(old) :]), "+ ", width
    )


OF_PEM: Mapping[str, Encode] = {
    "plain": str,
    "with CRLF": lambda pem: pem.replace("\n", "\r\n"),
    "indented": lambda pem: signed(pem, "        "),
    "in a diff": lambda pem: signed(pem, "  + "),
    "in a diff of removed lines": lambda pem: signed(pem, "-"),
    "in a log": lambda pem: signed(pem, "10:01:12 pod/istiod: "),
    "in one line": lambda pem: pem.replace("\n", " "),
    "in JSON": json.dumps,
    "in JSON twice": lambda pem: json.dumps(json.dumps(pem)),
    "in short lines": lambda pem: lines(pem, "", 20),
    "cut off": lambda pem: pem.rpartition("-----END")[0],
    "cut off in JSON": lambda pem: json.dumps(pem.rpartition("-----END")[0]),
    "without its beginning": lambda pem: "".join(pem.splitlines(keepends=True)[-3:]),
    "in Base64": in_base64,
    "in Base64 behind one character": lambda pem: in_base64(f"_{pem}"),
    "in Base64 behind two characters": lambda pem: in_base64(f"__{pem}"),
    "in Base64 with its indent": lambda pem: in_base64(signed(pem, "    ")),
    "in Base64 in a text": lambda pem: f"data={in_base64(pem)}",
    "in Base64 without its end": lambda pem: in_base64(pem)[:-70],
    "in Base64 in lines": lambda pem: lines(in_base64(pem)),
    "in Base64 in lines of any width": lambda pem: lines(in_base64(pem), "", 19),
    "in Base64 in lines of a diff": lambda pem: lines(in_base64(pem), "  + "),
    "in Base64 in lines of removed ones": lambda pem: lines(in_base64(pem), "- ", 50),
    "in Base64 in lines behind signs": lambda pem: lines(in_base64(pem), "+", 61),
    "in Base64 in lines of a log": lambda pem: "\n" + lines(in_base64(pem), "    pod/istiod: "),
    "in Base64 in one folded line": lambda pem: lines(in_base64(pem)).replace("\n", " "),
    "in Base64 in lines of JSON": lambda pem: json.dumps(lines(in_base64(pem))),
    "in Base64 in a list of JSON": lambda pem: json.dumps(wrap(in_base64(pem), 64)),
    "in Base64 beside old lines": lambda pem: beside_old_lines(in_base64(pem), 76),
    "in Base64 beside old lines of any width": lambda pem: beside_old_lines(in_base64(pem), 33),
    "in Base64 twice": lambda pem: in_base64(in_base64(pem)),
    "in lines of Base64 twice": lambda pem: lines(in_base64(lines(in_base64(pem))), "+ "),
    "in Base64 three times": lambda pem: in_base64(in_base64(in_base64(pem))),
    "in URL-safe Base64": url_safe,
    "in URL-safe Base64 twice": lambda pem: url_safe(url_safe(f"_{pem}")),
    "in URL-safe Base64 in a diff": lambda pem: lines(url_safe(f"?~{pem}"), "- "),
    "in JSON in Base64": lambda pem: in_base64(json.dumps({"key": pem})),
    "in Base64 in JSON in Base64": lambda pem: in_base64(json.dumps({"key": in_base64(pem)})),
    "behind its certificate in Base64": lambda pem: in_base64(CERTIFICATE + pem),
}
OF_DER: Mapping[str, Encode] = {
    "DER": str,
    "DER in lines": lambda text: lines(text, "", 64),
    "DER in lines of a diff": lambda text: lines(text, "  + ", 64),
    "DER in lines behind signs": lambda text: lines(text, "-", 63),
    "DER in JSON": lambda text: json.dumps(lines(text)),
    "DER in a text": lambda text: f"key={text}",
    "DER in URL-safe Base64": lambda text: text.translate(str.maketrans("+/", "-_")),
    "DER in Base64 twice": in_base64,
    "DER in Base64 in lines of Base64": lambda text: lines(in_base64(lines(text)), "+ ", 70),
}
