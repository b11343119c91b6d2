"""One line from an image to a prediction: ``Predictor(config, checkpoint)(image)``."""

from __future__ import annotations

import json
import tempfile
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from mmstreet.files.images import ORIENTATIONS, as_rgb
from mmstreet.predict.binary import labels_of, shift_probs
from mmstreet.predict.confidence import abstain_below, measure_entropy, temper_probs
from mmstreet.predict.download import fetch_source, is_address
from mmstreet.predict.load_model import load_model, make_refiner
from mmstreet.predict.result import Result
from mmstreet.predict.sources import refuse_address
from mmstreet.predict.views import make_views, mean_scores, unite_instances

if TYPE_CHECKING:
    from mmstreet.refine.refiners import Refiner

_INSTANCE_LIMIT = 100


class Predictor:
    """Predicts images with a trained or an exported model, semantic or of instances; results are in the coordinates of the image.

    Args:
        config: Config file of mmseg or mmdet; or, without a checkpoint, an exported ``.onnx`` or ``.torchscript`` file, which needs no
            OpenMMLab, or a segmentation model of transformers, by its folder or its name on the Hugging Face hub; default: the model that
            comes with the package, which is an exported file.
        checkpoint: A ``.pth`` file, the folder of a run for its newest one, or a URL whose file name carries a hash; none for an exported
            file.
        device: ``'cpu'``, ``'cuda'``, ``'cuda:1'`` …; default: a GPU if there is one.
        batch_size: Images per forward pass in :meth:`predict_all`; those of one batch that differ in size are passed one size at a time.
        flip: Average over the image and its mirror image (test-time augmentation).
        scales: Average over these multiples of the usual size.
        refine: A :class:`~mmstreet.refine.refiners.Refiner`, its config as a dict, or a config file with ``refiner``; for semantic models.
        keep_probs: Return the probabilities too, which take ``4 C H W`` bytes per image.
        keep_confidence: Return confidence and entropy of each pixel too.
        abstain: Pixels of less confidence become unknown, 255; none by default.
        min_score: Objects of lower scores are left out.
        orientation: Whether image files and videos are turned as their tags say (``'exif'``) or not (``'stored'``); default: as the
            config's own loader does, and for an exported file as the config did that it came from.
        half: Let the network compute in float16 on a GPU, in bfloat16 on a CPU that is fast in it.
        channels_last: Lay out the network's maps with their channels last.
        trust: Read a checkpoint that holds other Python objects than weights and logs, which may run code.
        cfg_options: Settings by dotted key that overrule the config's.

    Raises:
        LaunchError: If config, checkpoint and machine do not fit together; a ``ValueError``.
        FileNotFoundError: If there is no such exported file.
        ValueError: If a setting is out of range or does not go with the model.
        ImportError: If OpenMMLab, or the runtime of an exported file, is not installed.

    Attributes:
        classes: Class names in the order of their ids.
        palette: RGB of each class, uint8 ``[C, 3]``.
        kind: ``'semantic'`` or ``'instance'``.
        name: File name of the model or of its config.
        about: What is known of a model that has no config: scores, licence; else ``None``.
    """

    def __init__(
        self,
        config: str | Path | None = None,
        checkpoint: str | Path | None = None,
        *,
        device: str | None = None,
        batch_size: int = 1,
        flip: bool = False,
        scales: Sequence[float] = (1.0,),
        refine: Refiner | Mapping | str | Path | None = None,
        keep_probs: bool = False,
        keep_confidence: bool = False,
        abstain: float | None = None,
        min_score: float = 0.3,
        orientation: str | None = None,
        half: bool = False,
        channels_last: bool = False,
        trust: bool = False,
        cfg_options: Mapping | None = None,
    ) -> None:
        if batch_size < 1:
            raise ValueError(f"batch_size must be 1 or more, got {batch_size}")
        self.views = make_views(flip=flip, scales=scales)
        self.batch_size = batch_size
        self.keep_probs = keep_probs
        self.keep_confidence, self.abstain = keep_confidence, abstain
        if abstain is not None and not 0 < abstain < 1:
            raise ValueError(f"abstain must be a confidence between 0 and 1, got {abstain}")
        self.min_score = min_score
        self.model = load_model(config, checkpoint, device=device, trust=trust, cfg_options=cfg_options)
        if half or channels_last:
            if not hasattr(self.model, "speed_up"):
                raise ValueError(f"'{config}' computes in the type and layout that it was exported with; leave out half and channels_last")
            self.model.speed_up(half=half, channels_last=channels_last)
        self.classes, self.palette, self.kind = self.model.classes, self.model.palette, self.model.kind
        self.name, self.about = self.model.name, self.model.about
        if orientation not in (None, *ORIENTATIONS):
            raise ValueError(f"orientation must be 'stored' or 'exif', not {orientation!r}")
        self.orientation = orientation or self.model.orientation
        unsure = keep_confidence or abstain is not None
        if self.kind == "instance" and (refine is not None or keep_probs or unsure):
            raise ValueError(
                f"{'a refiner works' if refine is not None else 'probabilities exist'} for semantic models; this one finds instances"
            )
        self.refiner = None if refine is None else make_refiner(refine, self.classes, self.model.label_rows)

    def __call__(self, image: object) -> Result:
        """Predict one image.

        Args:
            image: Path, address on the web, PIL image or RGB array; see :meth:`read`.

        Raises:
            FileNotFoundError: If there is no such file.
            ValueError: If the image cannot be read.
        """
        array = self.read(image)
        return replace(self.predict_batch([array])[0], image=array)

    def read(self, image: object) -> np.ndarray:
        """Return an image as RGB, uint8 ``[H, W, 3]``.

        A file is read as the config's own loader reads it, with its orientation, decoder and colours, or as ``orientation`` says.

        Args:
            image: Path or address of a file, or what :func:`~mmstreet.files.images.as_rgb` takes.
        """
        if is_address(image):
            with tempfile.TemporaryDirectory() as folder:
                return self.read(fetch_source(str(image), folder))
        reading = getattr(self.model, "reading", None)
        if reading is None or not isinstance(image, str | Path) or self.orientation != reading.orientation:
            return as_rgb(image, orientation=self.orientation)
        refuse_address(image, "files are not fetched: download it and give its path")
        return reading.read(image)

    def predict_all(self, images: Iterable[object]) -> Iterator[Result]:
        """Predict many images, ``batch_size`` at a time, in their order; no more are held than those of a batch, and on a GPU of the next.

        Args:
            images: See :meth:`__call__`.
        """
        images, begun = iter(images), deque()
        while batch := list(islice(images, self.batch_size)):
            begun.append(self.begin_batch([self.read(image) for image in batch]))
            if len(begun) > self.ahead:
                yield from begun.popleft()()
        for results in begun:
            yield from results()

    def predict_batch(self, images: Sequence[np.ndarray]) -> list[Result]:
        """Predict RGB images, uint8 ``[H, W, 3]`` each, in one go."""
        return self._find_objects(images) if self.kind == "instance" else self._label_pixels(images)

    @property
    def ahead(self) -> int:
        """How many batches to begin before the results of the first are asked for: 1 where a GPU works beside the processor, else 0."""
        return int(getattr(self.model, "queues", False) and self._needs_labels_only)

    def begin_batch(self, images: Sequence[np.ndarray]) -> Callable[[], list[Result]]:
        """Run the network for :meth:`predict_batch`, and return the function that makes the results, in any thread.

        On a GPU that function waits for the network, and another batch can be begun before.
        """
        begin = getattr(self.model, "begin_labels", None)
        if begin is None or not self._needs_labels_only:
            results = self.predict_batch(images)
            return lambda: results
        read = begin(images)
        return lambda: [Result(labels, self.classes, self.palette) for labels in read()]

    def _label_pixels(self, images: Sequence[np.ndarray]) -> list[Result]:
        if self._needs_labels_only:
            return [Result(labels, self.classes, self.palette) for labels in self.model.predict_labels(images)]
        seen = []
        for view in self.views:
            scores = self.model.predict_probs([view.show(image) for image in images], scale=view.scale)
            seen.append([view.undo_scores(score) for score in scores])
        results = []
        for image, scores in zip(images, zip(*seen)):
            probs = mean_scores(scores)
            labels, changes = labels_of(probs, self.model.threshold), None
            if self.refiner is not None:
                labels, record = self.refiner(image, shift_probs(probs, self.model.threshold))
                changes = json.loads(record.to_json())
            more = self._measure_confidence(labels, probs)
            kept = probs if self.keep_probs else None
            results.append(Result(**{"labels": labels} | more, classes=self.classes, palette=self.palette, probs=kept, changes=changes))
        return results

    @property
    def _needs_labels_only(self) -> bool:
        return self.kind == "semantic" and len(self.views) == 1 and self.views[0].scale == 1 and not self.needs_probs

    @property
    def needs_probs(self) -> bool:
        """Whether more is asked for than the labels of the network."""
        return self.keep_probs or self.keep_confidence or self.abstain is not None or self.refiner is not None

    def _measure_confidence(self, labels: np.ndarray, probs: np.ndarray) -> dict[str, np.ndarray]:
        if not self.keep_confidence and self.abstain is None:
            return {}
        probs = temper_probs(probs, self.model.temperature or 1.0)
        confidence = probs.max(0)
        found = {} if self.abstain is None else {"labels": abstain_below(labels, confidence, self.abstain)}
        return found | ({"confidence": confidence, "entropy": measure_entropy(probs)} if self.keep_confidence else {})

    def _find_objects(self, images: Sequence[np.ndarray]) -> list[Result]:
        seen = []
        for view in self.views:
            found = self.model.predict_instances([view.show(image) for image in images], scale=view.scale)
            found = [objects.select(objects.scores >= self.min_score) for objects in found]
            seen.append([view.undo_instances(objects, image.shape[1]) for objects, image in zip(found, images)])
        results = []
        for image, views in zip(images, zip(*seen)):
            objects = views[0] if len(views) == 1 else unite_instances(views, limit=_INSTANCE_LIMIT)
            results.append(Result(objects.to_labels(image.shape[:2]), self.classes, self.palette, instances=objects))
        return results
