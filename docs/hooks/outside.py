"""Files outside of `docs/` become pages, and the links between them and the guide lead there."""

import ast
import posixpath
import re
from pathlib import Path

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page

ROOT = Path(__file__).parents[2]

#: From a file of the repository to its page.
PAGES = {
    "README.md": "index.md",
    "CHANGELOG.md": "changelog.md",
    "CONTRIBUTING.md": "contributing.md",
    "benchmarks/NOTEBOOK.md": "benchmarks/notebook.md",
} | {f"examples/{path.name}": f"examples/{path.stem}.md" for path in ROOT.glob("examples/*.py")}

_LINK = re.compile(r"\]\((?P<target>[^)\s#:]+)(?P<anchor>#[^)\s]*)?\)")


def _script_page(path: Path) -> str:
    source = path.read_text(encoding="utf-8")
    about = ast.get_docstring(ast.parse(source))
    title, _, rest = (about or path.stem).partition("\n")
    code = source.split('"""', 2)[2].strip()
    return f"# {title}\n{rest}\n\n`examples/{path.name}`:\n\n```python\n{code}\n```\n"


def on_files(files: Files, config: MkDocsConfig) -> Files:
    for source, page in PAGES.items():
        path = ROOT / source
        if source.endswith(".py"):
            files.append(File.generated(config, page, content=_script_page(path)))
        elif source != "README.md":
            files.append(File.generated(config, page, content=path.read_text(encoding="utf-8")))
    return files


def on_page_markdown(markdown: str, page: Page, **_: object) -> str:
    own = page.file.src_uri
    origin = {site: source for source, site in PAGES.items() if site != "index.md"}
    folder = posixpath.dirname(origin.get(own, f"docs/{own}"))

    def moved(found: re.Match[str]) -> str:
        source = posixpath.normpath(posixpath.join(folder, found["target"]))
        inside = source.removeprefix("docs/") if source.startswith("docs/") else None
        target = PAGES.get(source, inside)
        if target is None or (own not in origin and inside):
            return found[0]
        relative = posixpath.relpath(target, posixpath.dirname(own) or ".")
        return f"]({relative}{found['anchor'] or ''})"

    return _LINK.sub(moved, markdown)
