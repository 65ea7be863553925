"""Reading .npz files of unknown origin: whatever is in them, data comes out or a `DataFileError`.

Community files (VideoPose3D's layout) keep nested dictionaries of arrays as a pickle; `pickled` reads those without
unpickling them. This module reads the archive and the headers around them.
"""

import io
import re
import struct
import zipfile
import zlib
from pathlib import Path
from typing import Any

from posekit.datasets.pickled import plain_array, read_pickled

MAX_BYTES = 2**30
"""Largest uncompressed size read. VideoPose3D's files of all of Human3.6M have a quarter of it."""
SMALL_BYTES, MAX_RATIO = 64 * 2**20, 16
"""A file may unpack to SMALL_BYTES and MAX_RATIO times its own size; poses shrink to a quarter at best."""
MAX_MESSAGE = 400
"""Characters of an error, which quotes what a file says; that may be long or meant for a terminal."""

_METHODS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)
_HEADER = re.compile(
    r"\{'descr': '(?P<dtype>[^'\\]{1,20})', 'fortran_order': (?P<fortran>True|False), "
    r"'shape': \((?P<shape>[0-9, ]{0,200})\),? ?\}\s*"
)
_BROKEN_ARCHIVE = (
    zipfile.BadZipFile,
    zlib.error,
    struct.error,
    OSError,
    EOFError,
    ValueError,
    RuntimeError,  # what zipfile raises for features it lacks, as NotImplementedError
    OverflowError,
)


class DataFileError(ValueError):
    """A data file that is there but is not what it should be; the message names the file, in one short line."""

    def __init__(self, message: str):
        line = "".join(character if character.isprintable() else "?" for character in message[:MAX_MESSAGE])
        super().__init__(line + ("..." if len(message) > MAX_MESSAGE else ""))


def read_npz(path: Path, keys: tuple[str, ...]) -> dict[str, Any]:
    """Read entries of an .npz file: plain arrays as arrays, pickled ones (0-d objects) as what they hold.

    Arrays are read-only and hold booleans, integers, floats or text; pickles hold them in dictionaries with
    string keys, in lists and in tuples.

    Args:
        path: the file; its existence is the caller's concern.
        keys: entries that must be there; others are not touched.

    Raises:
        DataFileError: for anything but a sound archive of such contents, with file, entry and reason.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            members = {member.filename: member for member in archive.infolist()}
            missing = [key for key in keys if f"{key}.npy" not in members]
            if missing:
                found = ", ".join(name.removesuffix(".npy") for name in members) or "nothing"
                raise DataFileError(f"{path}: no entry {', '.join(missing)}; it holds {found}")
            wanted = {key: members[f"{key}.npy"] for key in keys}
            _check_sizes(path, wanted)
            return {key: _read_entry(path, key, archive, member) for key, member in wanted.items()}
    except DataFileError:
        raise
    except _BROKEN_ARCHIVE as error:
        raise DataFileError(f"{path}: not a whole .npz archive ({error}); was the download cut short?") from error
    except MemoryError as error:
        raise DataFileError(f"{path}: too large for the memory of this machine") from error


def _check_sizes(path: Path, members: dict[str, zipfile.ZipInfo]) -> None:
    """Refuse entries that are too large by the archive's directory; `_unpacked` inflates no more than that."""
    limit = min(MAX_BYTES, SMALL_BYTES + MAX_RATIO * path.stat().st_size)
    size = sum(member.file_size for member in members.values())
    if size > limit:
        raise DataFileError(f"{path}: {size} bytes when unpacked, more than the {limit} a file of this size may have; refused")


def _unpacked(path: Path, key: str, archive: zipfile.ZipFile, member: zipfile.ZipInfo) -> bytes:
    if member.compress_type not in _METHODS or member.flag_bits & 1:
        raise DataFileError(f"{path}: entry {key} is encrypted, or compressed by a method that .npz files do not use")
    with archive.open(member) as stream:
        data = stream.read(member.file_size + 1)  # inflates no more than that, and checks the CRC at the end
    if len(data) != member.file_size:
        raise DataFileError(f"{path}: entry {key} has {len(data)} bytes, expected {member.file_size}")
    return data


def _read_entry(path: Path, key: str, archive: zipfile.ZipFile, member: zipfile.ZipInfo) -> Any:
    stream = io.BytesIO(_unpacked(path, key, archive, member))
    try:
        dtype, shape, order = _read_header(stream)
        if dtype != "|O":
            return plain_array(dtype, shape, order, stream.read())
        if shape != ():
            raise ValueError(f"an object array of shape {shape}; expected a single object")
        return read_pickled(stream, member.file_size)
    except ValueError as error:
        raise DataFileError(f"{path}: entry {key} refused: {error}") from error


def _read_header(stream: io.BytesIO) -> tuple[str, tuple[int, ...], str]:
    """dtype, shape and order of the .npy format's header; only the form that NumPy writes is accepted."""
    magic, version = stream.read(6), tuple(stream.read(2))
    width = {(1, 0): 2, (2, 0): 4, (3, 0): 4}.get(version)
    if magic != b"\x93NUMPY" or width is None:
        raise ValueError("it is not a .npy array of a known version")
    length = int.from_bytes(stream.read(width), "little")
    header = _HEADER.fullmatch(stream.read(min(length, 10_000)).decode("latin1"))
    if not header:
        raise ValueError("its .npy header is not in the form that NumPy writes, or describes an array with fields")
    shape = tuple(int(text) for text in re.findall(r"\d+", header["shape"]))
    return header["dtype"], shape, "F" if header["fortran"] == "True" else "C"
