import pytest

from mmstreet.files.hub import load_local_first

constants = pytest.importorskip("huggingface_hub.constants")


class Shelf:
    """A loader that remembers how it was called."""

    def __init__(self, *, here=False, there=False):
        self.here, self.there, self.calls = here, there, []

    def __call__(self, model, local_files_only=False):
        self.calls.append(local_files_only)
        if self.here if local_files_only else self.there:
            return model
        raise KeyError("not a kind of error that anybody expects")


@pytest.fixture
def asked(monkeypatch):
    """Names that the hub was asked for; it knows only ``someone/known``."""
    names = []

    def model_info(self, name, timeout):
        names.append((name, timeout))
        if name != "someone/known":
            raise RuntimeError("404")

    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    monkeypatch.setattr("huggingface_hub.HfApi.model_info", model_info)
    return names


def test_what_lies_here_is_taken_without_asking_the_hub(asked):
    shelf = Shelf(here=True, there=True)
    assert load_local_first(shelf, "someone/known", files=["config.json"]) == "someone/known"
    assert (shelf.calls, asked) == ([True], [])


def test_a_hub_that_answers_is_loaded_from(asked):
    shelf = Shelf(there=True)
    assert load_local_first(shelf, "someone/known", files=["config.json"]) == "someone/known"
    assert (shelf.calls, asked) == ([True, False], [("someone/known", 10)])


def test_a_hub_that_does_not_answer_is_asked_once_and_the_files_are_named(asked):
    shelf = Shelf(there=True)
    with pytest.raises(OSError, match=r"`hf download someone/none config\.json vocab\.json --local-dir FOLDER`") as caught:
        load_local_first(shelf, "someone/none", files=["config.json", "vocab.json"])
    assert "\n" not in str(caught.value)
    assert (shelf.calls, len(asked)) == ([True], 1)


def test_a_folder_is_never_looked_for_on_the_hub(asked, tmp_path):
    with pytest.raises(OSError, match=r"holds no such model .* it should contain config\.json"):
        load_local_first(Shelf(there=True), tmp_path, files=["config.json"])
    assert asked == []


def test_a_missing_package_is_no_missing_model(asked, tmp_path):
    def load(model, local_files_only=False):
        raise ImportError("needs sentencepiece")

    with pytest.raises(ImportError, match="needs sentencepiece"):
        load_local_first(load, tmp_path, files=["config.json"])
