"""The diff that a preview prints, as a comment shows it."""

import re

# Lines that describe no change: about half of the output, for which changes would be cut off.
_NOISE = re.compile(
    r"^( +\[(urn|provider)=.*\]|Update plan written to .*|Run `pulumi up --plan=.*|@ .*"
    r"|Resources:(\n {4}\W{,3}\d+ .*)*)\n?",
    re.MULTILINE,
)
_UPDATED_PROVIDER = re.compile(r"^( *)~ pulumi:providers:\w+: \(update\)\n((?:\1 {2,}.*\n?)*)", re.MULTILINE)
_SIGN = re.compile(r"^( +)([-+~])(?!-outputs:)", re.MULTILINE)


def of(output: str) -> str:
    """Return the diff of an output, without providers that only get other credentials.

    The sign of a line comes first, since GitHub colours a line by its first character.
    """
    return _SIGN.sub(r"\2\1", _UPDATED_PROVIDER.sub(_unless_credentials, _NOISE.sub("", output))).strip()


def _unless_credentials(update: re.Match[str]) -> str:
    """Return the update of a provider if more than its kubeconfig changes; the engine shows no sign before a secret."""
    sign = rf"^{update[1]}  [-+~] (?!kubeconfig\b)"
    return update[0] if re.search(sign, update[2], re.MULTILINE) else ""
