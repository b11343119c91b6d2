"""The text of a config, laid out once in a run."""

from __future__ import annotations

from mmengine.config import Config

_LAST: dict[str, str] = {}


class OnceFormatted(Config):
    """A config whose text is laid out once: mmengine asks for it up to four times in a run, and yapf takes longer than a small test."""

    @classmethod
    def of(cls, cfg: Config) -> OnceFormatted:
        """Return the same config, not a copy of its content."""
        other = cls.__new__(cls)
        other.__dict__.update(cfg.__dict__)
        return other

    @property
    def pretty_text(self) -> str:
        """The config as Python source, as mmengine writes it."""
        content = repr(self.to_dict())
        if content not in _LAST:
            text = super().pretty_text
            _LAST.clear()
            _LAST[content] = text
        return _LAST[content]
