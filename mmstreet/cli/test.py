"""``mmstreet test``: test a checkpoint, and write tables and a page."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

from mmstreet.cli.arguments import (
    CommandParser,
    add_cfg_options,
    add_loading,
    add_model,
    add_processes,
    add_speed,
    read_cfg_options,
    settle_data,
)
from mmstreet.cli.on_ray import add_ray_size
from mmstreet.files.split_names import SPLITS


def parse_args(argv: Sequence[str] | None, prog: str | None) -> argparse.Namespace:
    """Read the command line."""
    parser = CommandParser(
        prog=prog,
        description="Test a segmentor or a detector, or the .onnx or .torchscript file that one was exported to, given as CHECKPOINT.",
    )
    add_model(parser)
    parser.add_argument("--out", help="folder for the results; default: 'test' in the work dir")
    parser.add_argument("--work-dir", help="folder for logs; default: the config's, else work_dirs/<config name>")
    parser.add_argument(
        "--images",
        type=int,
        default=40,
        metavar="N",
        help="images to keep and show at most, those that cost most in all, in each class, slice and confusion (default: 40; 0: none)",
    )
    parser.add_argument("--worst", type=int, default=8, metavar="K", help="of these for their low mIoU (default: 8)")
    parser.add_argument("--examples", type=int, default=4, metavar="K", help="of these spread evenly over the data set (default: 4)")
    parser.add_argument(
        "--splits",
        nargs="+",
        choices=SPLITS,
        metavar="SPLIT",
        help="test on these splits, e.g. train val, a folder each, and one page about all; default: the config's test set",
    )
    parser.add_argument("--safety", action="store_true", help="also the road-safety score: RoadSafetyMetric is added to the evaluator")
    parser.add_argument(
        "--calibration",
        action="store_true",
        help="also whether confidence means anything: ECE, NLL, risk over coverage; also with the temperature of mmstreet calibrate",
    )
    parser.add_argument(
        "--danger", action="store_true", help="also dangerous confusions: Safe mIoU, what is taken for road, objects found and missed"
    )
    parser.add_argument(
        "--label-errors",
        nargs="?",
        type=int,
        const=200,
        metavar="K",
        help="also the K areas and images whose labels the model believes least, to look at: ranked list and pictures (default: 200)",
    )
    parser.add_argument(
        "--corruptions",
        nargs="*",
        metavar="KIND",
        help="also under noise, blur, weather, digital faults and a poor camera, five severities each, and what is left of the mIoU; "
        "default: all, else groups or kinds, e.g. weather motion_blur; a run that was killed goes on where it was",
    )
    parser.add_argument("--quick", action="store_true", help="with --corruptions: three severities, and 40 images of the test set")
    parser.add_argument(
        "--by",
        nargs="+",
        metavar="NAME",
        help="break the scores down by brightness, sharpness, row (thirds of the image rows), share/CLASS, or an attribute of --attributes",
    )
    parser.add_argument(
        "--attributes", metavar="FILE", help="Scalabel JSON, or CSV with a column 'image': weather, scene, timeofday, … of each image"
    )
    parser.add_argument(
        "--refine",
        action="append",
        default=[],
        metavar="CONFIG",
        help="also score what this refiner makes of the model's maps, e.g. crf, or a config file; may be given several times; "
        "default: the refiner of the config itself, if it has one",
    )
    add_loading(parser)
    add_speed(parser)
    add_cfg_options(parser)
    add_processes(parser)
    add_ray_size(parser)
    args = parser.parse_intermixed_args(argv)
    settle_data(parser, args)
    if args.refine and args.splits:
        parser.error("--refine works on the config's test set; leave out --splits")
    if args.corruptions is not None and args.splits:
        parser.error("--corruptions works on the config's test set; leave out --splits")
    if args.label_errors is not None and args.label_errors < 1:
        parser.error(f"--label-errors is how many areas to list, at least 1, not {args.label_errors}")
    if args.quick and args.corruptions is None:
        parser.error("--quick makes --corruptions short; give both")
    if args.attributes and not args.by:
        parser.error("--attributes needs --by, the names of those to break the scores down by")
    return args


def main(argv: Sequence[str] | None = None, prog: str | None = None) -> int:
    """Run the command and return its exit code."""
    args = parse_args(argv, prog)
    from mmengine.dist import barrier, is_main_process

    from mmstreet.cli.progress import shown_progress
    from mmstreet.cli.report import show_run
    from mmstreet.engine.launch import build_runner, load_config
    from mmstreet.engine.safe_load import safe_loading
    from mmstreet.evaluation.calibration import add_calibration, temperature_of
    from mmstreet.evaluation.corruptions import choose_kinds, run_corruptions
    from mmstreet.evaluation.refinement import add_refinement
    from mmstreet.evaluation.run_record import command_line, home_of, recorded
    from mmstreet.evaluation.scene_safety import add_safety_metric
    from mmstreet.evaluation.semantic_metrics import add_metric, set_slices
    from mmstreet.evaluation.splits import run_splits
    from mmstreet.evaluation.testing import run_test
    from mmstreet.files.contained import path_inside
    from mmstreet.predict.exported_segmentor import use_exported

    cfg = load_config(
        args.config,
        work_dir=args.work_dir,
        cfg_options=read_cfg_options(args.cfg_options),
        launcher=args.launcher,
        load_from=args.checkpoint,
        amp=args.amp,
        channels_last=args.channels_last,
        compiled=args.compile,
        batch_size=args.batch_size,
        loader="test_dataloader",
        data=args.data,
    )
    kinds = choose_kinds(args.corruptions or ()) if args.corruptions is not None else None
    use_exported(cfg)
    if args.by:
        set_slices(cfg, args.by, args.attributes)
    if args.calibration:
        add_calibration(cfg)
    if args.danger:
        add_metric(cfg, dict(type="mmstreet.DangerousConfusionMetric"))
    if args.label_errors:
        add_metric(cfg, dict(type="mmstreet.LabelErrorMetric", top=args.label_errors, temperature=temperature_of(cfg)))
    if args.safety:
        add_safety_metric(cfg)
    out = args.out or path_inside(cfg.work_dir, "test")
    Path(out).mkdir(parents=True, exist_ok=True)  # before the model runs for an hour
    refiners = args.refine or ([args.config] if cfg.get("refiner") and not args.splits else [])
    if refiners:
        add_refinement(cfg, refiners, out=out, keep=min(args.worst, args.images))
    kept = dict(images=args.images, worst=args.worst, examples=args.examples)
    with safe_loading():
        runner = None if args.splits else build_runner(cfg)
        home = home_of(cfg, out)
        with recorded(cfg, command_line(argv, prog), kind="test", folder=home):
            if runner is None:
                run_splits(cfg, args.splits, out=out, **kept)
            else:
                with shown_progress(runner, shown=not (args.verbose or args.debug)):
                    run_test(runner, out=out, **kept)
                    if kinds is not None:
                        run_corruptions(runner, kinds, out=out, quick=args.quick)
        if is_main_process():
            show_run(home or out)
        barrier()  # torchrun ends all processes when one that has left early fails, and results would stay half written
    return 0
