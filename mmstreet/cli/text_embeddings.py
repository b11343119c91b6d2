"""``mmstreet text-embeddings``: one unit vector per class of a table, from 85 sentences through CLIP's text encoder."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

from mmstreet.cli.arguments import CommandParser, add_clip, key_value, read_pairs
from mmstreet.labels import TABLES, get_table


def parse_args(argv: Sequence[str] | None, prog: str | None) -> argparse.Namespace:
    """Read the command line."""
    parser = CommandParser(
        prog=prog,
        description="Write the text embeddings of a class table. Some classes are called otherwise in the sentences, such as vegetation "
        "'tree'; --word changes more.",
    )
    parser.add_argument("table", choices=sorted(TABLES), help="class table")
    add_clip(parser)
    parser.add_argument(
        "--word",
        action="append",
        default=[],
        type=key_value,
        metavar="CLASS=WORD",
        help="what to call a class in the sentences, e.g. signsymbol='traffic sign'; may be given again",
    )
    parser.add_argument("--out", type=Path, required=True, help="the .npz file")
    return parser.parse_args(argv)


def main(argv: Sequence[str] | None = None, prog: str | None = None) -> int:
    """Load the text encoder, embed the classes, write the file."""
    args = parse_args(argv, prog)
    from mmstreet.models.clip import load_clip
    from mmstreet.models.text_embeddings import save_text_embeddings
    from mmstreet.models.text_prompts import embed_classes, prompt_names

    words = prompt_names(args.table, read_pairs(args.word))
    tokenizer, text = load_clip("CLIPTokenizer", args.model), load_clip("CLIPTextModelWithProjection", args.model)
    embeddings = embed_classes(words, tokenizer, text)
    save_text_embeddings(args.out, embeddings, classes=get_table(args.table).names, prompts=words, model=args.model)
    print(f"{len(words)} classes, {embeddings.shape[1]} entries each, in {args.out}")
    return 0
