"""Class names in sentences, and the mean direction in which CLIP's text encoder sees them."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import nn
from torch.nn import functional as F

from mmstreet.labels import get_table

_NOUNS = ("a bad photo", "a good photo", "a bright photo", "a dark photo", "a blurry photo", "a cropped photo", "a close-up photo")
_MORE = ("a low resolution photo", "a pixelated photo", "a jpeg corrupted photo", "a black and white photo", "a photo")
_ARTS = (
    "a sculpture",
    "a rendering",
    "graffiti",
    "a tattoo",
    "a drawing",
    "a painting",
    "a doodle",
    "a sketch",
    "a rendition",
    "art",
    "itap",
)
_KINDS = ("hard to see", "clean", "dirty", "cool", "large", "small", "nice", "weird")
TEMPLATES = (
    *(f"{noun} of {article} {{}}." for noun in (*_NOUNS, *_MORE, *_ARTS) for article in ("a", "the")),
    *(f"a photo of {article} {kind} {{}}." for kind in _KINDS for article in ("a", "the")),
    *(f"{article} {kind} {{}}." for kind in ("plastic", "embroidered", "origami", "toy", "cartoon", "plushie") for article in ("a", "the")),
    *(
        "a {} in a video game.",
        "the {} in a video game.",
        "a photo of many {}.",
        "a photo of my {}.",
        "a photo of one {}.",
        "itap of my {}.",
    ),
    *(f"there is {article} {{}} in the scene." for article in ("a", "the")),
    *(f"this is {article} {{}} in the scene." for article in ("a", "the", "one")),
)
"""CLIP's 80 sentences for ImageNet (Radford et al., ICML 2021) and five about scenes; articles as there, 'a origami' too."""

_STREET = {"vegetation": "tree", "terrain": "grass", "person": "pedestrian"}
PROMPT_NAMES = {"cityscapes19": _STREET, "bdd100k_sem19": _STREET, "camvid11": {"pavement": "sidewalk"}}
"""What a class is called in the sentences where that is not its name, by class table."""


def prompt_names(table: str, changes: dict[str, str] | None = None) -> list[str]:
    """Return what each class of a table is called in the sentences.

    Args:
        table: Name of the class table.
        changes: Other words, by class name.

    Raises:
        KeyError: If the table or a class to change does not exist.
    """
    names = get_table(table).names
    unknown = sorted(set(changes or ()) - set(names))
    if unknown:
        raise KeyError(f"class '{unknown[0]}' is not in table '{table}', which has: {', '.join(names)}")
    words = {**PROMPT_NAMES.get(table, {}), **(changes or {})}
    return [words.get(name, name) for name in names]


@torch.no_grad()
def embed_classes(words: Sequence[str], tokenizer, text: nn.Module, *, templates: Sequence[str] = TEMPLATES) -> np.ndarray:
    """Embed each class as the mean of its sentences: unit vector each, mean over the sentences, unit length again.

    Args:
        words: What each class is called.
        tokenizer: CLIP's tokenizer of ``transformers``.
        text: ``CLIPTextModelWithProjection``.
        templates: Sentences with one ``{}``.

    Returns:
        Unit rows, float32 ``[C, D]``.
    """
    text = text.eval().float()
    length = text.config.max_position_embeddings
    rows = []
    for word in words:
        sentences = [template.format(word) for template in templates]
        tokens = tokenizer(sentences, padding="max_length", max_length=length, truncation=True, return_tensors="pt").to(text.device)
        vectors = F.normalize(text(**tokens).text_embeds, dim=1)
        rows.append(F.normalize(vectors.mean(0), dim=0))
    return torch.stack(rows).cpu().numpy()
