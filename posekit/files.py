"""Files written atomically, and what a file says quoted safely in a message."""

import os
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any


@contextmanager
def naming(path: str | Path) -> Iterator[None]:
    """Have the system's errors name this file where they name none, as of a full disk, or a temporary one beside it."""
    try:
        yield
    except OSError as error:
        theirs = Path(str(error.filename or path))
        if error.errno is None or not theirs.is_relative_to(Path(path).parent):
            raise
        raise OSError(error.errno, error.strerror, str(path)) from error


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
        with naming(path):
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
