"""One context of a kubeconfig, self-contained, so that the state deletes objects where it created them.

The state keeps a provider's kubeconfig: a path would lead to another cluster once the file changes, its content does
not.
"""

import base64
import os
from pathlib import Path
from typing import Any

import yaml

from clusters import provider_files
from settings import PROJECT, ClusterAccess, ConfigError

_DEFAULT = "~/.kube/config"
_FILES = ("certificate-authority", "client-certificate", "client-key")
_LISTS = {"clusters": "cluster", "users": "user", "contexts": "context"}
# With one of these, kubectl takes a server without a scheme for one of HTTPS (client-go, rest/url_utils.go).
_TLS = ("certificate-authority-data", "client-certificate-data", "insecure-skip-tls-verify")


class _Loader(yaml.SafeLoader):
    """Takes dates for texts, as kubectl does: JSON has none."""

    yaml_implicit_resolvers = {  # noqa: RUF012 - PyYAML's own
        first: [(tag, pattern) for tag, pattern in resolvers if not tag.endswith(":timestamp")]
        for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
    }


def load(access: ClusterAccess) -> dict[str, Any]:
    """Return a kubeconfig with the wanted context alone, and the content of its files; raise ConfigError for none."""
    sources = _sources(access)
    merged = _merged(access, sources)
    names = [context["name"] for context in merged["contexts"]]
    name = access.context or merged.get("current-context") or (names[0] if len(names) == 1 else "")
    where = os.pathsep.join(map(str, sources))
    if not names:
        raise _problem(access, "kubeconfig", f"{where} has no contexts")
    if not name:
        raise _problem(access, "context", f"{where} has no current context; name one of {', '.join(names)}")
    context = _named(merged["contexts"], name)
    if context is None:
        raise _problem(
            access,
            "context" if access.context else "kubeconfig",
            f"{where} has no context {name!r}; it has {', '.join(names) or 'none'}",
        )
    cluster = _named(merged["clusters"], context["context"].get("cluster"))
    if cluster is None or not cluster["cluster"].get("server"):
        raise _problem(access, "context", f"context {name!r} of {where} names no cluster with a server")
    user = _named(merged["users"], context["context"].get("user")) or {"name": "none", "user": {}}
    parts = {"cluster": cluster["name"], "user": user["name"]}
    way, credential = (
        _read_in(access, each[kind], each.get("from", Path())) for each, kind in ((cluster, "cluster"), (user, "user"))
    )
    return {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": cluster["name"], "cluster": way | {"server": _url(way, credential)}}],
        "users": [{"name": user["name"], "user": credential}],
        "contexts": [{"name": name, "context": provider_files.marked(parts)}],
        "current-context": name,
    }


def _sources(access: ClusterAccess) -> list[Path]:
    if access.kubeconfig:
        path = _expanded(access, access.kubeconfig)
        if not path.is_file():
            raise _problem(access, "kubeconfig", f"no such file: {access.kubeconfig}")
        return [path]
    listed = os.environ.get("KUBECONFIG") or _DEFAULT
    paths = [_expanded(access, path) for path in listed.split(os.pathsep) if path]
    found = [path for path in paths if path.is_file()]
    if not found:
        raise _problem(access, "kubeconfig", f"not set, and there is no file {' or '.join(map(str, paths))}")
    return found


def _expanded(access: ClusterAccess, path: str) -> Path:
    try:
        return Path(path).expanduser()
    except RuntimeError:
        raise _problem(access, "kubeconfig", f"{path}: no such user's home directory") from None


def _merged(access: ClusterAccess, sources: list[Path]) -> dict[str, Any]:
    """Merge as kubectl does: of each name, and of the current context, the first file wins."""
    merged: dict[str, Any] = {key: [] for key in _LISTS}
    for source in sources:
        try:
            content = yaml.load(source.read_text(), _Loader)  # noqa: S506 - a SafeLoader
            if content is None and len(sources) > 1:
                continue
            for key, kind in _LISTS.items():
                merged[key] += [
                    {"name": str(entry["name"]), kind: dict(entry[kind] or {}), "from": source}
                    for entry in content.get(key) or []
                ]
        except OSError as error:
            raise _problem(access, "kubeconfig", f"{source} cannot be read: {error.strerror}") from None
        except (yaml.YAMLError, ValueError, TypeError, KeyError, AttributeError):
            raise _problem(access, "kubeconfig", f"{source} is not a usable kubeconfig") from None
        if content.get("current-context"):
            merged.setdefault("current-context", str(content["current-context"]))
    return merged


def _read_in(access: ClusterAccess, entry: dict[str, Any], source: Path) -> dict[str, Any]:
    """Return an entry with the content of its files, whose paths are relative to the kubeconfig."""
    try:
        flat = {**entry, **_rooted(entry, source.parent.absolute())}
        for name in _FILES:
            if path := flat.pop(name, None):
                flat.setdefault(f"{name}-data", _encoded(access, source.parent / path))
    except (TypeError, AttributeError):
        raise _problem(access, "kubeconfig", f"{source} is not a usable kubeconfig") from None
    return flat


def _url(cluster: dict[str, Any], user: dict[str, Any]) -> str:
    """Return the URL of a cluster's server, which may be HOST or HOST:PORT alone."""
    server = str(cluster["server"])
    scheme = "https" if any((cluster | user).get(key) for key in _TLS) else "http"
    return server if "://" in server else f"{scheme}://{server}"


def _rooted(entry: dict[str, Any], directory: Path) -> dict[str, Any]:
    """Return the paths of programs and token files in an entry, as absolute ones.

    Symbolic links are kept: Kubernetes replaces the target of those that lead to a mounted token.
    """
    rooted: dict[str, Any] = {}
    if path := entry.get("tokenFile"):
        rooted["tokenFile"] = str(directory / path)
    command = (entry.get("exec") or {}).get("command", "")
    if os.sep in command:  # without a slash, PATH has it
        rooted["exec"] = {**entry["exec"], "command": str(directory / command)}
    return rooted


def _encoded(access: ClusterAccess, path: Path) -> str:
    try:
        return base64.b64encode(path.read_bytes()).decode()
    except OSError as error:
        raise _problem(access, "kubeconfig", f"names a file that cannot be read: {error}") from None


def _named(entries: list[dict[str, Any]], name: str | None) -> dict[str, Any] | None:
    return next((entry for entry in entries if entry["name"] == name), None)


def _problem(access: ClusterAccess, key: str, message: str) -> ConfigError:
    return ConfigError(f"{PROJECT}:{access.path}.{key}: {message}")
