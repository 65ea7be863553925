import io
import os
import pickle
import zipfile

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from posekit.datasets import npz
from posekit.datasets.npz import DataFileError, read_npz


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
    np.load(path, allow_pickle=True)["data"]  # and the payload does work where pickles are trusted
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
