"""Check every Markdown page of the repository: `python -m docs.check`.

Prints FILE:LINE: PROBLEM for each link and anchor inside the repository that leads nowhere, each command, config key
and file that does not exist, and each generated part that differs from the models; then exits with 1.
"""

import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from pathlib import Path
from urllib.parse import unquote, urlsplit

import outputs.reference
import settings.reference
from docs.commands import of_command, of_path
from docs.page import Page, Text, read


def problems(root: Path) -> Iterator[str]:
    """Yield a line for each problem of the pages below a folder, which is a Git repository with a Makefile."""
    listed = ["git", "ls-files", "--cached", "--others", "--exclude-standard"]
    files = subprocess.run(listed, cwd=root, check=True, capture_output=True, text=True).stdout.splitlines()
    makefile = (root / "Makefile").read_text()
    for file in files:
        if file.endswith(".md") and (root / file).exists():
            page = _page(root / file)
            found = [*_links(root / file, page), *_commands(page, makefile, files)]
            yield from (f"{file}:{line}: {problem}" for line, problem in sorted(found))


def outdated(generated: Mapping[Path, str], root: Path) -> Iterator[str]:
    """Yield a line for each file that differs from its generated text, with the first line that does."""
    for path, wanted in generated.items():
        there, lines = path.read_text().splitlines(), wanted.splitlines()
        if there != lines:
            same = (at for at, pair in enumerate(zip(there, lines, strict=False), 1) if pair[0] != pair[1])
            line = next(same, min(len(there), len(lines)) + 1)
            yield f"{path.relative_to(root)}:{line}: outdated; run `make reference`"


def _links(file: Path, page: Page) -> Iterator[Text]:
    for line, link in page.links:
        parts = urlsplit(link)
        if parts.scheme or parts.netloc:
            continue
        target = file.parent / unquote(parts.path) if parts.path else file
        if not target.exists():
            yield Text(line, f"there is no {link}")
        elif parts.fragment and (target.suffix != ".md" or unquote(parts.fragment) not in _page(target).anchors):
            yield Text(line, f"there is no anchor {link}")


def _commands(page: Page, makefile: str, files: Sequence[str]) -> Iterator[Text]:
    for block in page.shell:
        has_keys = True
        for line, command in block:
            has_keys &= not command.startswith("cd examples/")  # a project with a config of its own
            yield from (Text(line, each) for each in of_command(command, makefile, files, has_keys=has_keys))
    for line, code in page.code:
        checks = of_command(code, makefile, files) if " " in code else of_path(code, files)
        yield from (Text(line, each) for each in checks)


@cache
def _page(path: Path) -> Page:
    return read(path.read_text())


def main() -> int:
    """Print the problems; return 1 if there are any."""
    root = settings.reference.PROJECT_DIRECTORY
    generated = {**settings.reference.generated(), **outputs.reference.generated()}
    found = [*problems(root), *outdated(generated, root)]
    print("\n".join(found), end="\n" if found else "")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
