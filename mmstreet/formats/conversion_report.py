"""The report of a conversion: what came in, what went out, and why the rest did not."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field, fields
from pathlib import Path

from mmstreet.files.atomic import write_json

EXAMPLES = 3
"""Sentences kept for each reason."""
_COUNTERS = ("skipped_images", "skipped_instances", "losses", "notes")


@dataclass
class ConversionReport:
    """Counts of images and instances, of what was skipped and of what is worth knowing.

    Attributes:
        strict: Raise the sentence of the first skip instead of counting it.
        source: Input, named when ``strict`` raises.
        images_in: Images found.
        images_out: Images written.
        instances_in: Labels found.
        instances_out: Labels written.
        skipped_images: Images left out, by reason.
        skipped_instances: Labels left out, by reason; labels of an image that was left out are among them.
        losses: What the target format has no place for, while the label itself is written: a flag, a score, a hidden part.
        notes: Things done that change nothing in the counts, such as a mask that was not there to be written.
        examples: For each reason or note the first sentences, which name the file, the frame and the label.
    """

    strict: bool = False
    source: str = ""
    images_in: int = 0
    images_out: int = 0
    instances_in: int = 0
    instances_out: int = 0
    skipped_images: Counter[str] = field(default_factory=Counter)
    skipped_instances: Counter[str] = field(default_factory=Counter)
    losses: Counter[str] = field(default_factory=Counter)
    notes: Counter[str] = field(default_factory=Counter)
    examples: dict[str, list[str]] = field(default_factory=dict)

    def skip_image(self, reason: str, sentence: str, *, instances: int) -> None:
        """Count an image that is left out with its ``instances`` labels."""
        self.skipped_images[reason] += 1
        self.skipped_instances.update({reason: instances} if instances else {})
        self._remember(reason, sentence, fatal=True)

    def skip_instance(self, reason: str, sentence: str) -> None:
        """Count a label that is left out."""
        self.skipped_instances[reason] += 1
        self._remember(reason, sentence, fatal=True)

    def lose(self, what: str, sentence: str) -> None:
        """Count something that the target format has no place for."""
        self.losses[what] += 1
        self._remember(what, sentence, fatal=False)

    def note(self, reason: str, sentence: str) -> None:
        """Count something worth knowing."""
        self.notes[reason] += 1
        self._remember(reason, sentence, fatal=False)

    def _remember(self, reason: str, sentence: str, *, fatal: bool) -> None:
        if fatal and self.strict:
            raise ValueError(f"{self.source}: {sentence}" if self.source else sentence)
        kept = self.examples.setdefault(reason, [])
        if len(kept) < EXAMPLES:
            kept.append(sentence)

    def add(self, other: ConversionReport) -> None:
        """Add the counts of another part of the same conversion."""
        for name in ("images_in", "images_out", "instances_in", "instances_out"):
            setattr(self, name, getattr(self, name) + getattr(other, name))
        for name in _COUNTERS:
            getattr(self, name).update(getattr(other, name))
        for reason, sentences in other.examples.items():
            kept = self.examples.setdefault(reason, [])
            kept.extend(sentences[: EXAMPLES - len(kept)])

    def check(self) -> None:
        """Make sure that nothing was lost on the way.

        Raises:
            RuntimeError: If what came in is not what went out plus what was skipped.
        """
        for kind, came, went, skipped in (
            ("images", self.images_in, self.images_out, self.skipped_images),
            ("instances", self.instances_in, self.instances_out, self.skipped_instances),
        ):
            if came != went + skipped.total():
                raise RuntimeError(f"{came} {kind} came in, but {went} written and {skipped.total()} skipped do not add up to that")

    def write(self, path: str | Path) -> None:
        """Write the counts, notes and examples as JSON."""
        write_json(self.to_dict(), path)

    def to_dict(self) -> dict:
        """Return the counts, notes and examples as JSON knows them."""
        values = {field.name: getattr(self, field.name) for field in fields(self) if field.name not in ("strict", "source")}
        return {name: dict(value) if isinstance(value, Counter) else value for name, value in values.items()}

    def __str__(self) -> str:
        lines = [
            f"{'images':<10} {self.images_in:>9} in  {self.images_out:>9} out  {self.skipped_images.total():>7} skipped",
            f"{'instances':<10} {self.instances_in:>9} in  {self.instances_out:>9} out  {self.skipped_instances.total():>7} skipped",
        ]
        for title in _COUNTERS:
            for reason, number in sorted(getattr(self, title).items(), key=lambda item: (-item[1], item[0])):
                lines.append(f"{title.replace('_', ' '):<18} {number:>7} × {reason}")
                lines += [f"{'':<20}e.g. {sentence}" for sentence in self.examples[reason][:1]]
        return "\n".join(lines)
