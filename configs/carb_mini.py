"""Do pseudo-masks of a tiny CLIP, made while training, teach a network generated scenes? The dual path on a CPU, from scratch.

The tiny CLIP and its text embeddings are trained on the mini set itself: ``python -m benchmarks.train_tiny_clip``.
"""

_base_ = "./carb_mini_single.py"

embeddings = dict(text_embeddings="checkpoints/tiny_clip/text_embeddings.npz", table="bdd100k_sem19")
model = dict(
    decode_head=dict(embeddings, channels=64),
    teacher=dict(embeddings, _delete_=True, type="mmstreet.ClipTeacher", model="checkpoints/tiny_clip"),
    patch_hw=(128, 64),
)
train_pipeline = [step for step in _base_.train_pipeline if step["type"] != "mmstreet.LoadLabels"]
train_dataloader = dict(dataset=dict(masks_dir=None, pipeline=train_pipeline))
