"""Hooks: checks before and during training, checkpoints that survive a kill, resuming that changes nothing."""

from mmstreet.engine.hooks.checkpoint import AtomicCheckpointHook
from mmstreet.engine.hooks.checkpoint_guard import CheckpointGuardHook
from mmstreet.engine.hooks.device import DeviceHook
from mmstreet.engine.hooks.exact_resume import ExactResumeHook
from mmstreet.engine.hooks.finite_loss import FiniteLossHook
from mmstreet.engine.hooks.label_maps import LabelMapsHook
from mmstreet.engine.hooks.load_from import LoadFromHook
from mmstreet.engine.hooks.missed_validation import MissedValidationHook
from mmstreet.engine.hooks.preflight import PreflightHook
from mmstreet.engine.hooks.schedule import ScheduleHook

__all__ = [
    "AtomicCheckpointHook",
    "CheckpointGuardHook",
    "DeviceHook",
    "ExactResumeHook",
    "FiniteLossHook",
    "LabelMapsHook",
    "LoadFromHook",
    "MissedValidationHook",
    "PreflightHook",
    "ScheduleHook",
]
