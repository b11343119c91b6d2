"""Configs as text without a layout engine: short runs spend most of their time on laying out their config."""

from collections.abc import Iterator

import pytest
from mmengine.config import Config


def config_text(cfg: Config) -> str:
    """The config as Python source, one top-level key a line."""
    return "".join(f"{key} = {value!r}\n" for key, value in cfg.to_dict().items())


@pytest.fixture(scope="session")
def plain_config_text() -> Iterator[None]:
    """Let mmengine write configs, into logs and checkpoints too, with :func:`config_text`."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Config, "pretty_text", property(config_text))
        yield
