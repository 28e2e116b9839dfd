"""The parts that the lab builds: each folder of parts/ is one.

A part is a Go module, pinned by its go.mod and go.sum, or a requirements.txt that names one wheel. parts.toml describes
the rest of its build: files to embed, programs to rename, versions to link in, and estimates.
"""

import hashlib
import json
import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from lab.paths import cache_dir, parts_dir

PARTS = Path(__file__).parent / "parts"
REQUIREMENTS = Path(__file__).parent.parent / "requirements.txt"
GO_FLAGS = ["-trimpath", "-gcflags=all=-dwarf=false"]
LINKER_FLAGS = "-s -w"


@dataclass(frozen=True)
class Part:
    """Programs that are built together: a folder of parts/ and its table in parts.toml."""

    name: str
    table: Mapping[str, Any]
    go_version: str

    @property
    def source(self) -> Path:
        return PARTS / self.name

    @property
    def is_go(self) -> bool:
        return (self.source / "go.mod").exists()

    @property
    def is_optional(self) -> bool:
        return bool(self.table.get("optional"))

    @property
    def is_tool(self) -> bool:
        return bool(self.table.get("tool"))

    @cached_property
    def modules(self) -> dict[str, str]:
        """The versions that the part's go.mod requires."""
        return dict(re.findall(r"^(?:require)?\s+(\S+) (v\S+)", (self.source / "go.mod").read_text(), re.M))

    @cached_property
    def linker_flags(self) -> str:
        """The linker's flags, with versions filled in that the part's go.mod or requirements.txt pins."""
        versions = pinned_versions() | self.modules
        return LINKER_FLAGS + re.sub(r"\{(\S+?)\}", lambda name: versions[name[1]], self.table.get("ldflags", ""))

    @cached_property
    def key(self) -> str:
        """A hash of everything that determines the built programs."""
        rules = [self.table.get(rule) for rule in ("rename", "embed", "files")]
        go = [self.go_version, GO_FLAGS, self.linker_flags] if self.is_go else []
        digest = hashlib.sha256(json.dumps([rules, go]).encode())
        for file in sorted(path for path in self.source.rglob("*") if path.is_file()):
            digest.update(f"{file.relative_to(self.source)}\n".encode() + hashlib.sha256(file.read_bytes()).digest())
        return digest.hexdigest()[:16]

    @property
    def home(self) -> Path:
        """The folder with its programs; exists only when all of them do."""
        return parts_dir() / f"{self.name}-{self.key}"

    @property
    def log(self) -> Path:
        return cache_dir() / "logs" / f"{self.name}.log"


def tables() -> dict[str, Any]:
    """Return the tables of parts.toml by the name of the part, in the order in which the parts are built."""
    return tomllib.loads((PARTS / "parts.toml").read_text())


def pinned_versions(requirements: Path = REQUIREMENTS) -> dict[str, str]:
    """Return the versions of the program's Python packages; the Pulumi engine and its plugins have the same."""
    return dict(re.findall(r"^([\w.-]+)==([^\s;\\]+)", requirements.read_text(), re.M))
