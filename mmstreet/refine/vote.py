"""Voting: every mask takes the class that most of its pixels have, small masks over large ones, thin classes under protection.

The vote is that of Semantic Segment Anything (Chen et al., 2023, fudan-zvg/Semantic-Segment-Anything) with a purity that a majority must
reach. A mask without a clear majority changes nothing; so does a tie, because a rule like "lowest id wins" would favour some classes.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from mmstreet.labels import IGNORE_INDEX
from mmstreet.refine.proposals import Masks
from mmstreet.refine.record import ACCEPTED, RegionReport


def vote_by_mask(
    labels: np.ndarray,
    masks: Masks,
    *,
    probs: np.ndarray | None = None,
    class_ids: Sequence[int] | None = None,
    purity: float = 0.5,
) -> tuple[np.ndarray, list[RegionReport]]:
    """Give every mask the class of its majority.

    All votes read the map that came in. Masks are assigned from large to small; of equal ones that with the higher score comes later. The
    order in which the masks are given has no influence.

    Args:
        labels: uint8 ``[H, W]``; 255 votes for nothing and is never changed.
        masks: Any masks of the image; they may overlap.
        probs: float32 ``[K, H, W]``: then the votes are sums of probabilities instead of numbers of pixels.
        class_ids: The ``K`` class ids of ``probs``.
        purity: Share of the votes that the winner needs, in ``[0, 1]``.

    Returns:
        The new map, uint8 ``[H, W]``, and one report per mask, in their order.

    Raises:
        ValueError: If the masks belong to an image of another size.
    """
    if masks.size_hw != labels.shape:
        raise ValueError(f"the masks are for an image of {list(masks.size_hw)}, the label map is {list(labels.shape)} (height, width)")
    valid = labels != IGNORE_INDEX
    voted = labels.copy()
    reports: list[RegionReport] = []
    inside, winners, windows = [], [], masks.windows
    for window, crop, box, score in zip(windows, masks.crops, masks.boxes_xyxy.tolist(), masks.scores.tolist()):
        counted = crop & valid[window]
        if probs is None:
            votes = np.bincount(labels[window][counted], minlength=IGNORE_INDEX)
        else:
            votes = np.zeros(IGNORE_INDEX)
            votes[list(class_ids)] = np.einsum("khw,hw->k", probs[:, window[0], window[1]], counted.astype(np.float32))
        winner, verdict = _judge(votes, purity)
        inside.append(counted)
        winners.append(winner)
        reports.append(RegionReport(tuple(box), winner, int(np.count_nonzero(crop)), score, verdict))
    order = sorted(range(len(masks)), key=lambda i: (-reports[i].area_px, reports[i].score, reports[i].box_xyxy))
    for i in order:
        if reports[i].accepted:
            voted[windows[i]][inside[i]] = winners[i]
    return voted, reports


def _judge(votes: np.ndarray, purity: float) -> tuple[int | None, str]:
    """Return the class with most votes, ``[255]``, and the verdict."""
    total = votes.sum()
    if not total > 0:
        return None, "refused, no labelled pixel"
    winner = int(votes.argmax())
    share = votes[winner] / total
    if np.count_nonzero(votes == votes[winner]) > 1:
        return winner, "refused, tie"
    if share < purity:
        return winner, f"refused, mixed: its largest class has {share:.2f} of it, {purity:.2f} needed"
    return winner, ACCEPTED


def keep_protected(
    before: np.ndarray,
    after: np.ndarray,
    protected: Sequence[int],
    *,
    frozen: Sequence[int] = (),
    free: np.ndarray | None = None,
) -> tuple[np.ndarray, int]:
    """Undo changes from a protected class to one that is not, and all changes from or to a frozen class.

    A protected class may gain pixels and may pass them to another protected one; it does not lose them to the scene around it, which is
    how smoothing and voting erase poles. A frozen class ends as it was.

    Args:
        before: uint8 ``[H, W]``.
        after: The refined map.
        protected: Ids of the protected classes.
        frozen: Ids of the frozen classes.
        free: bool ``[H, W]``: pixels of protected classes that may change all the same.

    Returns:
        The map with those pixels put back, and their number.
    """
    is_protected, is_frozen = np.zeros((2, IGNORE_INDEX + 1), bool)
    is_protected[list(protected)] = True
    is_frozen[list(frozen)] = True
    undo = is_protected[before] & ~is_protected[after]
    if free is not None:
        undo &= ~free
    undo |= (is_frozen[before] | is_frozen[after]) & (before != after)
    return np.where(undo, before, after), int(undo.sum())
