"""Reading .npz files of unknown origin without running what is in them.

Community files (VideoPose3D's layout) keep nested dictionaries of arrays as a pickle, and unpickling runs any
function the file names. This reader builds arrays and plain containers only: every other name is refused before
anything is called. The allow-list holds exact names; a prefix such as "numpy." would let functions through that
run commands.
"""

import codecs
import io
import pickle
import zipfile
from pathlib import Path
from typing import Any

import numpy as np

MAX_BYTES = 8 * 2**30
"""Largest uncompressed size read, so that a small malicious archive cannot fill the memory."""


class DataFileError(ValueError):
    """A data file that is there but is not what it should be; the message names the file."""


def _allowed_globals() -> dict[tuple[str, str], Any]:
    """Exact (module, name) pairs that pickled arrays use, old and new NumPy."""
    reconstruct = np.ndarray(0).__reduce__()[0]
    allowed = {
        ("numpy", "ndarray"): np.ndarray,
        ("numpy", "dtype"): np.dtype,
        ("_codecs", "encode"): codecs.encode,  # how protocol 2 writes bytes
    }
    for package in ("numpy.core", "numpy._core"):
        allowed[package + ".multiarray", "_reconstruct"] = reconstruct
        allowed[package + ".multiarray", "scalar"] = np.float64(0).__reduce__()[0]
        allowed[package + ".numeric", "_frombuffer"] = np.zeros(1).__reduce_ex__(5)[0]
    return allowed


class _ArraysOnly(pickle.Unpickler):
    allowed = _allowed_globals()

    def find_class(self, module: str, name: str):
        if (module, name) not in self.allowed:
            raise pickle.UnpicklingError(f"it names {module}.{name}, which is not on the list of array types")
        return self.allowed[module, name]


def read_npz(path: Path, keys: tuple[str, ...]) -> dict[str, Any]:
    """Read entries of an .npz file: plain arrays as arrays, pickled ones (0-d objects) as what they hold.

    Args:
        path: the file; its existence is the caller's concern.
        keys: entries that must be there; others are not touched.

    Raises:
        DataFileError: for anything but a sound archive of allowed contents, with file, entry and reason.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            sizes = {member.filename.removesuffix(".npy"): member.file_size for member in archive.infolist()}
            missing = [key for key in keys if key not in sizes]
            if missing:
                raise DataFileError(f"{path}: no entry {', '.join(missing)}; it holds {', '.join(sizes) or 'nothing'}")
            if sum(sizes[key] for key in keys) > MAX_BYTES:
                raise DataFileError(f"{path}: over {MAX_BYTES} bytes when unpacked; refused")
            return {key: _read_entry(path, key, archive.read(key + ".npy")) for key in keys}
    except (zipfile.BadZipFile, EOFError, OSError) as error:
        raise DataFileError(f"{path}: not a whole .npz archive ({error}); was the download cut short?") from error


def _read_entry(path: Path, key: str, data: bytes):
    stream = io.BytesIO(data)
    try:
        version = np.lib.format.read_magic(stream)
        if version == (1, 0):
            shape, _, dtype = np.lib.format.read_array_header_1_0(stream)
        else:
            shape, _, dtype = np.lib.format.read_array_header_2_0(stream)
        if not dtype.hasobject:
            stream.seek(0)
            return np.lib.format.read_array(stream, allow_pickle=False)
        if shape != ():
            raise DataFileError(f"{path}: entry {key} is an object array of shape {shape}; expected a single object")
        # The pickle is that of a 0-d object array; item() is the dictionary inside.
        return _ArraysOnly(stream).load().item()
    except DataFileError:
        raise
    except Exception as error:  # a hostile pickle can raise anything at all
        raise DataFileError(f"{path}: entry {key} refused: {error}") from error
