import pytest

from mmstreet.files.config_files import find_config, shipped_folder, shipped_names


@pytest.mark.parametrize("name", ["deeplabv3_bdd_v3", "deeplabv3_bdd_v3.py", "configs/deeplabv3_bdd_v3.py", "configs/deeplabv3_bdd_v3"])
def test_a_config_is_found_by_name_in_any_folder(name, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert find_config(name) == shipped_folder() / "deeplabv3_bdd_v3.py"


@pytest.mark.parametrize("name", ["sam2", "refine/sam2", "configs/refine/sam2.py"])
def test_a_refiner_is_found_by_name(name, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert find_config(name, refiner=True) == shipped_folder() / "refine" / "sam2.py"


def test_a_file_goes_before_a_name(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "deeplabv3_bdd_v3.py").write_text("")
    (tmp_path / "deeplabv3_bdd_v2").mkdir()  # a folder is no config
    assert find_config("deeplabv3_bdd_v3.py").resolve() == tmp_path / "deeplabv3_bdd_v3.py"
    assert find_config("deeplabv3_bdd_v2").parent == shipped_folder()


def test_an_unknown_name_is_refused_with_the_nearest():
    with pytest.raises(FileNotFoundError, match=r"config 'deeplabv3_bdd_v9' does not exist, .* by name; did you mean 'deep"):
        find_config("deeplabv3_bdd_v9")
    with pytest.raises(FileNotFoundError, match=r"refiner config 'same' does not exist.*'sam'"):
        find_config("same", refiner=True)


def test_a_missing_path_says_what_its_folder_has(tmp_path):
    (tmp_path / "mine.py").write_text("")
    with pytest.raises(FileNotFoundError, match=r"its folder '.*' has: mine.py; mmstreet comes with: carb_"):
        find_config(tmp_path / "xyz.py")


def test_no_path_leaves_the_folder_of_the_configs():
    with pytest.raises(FileNotFoundError):
        find_config("../setup")
    assert "../setup" not in shipped_names()
