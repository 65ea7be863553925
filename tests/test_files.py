import errno
from concurrent.futures import ThreadPoolExecutor

import pytest

from posekit.files import replacing, shown, write_atomically


def test_text_and_bytes_arrive_in_a_folder_that_is_made(tmp_path):
    path = tmp_path / "deep" / "file"
    write_atomically(path, "é\n")
    assert path.read_bytes() == b"\xc3\xa9\n"
    write_atomically(path, b"\x00\r\n")
    assert path.read_bytes() == b"\x00\r\n"
    assert list(path.parent.iterdir()) == [path]


def test_an_error_leaves_the_old_file_and_nothing_else(tmp_path):
    path = tmp_path / "file"
    path.write_text("old")

    def write_half():
        with replacing(path) as unfinished:
            unfinished.write_text("half")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_half()
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_an_error_that_names_no_file_gets_its_name(tmp_path):
    """A full disk says only that it is full."""

    def failing(*words):
        with replacing(tmp_path / "file"):
            raise OSError(*words)

    with pytest.raises(OSError, match=rf"No space left on device: '{tmp_path}/file'"):
        failing(errno.ENOSPC, "No space left on device")
    with pytest.raises(PermissionError, match=rf"denied: '{tmp_path}/file'"):
        failing(errno.EACCES, "denied", str(tmp_path / ".hidden"))
    with pytest.raises(OSError, match="denied: '/elsewhere'"):
        failing(errno.EACCES, "denied", "/elsewhere")
    with pytest.raises(OSError, match="^in words$"):
        failing("in words")


def test_many_writers_of_one_file_do_not_meet(tmp_path):
    path, texts = tmp_path / "file", [str(number) * 10_000 for number in range(10)]
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda text: write_atomically(path, text), texts * 5))
    assert path.read_text() in texts
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize(
    ("value", "words"), [("a\nb\x1b[0m", "a?b?[0m"), ("x" * 1000, "x" * 80), ([10**5000], "list"), ("\ud800", "?")]
)
def test_what_a_file_says_is_short_and_printable(value, words):
    assert shown(value) == words
