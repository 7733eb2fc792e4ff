"""Names of files and folders: letters of any script, and apart on every file system.

File systems differ in what they take for one name: some ignore case, some bring letters into another of Unicode's
forms, some keep names for devices, and all limit the length, most of them in bytes.
"""

import re
import unicodedata
from collections.abc import Iterable
from itertools import chain, count

from benchmark.errors import RequestError

LONGEST_NAME = 120
"""Characters of a folder's name."""
LONGEST_NAME_BYTES = 200
"""Bytes of a folder's name: file systems allow 255, and something may be put behind it."""
STEM_CHARACTERS = 100
STEM_BYTES = 160
"""Characters, and bytes, that a file's name begins with; what kind of file it is comes behind them."""
FORBIDDEN = frozenset('/\\:*?"<>|')
DEVICE = re.compile(r"(con|prn|aux|nul|conin\$|conout\$|com[0-9¹²³]|lpt[0-9¹²³]) *(\..*)?", re.IGNORECASE | re.DOTALL)
"""Names that Windows keeps for devices, whatever stands behind their first dot."""
CONTROLS = {"Cc", "Cs", "Zl", "Zp"}
"""Categories of what is no text: control characters, halves of surrogate pairs, ends of lines and paragraphs."""
TURNS = frozenset("\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")
"""Marks that turn the direction of writing: with them a name can look like another."""


def file_name(what: str, name: str) -> str:
    """Return the name in Unicode's composed form. Raises RequestError if it can't name a folder on every system."""
    if not _names_a_folder(composed := unicodedata.normalize("NFC", name)):
        raise RequestError(
            f"{what} {name[:LONGEST_NAME]!r} can't name a folder on every system; use up to {LONGEST_NAME} letters of "
            f"any script ({LONGEST_NAME_BYTES} bytes), digits, - and _, and no device's name such as con"
        )
    return composed


def _names_a_folder(name: str) -> bool:
    if not 0 < len(name) <= LONGEST_NAME or name[-1] in ". " or DEVICE.fullmatch(name):
        return False
    if set(name) & (FORBIDDEN | TURNS) or any(unicodedata.category(c) in CONTROLS for c in name):
        return False
    return len(name.encode()) <= LONGEST_NAME_BYTES


def folded(name: str) -> str:
    """Return what two names have in common if some file system takes them for one."""
    return unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", name).casefold())


def clean_name(words: str) -> str:
    """Reduce words to what file names, links and headings may have: letters, digits and . = + - _ alone."""
    words = re.sub(r"(?<=\d):(?=\d)", "_", unicodedata.normalize("NFC", words))  # 0.3:0.5 is two numbers
    kept = "".join(c for c in words if c in ".=+-_" or unicodedata.category(c)[0] in "LMN")
    name = _cut(re.sub(r"\.{2,}", ".", kept).lstrip(".-"), STEM_CHARACTERS, STEM_BYTES) or "unnamed"
    return f"_{name}" if DEVICE.fullmatch(name) else name


def _cut(name: str, characters: int, most_bytes: int) -> str:
    """Return as much of the beginning of a name as fits."""
    return name[:characters].encode()[:most_bytes].decode(errors="ignore")


def apart(names: Iterable[str]) -> list[str]:
    """Return the names with a number behind each that some file system would take for one of those before it."""
    found: dict[str, str] = {}
    for place, name in enumerate(names, start=1):
        numbered = chain([name], (f"{name}-{number}" for number in count(place)))
        unique = next(other for other in numbered if folded(other) not in found)
        found[folded(unique)] = unique
    return [*found.values()]
