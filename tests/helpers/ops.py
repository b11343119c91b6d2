"""Tests that need MMDetection and mmcv's compiled operators; the light environment skips them and says why."""

import pytest

from mmstreet.engine.compiled_ops import explain_instances

HERE = explain_instances("this test") is None
needs_ops = pytest.mark.skipif(not HERE, reason="needs MMDetection and mmcv's compiled ops: make instances")
