"""Models without a config: the one that comes with the package, and what its card says."""

from __future__ import annotations

from pathlib import Path

from mmstreet.files.config_files import SHIPPED_MODEL, SUFFIXES, find_config
from mmstreet.predict.identity import read_object


def shipped_model() -> Path:
    """Return the model that comes with the package.

    Raises:
        FileNotFoundError: If this installation has none.
    """
    if not SHIPPED_MODEL.is_file():
        raise FileNotFoundError(
            f"this installation of mmstreet comes without a model ('{SHIPPED_MODEL}' does not exist); name an exported file, or a "
            "config and a checkpoint"
        )
    return SHIPPED_MODEL


def is_config(name: str | Path) -> bool:
    """Tell whether a name means a config: a file of one, or one that comes with the package; neither a folder nor a name on the hub."""
    try:
        find_config(name)
    except FileNotFoundError:
        return Path(name).suffix in SUFFIXES
    return True


def describe_model(path: str | Path) -> str | None:
    """Say in one line what the card beside an exported file says of it; ``None`` without one.

    The card is the JSON of the same name, or that of a folder of ``mmstreet push``: ``name``, ``trained_on``, ``scores`` and ``licence``
    are shown.
    """
    cards = (Path(path).with_suffix(".json"), Path(path).with_name("model_folder.json"))
    path = next((card for card in cards if card.is_file()), cards[0])
    card = (read_object(path) if path.is_file() else None) or {}
    parts = [str(card[key]) for key in ("architecture", "trained_on") if card.get(key)]
    scores = card.get("scores")
    parts += [f"{name} {value}" for name, value in scores.items()] if isinstance(scores, dict) else []
    parts += [f"licence: {card['licence']}"] if card.get("licence") else []
    return f"{card.get('name', path.stem)}: {', '.join(parts)}" if parts else None
