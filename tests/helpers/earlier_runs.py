"""What mmengine keeps of the runs of a process."""

import sys


def forget_runs() -> None:
    """Forget visualizers, default scopes and loggers of earlier runs.

    mmengine finds a run's visualizer and its scope by name and second: of two runs of one name in one second the other would write into the
    first one's folder, and build from the registry of whatever ran between them. A logger writes to the stream of the test that made it,
    which is closed by the next.
    """
    if "mmengine.visualization" in sys.modules:
        base = sys.modules["mmengine.visualization"].Visualizer
        for kind in (base, *base.__subclasses__()):
            kind._instance_dict.clear()
    if "mmengine.registry" in sys.modules:
        sys.modules["mmengine.registry"].DefaultScope._instance_dict.clear()
    if "mmengine.logging" in sys.modules:
        sys.modules["mmengine.logging"].MMLogger._instance_dict.clear()
