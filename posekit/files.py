"""Files written atomically, and what a file says quoted safely in a message."""

import os
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any


@contextmanager
def replacing(path: str | Path) -> Iterator[Path]:
    """A temporary file to write to, in a folder that is made if need be; it becomes `path` at the end of the block.

    Others see the old file or the complete new one. The temporary name is unique, so that several processes may write
    the same file at once. On an error the temporary file is removed and `path` stays as it was.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    unfinished = path.with_name(f".{path.name}.{uuid.uuid4().hex}.part")
    try:
        yield unfinished
        os.replace(unfinished, path)
    finally:
        unfinished.unlink(missing_ok=True)


def write_atomically(path: str | Path, content: str | bytes) -> None:
    """Write text (UTF-8) or bytes to a file; see `replacing`."""
    with replacing(path) as unfinished:
        unfinished.write_bytes(content.encode() if isinstance(content, str) else content)


def shown(value: Any) -> str:
    """What a file says, short and printable enough for a message.

    >>> shown("a\\nb")
    'a?b'
    """
    try:
        text = str(value)
    except (ValueError, RecursionError):  # an integer of thousands of digits, a list within thousands of lists
        text = type(value).__name__
    return "".join(character if character.isprintable() else "?" for character in text[:80])
