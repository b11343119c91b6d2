"""The text of a config, laid out once in a run."""

import copy
import pickle

import pytest
from mmengine.config import Config

from mmstreet.engine import config_text
from mmstreet.engine.config_text import OnceFormatted

CONTENT = dict(model=dict(type="A", channels=[1, 2, 3]), lr=0.1)


@pytest.fixture
def layouts(monkeypatch):
    """The configs that mmengine laid out."""
    calls, lay_out = [], Config.pretty_text.fget
    monkeypatch.setattr(config_text, "_LAST", {})
    monkeypatch.setattr(Config, "pretty_text", property(lambda cfg: calls.append(cfg) or lay_out(cfg)))
    return calls


def test_the_text_is_mmengines_and_laid_out_once(layouts, tmp_path):
    plain = Config(CONTENT)
    once = OnceFormatted.of(plain)
    expected = plain.pretty_text
    layouts.clear()
    assert once.pretty_text == copy.deepcopy(once).pretty_text == pickle.loads(pickle.dumps(once)).pretty_text == expected
    once.dump(tmp_path / "b.py")
    assert (tmp_path / "b.py").read_text() == expected
    assert len(layouts) == 1


def test_a_change_is_seen(layouts):
    once = OnceFormatted.of(Config(CONTENT))
    first = once.pretty_text
    once.model.channels.append(4)
    assert once.pretty_text == Config(once.to_dict()).pretty_text != first
    once.model.channels.pop()
    assert once.pretty_text == first


def test_it_is_the_same_config(layouts):
    plain = Config(CONTENT)
    once = OnceFormatted.of(plain)
    once.lr = 0.5
    assert plain.lr == 0.5
    assert isinstance(once, Config)
