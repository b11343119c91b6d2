"""Logging, checkpoints and checks of a segmentation config that trains by epochs; validation and test."""

default_scope = "mmseg"
val_cfg = dict(type="ValLoop")
test_cfg = dict(type="TestLoop")
env_cfg = dict(cudnn_benchmark=True, mp_cfg=dict(mp_start_method="fork", opencv_num_threads=0), dist_cfg=dict(backend="nccl"))
randomness = dict(seed=0)

default_hooks = dict(
    timer=dict(type="IterTimerHook"),
    logger=dict(type="LoggerHook", interval=10),
    param_scheduler=dict(type="ParamSchedulerHook"),
    checkpoint=dict(type="mmstreet.AtomicCheckpointHook", interval=1, by_epoch=True, max_keep_ckpts=1, save_best="mIoU", rule="greater"),
    sampler_seed=dict(type="DistSamplerSeedHook"),
)
custom_hooks = [
    dict(type="mmstreet.LoadFromHook"),
    dict(type="mmstreet.PreflightHook"),
    dict(type="mmstreet.ExactResumeHook"),
    dict(type="mmstreet.FiniteLossHook"),
    dict(type="mmstreet.CheckpointGuardHook"),
    dict(type="mmstreet.DeviceHook"),
    dict(type="mmstreet.MissedValidationHook"),
    dict(type="mmstreet.ScheduleHook"),
]

visualizer = dict(type="SegLocalVisualizer", vis_backends=[dict(type="LocalVisBackend")], name="visualizer")
log_processor = dict(by_epoch=True)
log_level = "INFO"
