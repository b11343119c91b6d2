"""A run that notes its process: a new process imports nothing else to call it."""

import os


def note_process(name, folder, changes, seed, args):
    """In place of a training: write the number of the process; the run ``broken`` fails."""
    if name == "broken":
        raise OSError("no space left")
    folder.mkdir(parents=True)
    (folder / "process").write_text(str(os.getpid()))
