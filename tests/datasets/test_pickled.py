"""Files that mean harm come to nothing, and honest ones of every protocol come back to the bit."""

import io
import pickle
import time

import hostile
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy._core.numeric import _frombuffer

from posekit.datasets import pickled
from posekit.datasets.pickled import read_pickled


def read(program: bytes):
    return read_pickled(io.BytesIO(program), len(program))


def tree():
    numbers = np.random.default_rng(0).normal(size=(4, 3, 2))
    return {
        "S1": {"Walking 1": numbers.astype("f4"), "Box": [numbers[::2], np.asfortranarray(numbers), numbers.T]},
        "big end": numbers.astype(">f8"),
        "other axes": numbers.transpose(1, 0, 2),
        "nothing": np.zeros((0, 15, 3), "f2"),
        "whole": np.arange(-3, 3, dtype="i2"),
        "seen": np.array([True, False]),
        "names": np.array(["knee", "\u00e9\U0001f600", ""]),
        "bytes": np.array([b"ab", b""]),
        "scalars": (np.float32(1.5), np.int64(-7), np.str_("x"), np.bool_(True)),
        "plain": [1, -(2**40), 2.5, None, True, "\u00e9", (), [], {}, (1, (2, 3))],
        "shared": [numbers, numbers],
    }


def assert_same(ours, theirs):
    assert type(ours) is type(theirs)
    if isinstance(ours, dict):
        assert list(ours) == list(theirs)
        ours, theirs = list(ours.values()), list(theirs.values())
    if isinstance(ours, list | tuple):
        assert len(ours) == len(theirs)
        for mine, yours in zip(ours, theirs):
            assert_same(mine, yours)
    elif isinstance(ours, np.ndarray):
        assert (ours.dtype, ours.shape, ours.tobytes()) == (theirs.dtype, theirs.shape, theirs.tobytes())
    else:
        assert ours == theirs


@pytest.mark.parametrize("protocol", range(6))
@pytest.mark.parametrize("package", ["numpy._core", "numpy.core"])
def test_trees_of_arrays_come_back_to_the_bit(protocol, package):
    program = pickle.dumps(np.array(tree(), dtype=object), protocol=protocol)
    if package == "numpy.core":  # what NumPy called it before version 2; the shorter name needs its length put right
        for module in (b"multiarray", b"numeric"):
            new, old = b"numpy._core." + module, b"numpy.core." + module
            program = program.replace(bytes([len(new)]) + new, bytes([len(old)]) + old).replace(new, old)
    assert_same(read(program), tree())


def test_numpys_text_as_a_key_becomes_pythons():
    (key,) = read(pickle.dumps(np.array({np.str_("S1"): 1}, dtype=object)))
    assert (key, type(key)) == ("S1", str)


def test_bytes_of_python_2_are_bytes():
    old = b"U\x08" + np.array([1, -2], "f4").tobytes()
    values = read(hostile.whole(hostile.array(hostile.dtype("f4"), hostile.group(hostile.number(2)), old)))
    np.testing.assert_array_equal(values, [1, -2])


@pytest.mark.parametrize("case", hostile.PROGRAMS)
def test_harm_is_refused_quickly_and_changes_nothing(case):
    start = time.process_time()
    with pytest.raises(
        ValueError, match=r"^(it|its) |codec can't encode|opcode|integer string|exhausted|byte count|expected .* bytes in"
    ):
        read(hostile.PROGRAMS[case])
    assert time.process_time() - start < 2
    assert _frombuffer.__defaults__ == (None,)


def test_the_parts_of_the_hostile_files_are_sound():
    """So that a case is refused for what it does, and not for how it is put together."""
    values = hostile.array(hostile.dtype("f4"), *hostile.FLOATS)
    encoded = hostile.called(hostile.ENCODE, hostile.text("ab"), hostile.text("latin1"))
    same = hostile.called(hostile.FROMBUFFER, hostile.raw(bytes(8)), hostile.dtype("f4"), b"K\x02\x85", hostile.text("C"))
    read_back = read(hostile.whole(hostile.group(values, encoded, same, hostile.mapping(hostile.text("a"), hostile.NONE))))
    np.testing.assert_array_equal(read_back[0], [0, 0])
    np.testing.assert_array_equal(read_back[2], [0, 0])
    assert read_back[1::2] == (b"ab", {"a": None})


def test_depth_is_bounded():
    def nested(levels):
        return hostile.whole(b"]" * levels + b"a" * (levels - 1))

    assert str(read(nested(pickled.MAX_DEPTH))).count("[") == pickled.MAX_DEPTH
    with pytest.raises(ValueError, match="more than 20 deep"):
        read(nested(pickled.MAX_DEPTH + 2))


def test_the_number_of_opcodes_is_bounded(monkeypatch):
    monkeypatch.setattr(pickled, "MAX_OPCODES", 100)
    read(hostile.whole(b"(" + b"N" * 30 + b"t"))
    with pytest.raises(ValueError, match="more than 100 opcodes"):
        read(hostile.whole(b"(" + b"N" * 100 + b"t"))


PIECES = [hostile.NDARRAY, hostile.DTYPE, hostile.RECONSTRUCT, hostile.SCALAR, hostile.FROMBUFFER, hostile.ENCODE]
PIECES += [hostile.SHELL, hostile.OBJECTS, hostile.dtype("f4"), hostile.raw(bytes(8)), hostile.text("f4"), hostile.number(2)]
PIECES += [hostile.array(hostile.dtype("f4"), *hostile.FLOATS), hostile.text("latin1"), b"h\x00", b"q\x00", b"h\x01", b"q\x01"]
PIECES += [bytes([code]) for code in b"()]}NRbtaseu0\x85\x86\x87\x88\x93\x94"]


@given(st.lists(st.sampled_from(PIECES), max_size=30))
def test_any_program_gives_data_or_a_refusal(pieces):
    try:
        content = read(hostile.whole(b"(" + b"".join(pieces) + b"t"))
    except ValueError:
        return
    repr(content)  # looks at every value
    pickle.dumps(content)
