"""Mistakes that stop a run and that the user can correct: the text is the whole message, without a traceback."""


class TrainingStopped(Exception):
    """Base of all of them; the commands print the text and leave with exit code 1."""


class LaunchError(TrainingStopped, ValueError):
    """The command line, the config and the machine do not fit together."""


class PreflightError(TrainingStopped, ValueError):
    """Model, losses, data and metric of a config contradict each other."""


class NonFiniteError(TrainingStopped, FloatingPointError):
    """A loss or a weight became infinite or not a number."""


class WeightsError(TrainingStopped, ValueError):
    """Pretrained weights are missing, damaged, or not for this model."""
