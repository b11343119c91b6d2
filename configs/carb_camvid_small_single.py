"""Does the balance of regions help against wrong masks on real street photographs? The single path on CamVid, on a CPU, from scratch."""

_base_ = "./carb_mini_single.py"

model = dict(data_preprocessor=dict(size=(176, 240)), decode_head=dict(num_classes=11, table="camvid11"))
sized = dict(Resize=dict(scale=(240, 176)))
train_pipeline = [dict(step, **sized.get(step["type"], {})) for step in _base_.train_pipeline]
test_pipeline = [dict(step, **sized.get(step["type"], {})) for step in _base_.test_pipeline]
files = dict(data_root="data/camvid11")
train_dataloader = dict(dataset=dict(files, type="mmstreet.WeakCamVidSemSeg", pipeline=train_pipeline))
val_dataloader = dict(dataset=dict(files, type="mmstreet.CamVidSemSeg", pipeline=test_pipeline))
test_dataloader = val_dataloader
