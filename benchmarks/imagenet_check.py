"""Are the published ImageNet weights read rightly? EfficientNet-Lite's own classifier on street photographs.

    python -m benchmarks.imagenet_check data/camvid11/images/val [--depth 0]

puts the classifier of the published file behind the backbone of ``mmstreet.EfficientNetLite`` and counts how often its first answer, or one
of its first five, is a thing of the street. Of ImageNet's 1,000 classes 36 are: by chance 4 % and 17 %.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch.nn import functional as F

from mmstreet.models.efficientnet_lite import EfficientNetLite, find_weights

STREET = {
    "ambulance": 407, "beach wagon": 436, "bicycle for two": 444, "cab": 468, "car mirror": 475, "car wheel": 479, "convertible": 511,
    "crash helmet": 518, "fire engine": 555, "garbage truck": 569, "go-kart": 573, "grille": 581, "jeep": 609, "jinrikisha": 612,
    "limousine": 627, "minibus": 654, "minivan": 656, "Model T": 661, "moped": 665, "motor scooter": 670, "mountain bike": 671,
    "moving van": 675, "parking meter": 704, "pickup": 717, "police van": 734, "racer": 751, "school bus": 779, "sports car": 817,
    "streetcar": 829, "tow truck": 864, "trailer truck": 867, "tricycle": 870, "trolleybus": 874, "unicycle": 880, "street sign": 919,
    "traffic light": 920,
}  # fmt: skip


def main() -> None:
    """Classify the photographs and print the shares."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("photos", type=Path, help="folder of photographs")
    parser.add_argument("--depth", type=int, choices=(0, 1, 2), default=0, help="which EfficientNet-Lite (default 0)")
    args = parser.parse_args()
    paths = sorted(path for path in args.photos.iterdir() if path.suffix.lower() in (".jpg", ".png"))
    if not paths:
        raise SystemExit(f"'{args.photos}' holds no .jpg or .png file")
    backbone = EfficientNetLite(depth=args.depth)
    backbone.init_weights()
    backbone.eval()
    rest = torch.load(find_weights(args.depth), map_location="cpu", weights_only=True)
    norm = [rest[f"_bn1.{name}"] for name in ("running_mean", "running_var", "weight", "bias")]
    first, five = [], []
    for path in paths:
        image = np.asarray(Image.open(path).convert("RGB").resize((320, 240)), np.float32)
        with torch.no_grad():
            x = backbone(torch.from_numpy((image - 127) / 128).permute(2, 0, 1)[None])[-1]
            x = F.relu6(F.batch_norm(F.conv2d(x, rest["_conv_head.weight"]), *norm, eps=1e-3))
            scores = F.linear(x.mean((2, 3)), rest["_fc.weight"], rest["_fc.bias"])
        answers = scores[0].topk(5).indices.tolist()
        first.append(answers[0] in STREET.values())
        five.append(bool(set(answers) & set(STREET.values())))
    print(f"EfficientNet-Lite {args.depth}, {len(paths)} photographs: first answer {np.mean(first):.0%}, one of five {np.mean(five):.0%}")


if __name__ == "__main__":
    main()
