"""The site's hooks for mkdocs: the documents of the repository's root as pages, and links that hold on the site.

What a page links to outside of docs/ is not on the site, and becomes plain text there. A link to what is nowhere stays,
so that mkdocs complains.
"""

import re
from collections.abc import Collection
from pathlib import Path, PurePosixPath
from posixpath import normpath
from typing import Any

REPOSITORY = Path(__file__).parents[2]
PAGES = {f"{name}.md": f"{name.lower()}.md" for name in ("CONTRIBUTING", "CHANGELOG", "SECURITY")} | {
    "README.md": "index.md"
}
"""Document in the repository's root -> page of the site."""
LINK = re.compile(r"(?P<image>!?)\[(?P<text>[^\]]*)\]\((?P<target>[^)#\s]+)(?P<anchor>#[^)]*)?\)")
DOCS_FOLDER = "docs/"


def on_config(config: Any) -> Any:
    """Write out patterns of the navigation (methods/*.md is a page for each), and add pages that it does not name."""
    nav = [
        {title: expanded(pattern) for title, pattern in entry.items()} if isinstance(entry, dict) else entry
        for entry in config.nav
    ]
    config.nav = nav + ([{"More": rest}] if (rest := unnamed(str(nav))) else [])
    return config


def unnamed(nav: str) -> list[str]:
    """Return the pages right in docs/ that a navigation does not name."""
    return sorted(file.name for file in (REPOSITORY / DOCS_FOLDER).glob("*.md") if f"'{file.name}'" not in nav)


def expanded(pattern: Any) -> Any:
    """Return the pages of a pattern, README first; anything else as it is."""
    if not isinstance(pattern, str) or "*" not in pattern:
        return pattern
    found = [file.relative_to(REPOSITORY / DOCS_FOLDER).as_posix() for file in (REPOSITORY / DOCS_FOLDER).glob(pattern)]
    return sorted(found, key=lambda name: (not name.endswith("README.md"), name))


def on_files(files: Any, config: Any) -> Any:
    """Add the documents of the root to the site's files."""
    from mkdocs.structure.files import File

    for document, page in PAGES.items():
        text = rooted(REPOSITORY.joinpath(document).read_text(encoding="utf-8"))
        files.append(File.generated(config, page, content=text))
    return files


def on_page_markdown(markdown: str, page: Any, config: Any, files: Any) -> str:
    """Turn links to what is not on the site into text."""
    here = PurePosixPath(page.file.src_uri).parent
    return linked(markdown, {file.src_uri for file in files}, here)


def rooted(text: str) -> str:
    """Return a document of the repository's root with the links that it has as a page in docs/."""

    def moved(match: re.Match) -> str:
        target = PAGES.get(match["target"], match["target"].removeprefix(DOCS_FOLDER))
        return f"{match['image']}[{match['text']}]({target}{match['anchor'] or ''})"

    return LINK.sub(moved, text)


def linked(text: str, there: Collection[str], here: PurePosixPath) -> str:
    """Return a page without the links to files of the repository that are not there. here: the page's folder."""

    def kept(match: re.Match) -> str:
        target = match["target"]
        on_site = normpath(str(here / target)) in there
        in_repository = any((place / target).exists() for place in (REPOSITORY, REPOSITORY / DOCS_FOLDER / here))
        return match["text"] if in_repository and not on_site else match[0]

    return LINK.sub(kept, text)
