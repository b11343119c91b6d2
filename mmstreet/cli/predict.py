"""``mmstreet predict``: label maps, overlays and class shares for an image, a folder, a pattern or a video."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from mmstreet.cli.arguments import SHARES, CommandParser, add_cfg_options, add_results, read_cfg_options
from mmstreet.cli.on_ray import add_ray
from mmstreet.cli.outcome import SHOWN_IMAGES, ImageLines, print_outcome, share_rows

_DOWNLOADS = Path("work_dirs/downloads")

if TYPE_CHECKING:
    from mmstreet.predict.predictor import Predictor


def parse_args(argv: Sequence[str] | None, prog: str | None) -> argparse.Namespace:
    """Read the command line."""
    parser = CommandParser(prog=prog, description=f"Predict an image, a folder, a pattern or a video. {SHARES}")
    parser.add_argument("exported", nargs="?", metavar="MODEL", help="the same as --model, for an exported file")
    parser.add_argument(
        "source",
        metavar="SOURCE",
        help="image, video, folder (searched to its depth), pattern in quotes, address on the web, list (.txt), data.yaml, camera number",
    )
    parser.add_argument(
        "--model",
        "-m",
        help="an exported .onnx or .torchscript file, or a model of transformers: a folder, or a name on the hub; default: the "
        "model that comes with mmstreet",
    )
    parser.add_argument("--config", "-c", help="config of mmseg or mmdet: a file, or a name such as deeplabv3_bdd_v3")
    parser.add_argument("--checkpoint", "-k", help=".pth file, the folder of a run for its newest one, or a URL")
    parser.add_argument("--out", "-o", help="folder for the results; default: work_dirs/predict/<name of the source>")
    parser.add_argument("--device", help="cpu, cuda, cuda:1 …; default: a GPU if there is one")
    parser.add_argument("--batch-size", type=int, default=1, help="images per forward pass (default: 1)")
    parser.add_argument("--half", action="store_true", help="half precision: float16 on a GPU, bfloat16 on a CPU that is fast in it")
    parser.add_argument("--channels-last", action="store_true", help="lay out maps with their channels last, often faster with --half")
    parser.add_argument("--tta", action="store_true", help="average over the image and its mirror image")
    parser.add_argument(
        "--scales", type=float, nargs="+", default=[1.0], metavar="S", help="average over these multiples of the usual size"
    )
    parser.add_argument("--refine", metavar="CONFIG", help="refine each prediction, e.g. superpixel, or a config file")
    parser.add_argument(
        "--orientation",
        choices=("stored", "exif"),
        help="turn pictures and videos as their orientation tags say (exif) or not; default: as the config's loader does",
    )
    parser.add_argument("--min-score", type=float, default=0.3, help="objects of lower scores are left out (default: 0.3)")
    parser.add_argument(
        "--safety", action="store_true", help="score the road safety of each image; on a video filtered and plotted below it"
    )
    parser.add_argument(
        "--save-probs", action="store_true", help="also write the network's class probabilities of images, for mmstreet refine"
    )
    parser.add_argument(
        "--save-confidence",
        action="store_true",
        help="also write confidence and entropy of the pixels of images as grey PNG files, 255 for 1; see mmstreet calibrate",
    )
    parser.add_argument("--abstain", type=float, metavar="T", help="pixels of a confidence below T, 0 to 1, become unknown, 255")
    parser.add_argument("--opacity", type=float, default=0.55, metavar="X", help="of the colours in overlays, 0 to 1 (default: 0.55)")
    parser.add_argument("--no-legend", action="store_true", help="leave the names of the colours out of overlays")
    parser.add_argument("--seconds", type=float, metavar="S", help="how long to look through a camera; default: until Ctrl-C")
    parser.add_argument("--no-labels", action="store_true", help="write no label maps")
    parser.add_argument("--split", choices=("train", "val", "test"), help="of a data.yaml, which images (default: test, else val)")
    add_ray(parser)
    add_results(parser, verb="predict")
    parser.add_argument("--trust-checkpoint", action="store_true", help="read a checkpoint that may run code; only for files of your own")
    add_cfg_options(parser)
    args = parser.parse_args(argv)
    if args.exported is not None and not args.exported.lower().endswith((".onnx", ".torchscript")):
        parser.error(
            f"'{args.exported}' is no exported model; SOURCE comes last, and a config goes to --config, its weights to --checkpoint"
        )
    if args.exported is not None and args.model is not None:
        parser.error(f"two models, '{args.exported}' and '{args.model}'; give one")
    args.model = args.model or args.exported
    if not 0 <= args.opacity <= 1:
        parser.error(f"--opacity must be between 0 and 1, not {args.opacity}")
    if args.seconds is not None and not args.seconds > 0:
        parser.error(f"--seconds must be positive, not {args.seconds}")
    if args.model is not None and (args.config or args.checkpoint):
        parser.error("--model needs neither --config nor --checkpoint")
    if (args.config is None) != (args.checkpoint is None):
        parser.error("--config and --checkpoint go together")
    return args


def main(argv: Sequence[str] | None = None, prog: str | None = None) -> int:
    """Run the command and return its exit code: 0, or 1 if any file failed."""
    args = parse_args(argv, prog)
    from mmstreet.files.sharing import current_shard
    from mmstreet.labels import find_table
    from mmstreet.predict.chunks import work_through
    from mmstreet.predict.download import fetch_source, is_address
    from mmstreet.predict.folder import PredictionFolder
    from mmstreet.predict.job import predict_sources
    from mmstreet.predict.predictor import Predictor
    from mmstreet.predict.sources import camera_source, find_sources, result_stem
    from mmstreet.report.safety_strip import SafetyStrip
    from mmstreet.safety.analyzer import RoadSafetyAnalyzer

    if is_address(args.source):
        args.source = str(fetch_source(args.source, _DOWNLOADS))
    camera = camera_source(args.source)
    sources = find_sources(args.source, split=args.split) if camera is None else [camera]
    predictor = Predictor(
        args.model or args.config,
        args.checkpoint,
        device=args.device,
        batch_size=args.batch_size,
        flip=args.tta,
        scales=args.scales,
        refine=args.refine,
        keep_probs=args.save_probs,
        keep_confidence=args.save_confidence,
        abstain=args.abstain,
        min_score=args.min_score,
        orientation=args.orientation,
        half=args.half,
        channels_last=args.channels_last,
        trust=args.trust_checkpoint,
        cfg_options=read_cfg_options(args.cfg_options),
    )
    if predictor.about and current_shard().index == 0:
        print(f"model: {predictor.about}")
    own = find_table({"label_rows": predictor.model.label_rows})
    names = {"classes": predictor.classes} if own is None else {"table": own}
    analyzer = RoadSafetyAnalyzer(**names) if args.safety else None
    folder = PredictionFolder(
        args.out or Path("work_dirs/predict") / (camera.name if camera else result_stem(Path(args.source)).replace("*", "_") or "images"),
        _settings(args, predictor),
        labels=not args.no_labels,
        overlays=not args.no_overlays,
        probs=args.save_probs,
        confidence=args.save_confidence,
        opacity=args.opacity,
        legend=not args.no_legend,
        overwrite=args.overwrite,
    )
    make_strip = SafetyStrip if args.safety else None
    tell = ImageLines(predictor, len(sources)) if len(sources) <= SHOWN_IMAGES else None
    more = dict(analyzer=analyzer, make_strip=make_strip, progress=False, tell=tell, seconds=args.seconds)
    share = work_through(
        sources,
        folder,
        lambda some, ends: predict_sources(predictor, some, folder, batch_ends=ends, **more),
        batch_size=args.batch_size,
    )
    if analyzer is not None and analyzer.blindness:
        print(f"safety: UNKNOWN: {analyzer.blindness}; give a model that knows the road, e.g. one of bdd100k_sem19", file=sys.stderr)
    remark = f"{share.outcome.ms / share.images:.0f} ms per image; " if share.images else ""
    print_outcome(share, folder, verb="predicted", total=len(sources), remark=remark)
    if len(sources) == 1 and share.outcome.done and sources[0].is_video:
        print("\n".join(share_rows(share.summary["shares"])))
    return 1 if share.outcome.failed else 0


def _settings(args: argparse.Namespace, predictor: Predictor) -> dict:
    """What decides the results: weights and config by their content, the rest by value."""
    rows = [dict(row) for row in predictor.model.label_rows]
    return {
        "model": predictor.name,
        "fingerprint": predictor.model.fingerprint,
        "classes": list(predictor.classes),
        **({"label_rows": rows} if rows else {}),
        "threshold": getattr(predictor.model, "threshold", None),
        "tta": args.tta,
        "scales": args.scales,
        "refine": _identify_refiner(args.refine, predictor) if args.refine else None,
        "min_score": args.min_score if predictor.kind == "instance" else None,
        "safety": args.safety,
        "orientation": predictor.orientation,
        **({"opacity": args.opacity} if args.opacity != 0.55 and not args.no_overlays else {}),
        **({"half": True} if getattr(predictor.model, "half", False) else {}),
        **({"abstain": args.abstain} if args.abstain is not None else {}),
        **({"temperature": predictor.model.temperature} if args.abstain is not None or args.save_confidence else {}),
    }


def _identify_refiner(path: str, predictor: Predictor) -> str:
    from mmstreet.refine.configured import identify_refiner, read_refiner

    return identify_refiner(read_refiner(path), predictor.refiner)
