"""How far do image-level labels and CLIP get on WildDash 2's hard conditions and 25 classes?

CARB's dual path with Cityscapes' schedule. The published images lie in one folder: make ``train.txt`` and ``val.txt`` with
tools/split_dataset.py.
"""

_base_ = "./carb_cityscapes.py"

embeddings = dict(text_embeddings="checkpoints/clip_vit_b16_wilddash25.npz", table="wilddash25")
model = dict(decode_head=dict(embeddings, num_classes=25), teacher=embeddings)
files = dict(data_root="data/wilddash2", split=".")
train_dataloader = dict(dataset=dict(files, type="mmstreet.WeakWildDash2SemSeg", image_labels="image_labels.json", ann_file="train.txt"))
val_dataloader = dict(dataset=dict(files, type="mmstreet.WildDash2SemSeg", ann_file="val.txt"))
test_dataloader = val_dataloader
