import pytest

from posekit.datasets import load_dataset
from posekit.renaming import renamed


@renamed(old="new", older="new")
def doubled(new):
    return 2 * new


@pytest.mark.parametrize("name", ["old", "older"])
def test_an_old_name_works_and_warns(name):
    with pytest.warns(DeprecationWarning, match=f"doubled: the argument {name} is now called new"):
        assert doubled(**{name: 3}) == 6
    assert doubled(new=3) == doubled(3) == 6


def test_both_names_at_once_are_refused():
    with pytest.raises(TypeError, match="doubled got both new and old"):
        doubled(old=1, new=2)


def test_folders_may_still_be_called_root(tmp_path):
    with pytest.warns(DeprecationWarning, match="load_dataset: .* now called data_root"), pytest.raises(FileNotFoundError):
        load_dataset("humaneva", root=tmp_path)
