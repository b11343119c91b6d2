"""What mmengine keeps of the runs of a process."""

import sys


def forget_runs() -> None:
    """Forget visualizers and loggers of earlier runs.

    mmengine finds a run's visualizer by name and second: two runs of one name in one second would write into the first one's folder. A
    logger writes to the stream of the test that made it, which is closed by the next.
    """
    if "mmengine.visualization" in sys.modules:
        base = sys.modules["mmengine.visualization"].Visualizer
        for kind in (base, *base.__subclasses__()):
            kind._instance_dict.clear()
    if "mmengine.logging" in sys.modules:
        sys.modules["mmengine.logging"].MMLogger._instance_dict.clear()
