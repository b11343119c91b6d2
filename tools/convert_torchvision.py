"""Write torchvision's published weights as a checkpoint with mmstreet's names, for machines without network or other trainers.

Configs need no such file: their ``load_from`` names the published URL, which is fetched and renamed when training starts.
"""

import argparse
from pathlib import Path

import torch

from mmstreet.engine.errors import WeightsError
from mmstreet.engine.pretrained import fetch_weights
from mmstreet.labels import TABLES
from mmstreet.models.coco_classes import STREET_IDS, pick_classes
from mmstreet.models.torchvision_weights import PUBLISHED, find_layout, list_left_out, rename_tensors


def main() -> None:
    """Fetch or read the weights, rename every tensor, write the checkpoint."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("name", choices=PUBLISHED, help="torchvision's model name")
    parser.add_argument("--source", type=Path, help="the published file, if it is here already; default: download it")
    parser.add_argument(
        "--classes",
        choices=[name for name, table in TABLES.items() if set(table.names) <= set(STREET_IDS)],
        help="for a Mask R-CNN: the classes of this table instead of COCO's 80, each with the weights of its COCO class (a rider's are a "
        "person's), so that no layer starts anew; without it the layers that name a class start anew in a model of other classes",
    )
    parser.add_argument("--out", type=Path, help="default: checkpoints/NAME.pth")
    args = parser.parse_args()

    if args.source and not args.source.is_file():
        parser.error(f"--source '{args.source}' does not exist; give the path of a downloaded file, or leave it out to download it")
    try:
        source = args.source or fetch_weights(PUBLISHED[args.name])
    except WeightsError as error:
        parser.exit(1, f"{error}\n")
    state_dict = torch.load(source, map_location="cpu", weights_only=True)
    layout = find_layout(state_dict)
    if layout is None:
        parser.exit(1, f"'{source}' has none of the shapes that torchvision publishes; expected the file behind {PUBLISHED[args.name]}\n")
    if args.classes and layout.name != "Mask R-CNN":
        parser.error(f"--classes is for maskrcnn_resnet50_fpn, but '{source}' is a {layout.name}; leave it out")
    renamed = rename_tensors(state_dict, layout)
    if args.classes:
        renamed = pick_classes(renamed, TABLES[args.classes].names)
    out = args.out or Path("checkpoints") / f"{args.name}.pth"
    out.parent.mkdir(parents=True, exist_ok=True)
    torch.save({"state_dict": renamed, "meta": {"torchvision": PUBLISHED[args.name]}}, out)
    for what in list_left_out(state_dict, layout):
        print(f"left out: {what}")
    print(f"{layout.name}: {len(renamed)} of {len(state_dict)} tensors renamed; use it with --cfg-options load_from={out}")


if __name__ == "__main__":
    main()
