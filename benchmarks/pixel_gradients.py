"""Why few pixels are enough, or not: how far does the gradient of a sample point where the gradient of all pixels points?

    python benchmarks/pixel_gradients.py configs/pixelnet_camvid.py work_dirs/equal_time/pixelnet_2000/final.pth --data data/camvid11

For some batches of training images, at the checkpoint's weights: the cosine between the gradient of ``N`` sampled pixels per image and
that of all labelled pixels of the same images; and between the gradients of all pixels of one batch and of another batch, which no
number of pixels removes. Without dropout and with fixed batch statistics, so that only the choice of pixels and images differs.
"""

from __future__ import annotations

import argparse
from itertools import combinations
from pathlib import Path

import torch
from torch import Tensor, nn

from mmstreet.engine.launch import build_runner, load_config
from mmstreet.files.tables import markdown_table


def gradient(model: nn.Module, batch: dict, num_pixels: int) -> Tensor:
    """Gradient of the loss with respect to all weights, one vector."""
    model.decode_head.num_pixels = num_pixels
    model.zero_grad()
    sum(value for name, value in model.loss(batch["inputs"], batch["data_samples"]).items() if "loss" in name).backward()
    return torch.cat([parameter.grad.flatten() for parameter in model.parameters()])


def main() -> None:
    """Measure and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("config")
    parser.add_argument("checkpoint")
    parser.add_argument("--data", type=Path, help="folder of the data set, default: the one that the config names")
    parser.add_argument("--batches", type=int, default=4)
    parser.add_argument("--pixels", type=int, nargs="+", default=[20, 200, 2_000, 20_000])
    args = parser.parse_args()
    options = {"train_dataloader.num_workers": 0, "train_dataloader.persistent_workers": False}
    options |= {f"{split}_dataloader.dataset.data_root": str(args.data) for split in ("train", "val", "test") if args.data}
    cfg = load_config(args.config, work_dir="work_dirs/pixel_gradients", cfg_options=options, load_from=args.checkpoint)
    runner = build_runner(cfg)
    runner.load_checkpoint(cfg.load_from, strict=True)
    model = runner.model.eval()
    loader = iter(runner.build_dataloader(cfg.train_dataloader, seed=0))
    torch.manual_seed(0)
    cosine, found, whole = nn.CosineSimilarity(dim=0), {num: [] for num in args.pixels}, []
    for _ in range(args.batches):
        batch = model.data_preprocessor(next(loader), training=True)
        height, width = batch["inputs"].shape[2:]
        labelled = min(int((sample.gt_sem_seg.data != 255).sum()) for sample in batch["data_samples"])
        whole.append(gradient(model, batch, labelled))
        for num in args.pixels:
            found[num].append(cosine(gradient(model, batch, num), whole[-1]).item())
    rows = [[f"{num} of {height * width} pixels, same images", *_spread(values)] for num, values in found.items()]
    others = [cosine(first, second).item() for first, second in combinations(whole, 2)]
    print(markdown_table(["gradient of", "mean cosine", "least", "most"], [*rows, ["all pixels, other images", *_spread(others)]]))


def _spread(values: list[float]) -> tuple[float, float, float]:
    return sum(values) / len(values), min(values), max(values)


if __name__ == "__main__":
    main()
