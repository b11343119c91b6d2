"""Write the text embeddings of a class table: one unit vector per class, from 85 sentences through CLIP's text encoder.

    python tools/make_text_embeddings.py cityscapes19 --out checkpoints/clip_vit_b16_cityscapes19.npz
    python tools/make_text_embeddings.py camvid11 --model clip --word signsymbol="traffic sign" --out camvid11.npz

The model is a name on the hub or a local folder. Some classes are called otherwise in the sentences, such as vegetation "tree"; --word
changes more.
"""

import argparse
from pathlib import Path

from mmstreet.labels import TABLES, get_table
from mmstreet.models.clip import load_clip
from mmstreet.models.text_embeddings import save_text_embeddings
from mmstreet.models.text_prompts import embed_classes, prompt_names


def main(argv: list[str] | None = None) -> None:
    """Load the text encoder, embed the classes, write the file."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("table", choices=sorted(TABLES), help="class table")
    parser.add_argument("--model", default="openai/clip-vit-base-patch16", help="hub name or folder (default: %(default)s)")
    parser.add_argument("--word", action="append", default=[], metavar="CLASS=WORD", help="what to call a class in the sentences")
    parser.add_argument("--out", type=Path, required=True, help="the .npz file")
    args = parser.parse_args(argv)
    wrong = [word for word in args.word if "=" not in word]
    if wrong:
        parser.error(f"--word '{wrong[0]}' should be CLASS=WORD")
    try:
        words = prompt_names(args.table, dict(word.split("=", 1) for word in args.word))
        tokenizer, text = load_clip("CLIPTokenizer", args.model), load_clip("CLIPTextModelWithProjection", args.model)
    except (KeyError, ImportError, OSError) as error:
        parser.exit(1, f"make_text_embeddings: {error.args[0] if error.args else error}\n")
    embeddings = embed_classes(words, tokenizer, text)
    save_text_embeddings(args.out, embeddings, classes=get_table(args.table).names, prompts=words, model=args.model)
    print(f"{len(words)} classes, {embeddings.shape[1]} entries each, in {args.out}")


if __name__ == "__main__":
    main()
