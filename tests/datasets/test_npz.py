import io
import os
import pickle
import struct
import zipfile
import zlib

import hostile
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from posekit.datasets import npz
from posekit.datasets.npz import DataFileError, read_npz
from posekit.records import peak_memory_mb


def write_object(path, content, protocol=3, key="data"):
    """An .npz whose one entry is a pickled 0-d object array, as community files have it."""
    stream = io.BytesIO()
    np.lib.format.write_array_header_1_0(stream, {"descr": "|O", "fortran_order": False, "shape": ()})
    stream.write(content if isinstance(content, bytes) else pickle.dumps(np.array(content, dtype=object), protocol=protocol))
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr(key + ".npy", stream.getvalue())
    return path


@pytest.mark.parametrize("protocol", [2, 3, 4, 5])
def test_nested_arrays_come_back(tmp_path, protocol):
    content = {
        "S1": {"Walking 1": np.arange(6, dtype=np.float32).reshape(2, 3)},
        "n": 3,
        "names": ["a", "b"],
        "x": np.float64(1.5),
    }
    read = read_npz(write_object(tmp_path / "a.npz", content, protocol), ("data",))["data"]
    np.testing.assert_array_equal(read["S1"]["Walking 1"], content["S1"]["Walking 1"])
    assert (read["n"], read["names"], read["x"]) == (3, ["a", "b"], 1.5)


def test_plain_arrays_come_back(tmp_path):
    np.savez_compressed(tmp_path / "a.npz", data=np.eye(3), other=np.zeros(2))
    np.testing.assert_array_equal(read_npz(tmp_path / "a.npz", ("data",))["data"], np.eye(3))


class Payload:
    """What a malicious file does: name a function and its arguments."""

    def __init__(self, function, *arguments):
        self.call = (function, arguments)

    def __reduce__(self):
        return self.call


@pytest.mark.parametrize("protocol", [2, 4])
def test_code_in_a_pickle_is_refused_and_not_run(tmp_path, protocol):
    victim = tmp_path / "created-by-the-pickle"
    path = write_object(tmp_path / "a.npz", {"S1": Payload(os.mkdir, str(victim))}, protocol)
    with pytest.raises(DataFileError, match=r"a\.npz: entry data refused: it names posix\.mkdir"):
        read_npz(path, ("data",))
    assert not victim.exists()
    with np.load(path, allow_pickle=True) as trusting:
        trusting["data"]  # and the payload does work where pickles are trusted
    assert victim.exists()


@pytest.mark.parametrize("name", ["numpy.f2py.diagnose run_command", "numpy load", "builtins eval", "posixpath join"])
def test_names_beside_the_list_are_refused_even_in_allowed_packages(tmp_path, name):
    module, function = name.split()
    path = write_object(tmp_path / "a.npz", f"c{module}\n{function}\n.".encode())
    with pytest.raises(DataFileError, match="not on the list of array types"):
        read_npz(path, ("data",))


def test_a_truncated_file(tmp_path):
    whole = write_object(tmp_path / "a.npz", {"S1": np.zeros(1000)}).read_bytes()
    (tmp_path / "b.npz").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(DataFileError, match=r"b\.npz: not a whole \.npz archive"):
        read_npz(tmp_path / "b.npz", ("data",))


def test_a_file_that_is_no_zip(tmp_path):
    (tmp_path / "a.npz").write_text("<html>404 not found</html>")
    with pytest.raises(DataFileError, match="cut short"):
        read_npz(tmp_path / "a.npz", ("data",))


def test_a_missing_entry_lists_those_there_are(tmp_path):
    with pytest.raises(DataFileError, match="no entry positions_3d; it holds data"):
        read_npz(write_object(tmp_path / "a.npz", {}), ("positions_3d",))


def test_an_object_array_with_a_shape_is_refused(tmp_path):
    np.savez(tmp_path / "a.npz", data=np.array([{}, {}], dtype=object))
    with pytest.raises(DataFileError, match=r"object array of shape \(2,\)"):
        read_npz(tmp_path / "a.npz", ("data",))


def test_a_bomb_is_refused_before_it_is_unpacked(tmp_path, monkeypatch):
    monkeypatch.setattr(npz, "MAX_BYTES", 1000)
    np.savez_compressed(tmp_path / "a.npz", data=np.zeros(10_000))
    with pytest.raises(DataFileError, match="refused"):
        read_npz(tmp_path / "a.npz", ("data",))


@given(st.binary(max_size=200))
def test_any_bytes_give_a_clear_error(tmp_path_factory, junk):
    path = write_object(tmp_path_factory.mktemp("junk") / "a.npz", junk)
    try:
        read_npz(path, ("data",))
    except DataFileError as error:
        assert "a.npz" in str(error)


def patched(path, offset, value, signature):
    """Overwrite bytes of the local header, or of the directory's entry."""
    data = bytearray(path.read_bytes())
    start = data.index(signature) + offset
    data[start : start + len(value)] = value
    path.write_bytes(data)


LOCAL, CENTRAL = b"PK\x03\x04", b"PK\x01\x02"


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ("method", "compressed by a method"),
        ("encryption", "encrypted"),
        ("stream", "not a whole .npz archive"),
        ("checksum", "Bad CRC-32"),
        ("shorter", "entry data"),
        ("version", "not a whole .npz archive"),
        ("offset", "not a whole .npz archive"),
    ],
)
def test_faults_of_the_archive(tmp_path, change, reason):
    path = tmp_path / "a.npz"
    np.savez_compressed(path, data=np.arange(1000.0))
    match change:
        case "method":
            patched(path, 10, b"\x0c\x00", CENTRAL)
        case "encryption":
            patched(path, 8, b"\x01", CENTRAL)
        case "stream":
            patched(path, 80, b"\xff" * 100, LOCAL)
        case "checksum":
            patched(path, 16, b"\x00" * 4, CENTRAL)
        case "shorter":
            patched(path, 24, struct.pack("<I", 9000), CENTRAL)
        case "version":
            patched(path, 6, b"\xff\x00", CENTRAL)
        case "offset":
            patched(path, 42, struct.pack("<I", 2**31), CENTRAL)
    with pytest.raises(DataFileError, match=rf"a\.npz: .*{reason}"):
        read_npz(path, ("data",))


@pytest.mark.parametrize("says", [2**32 - 2, 1000])
def test_a_bomb_is_not_inflated_whatever_it_says_of_its_size(tmp_path, says):
    """Four gigabytes of zeros in four megabytes."""
    packer = zlib.compressobj(9, zlib.DEFLATED, -15)
    block = packer.compress(bytes(2**24)) + packer.flush(zlib.Z_FULL_FLUSH)
    path = tmp_path / "a.npz"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_STORED) as archive:
        archive.writestr("data.npy", block * 256)
    for offset, signature in ((8, LOCAL), (10, CENTRAL)):
        patched(path, offset, b"\x08\x00", signature)
    patched(path, 24, struct.pack("<I", says), CENTRAL)
    before = peak_memory_mb()
    with pytest.raises(DataFileError, match=r"a\.npz: .*(refused|CRC)"):
        read_npz(path, ("data",))
    assert peak_memory_mb() - before < 100


def test_a_member_without_npy_is_no_entry(tmp_path):
    with zipfile.ZipFile(tmp_path / "a.npz", "w") as archive:
        archive.writestr("data", b"\x93NUMPY")
    with pytest.raises(DataFileError, match=r"a\.npz: no entry data; it holds data"):
        read_npz(tmp_path / "a.npz", ("data",))


@pytest.mark.parametrize(
    "header",
    [
        "{'descr': [('a', '<f4'), ('b', '|O')], 'fortran_order': False, 'shape': (2,), }",
        "{'descr': '<f4', 'fortran_order': False, 'shape': (99999999999,), }",
        "{'descr': '<f4', 'fortran_order': False, 'shape': (0, 1000000000000000), }",
        "{'descr': '<f4', 'fortran_order': False, 'shape': (-2, -1), }",
        "{'descr': '<f4', 'fortran_order': False, 'shape': (2,), 'strides': (0,)}",
        "{'descr': '|O', 'fortran_order': False, 'shape': (1,), }",
        "{'descr': '<M8[s]', 'fortran_order': False, 'shape': (1,), }",
        "-" * 9000 + "1",
        "(" * 60000,
    ],
)
def test_headers_that_mean_harm(tmp_path, header):
    with zipfile.ZipFile(tmp_path / "a.npz", "w") as archive:
        text = header.encode() + b"\n"
        archive.writestr("data.npy", b"\x93NUMPY\x01\x00" + struct.pack("<H", len(text)) + text + bytes(8))
    with pytest.raises(DataFileError, match=r"a\.npz: entry data refused"):
        read_npz(tmp_path / "a.npz", ("data",))


@pytest.mark.parametrize(
    "array", [np.zeros((3, 4), order="F"), np.arange(6, dtype=">i2"), np.array(["a", "bc"]), np.float32(2)]
)
def test_plain_arrays_come_back_to_the_bit(tmp_path, array):
    np.savez_compressed(tmp_path / "a.npz", data=array)
    read = read_npz(tmp_path / "a.npz", ("data",))["data"]
    assert (read.dtype, read.shape, read.tobytes()) == (array.dtype, array.shape, array.tobytes())


def test_errors_are_one_short_line(tmp_path):
    path = write_object(tmp_path / "a.npz", hostile.whole(hostile.name("a\x1b[31m" + "b" * 10_000, "c")))
    with pytest.raises(DataFileError) as error:
        read_npz(path, ("data",))
    assert str(error.value).isprintable()
    assert len(str(error.value)) < 500
    np.savez(path, **{"a" * (index + 1): np.zeros(1) for index in range(300)})
    with pytest.raises(DataFileError, match="it holds a, a") as error:
        read_npz(path, ("data",))
    assert len(str(error.value)) < 500
    assert str(pickle.loads(pickle.dumps(error.value))) == str(error.value)  # it may come from another process
