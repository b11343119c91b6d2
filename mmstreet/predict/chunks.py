"""Results of many sources, chunk by chunk, shared with the other processes of a job."""

from __future__ import annotations

import itertools
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from tqdm import tqdm

from mmstreet.files.sharing import Shard, SharedWork, choose_size, current_job, cut_chunks, publish
from mmstreet.predict.folder import SUMMARY, PredictionFolder
from mmstreet.predict.job import Outcome
from mmstreet.predict.sources import Source
from mmstreet.predict.sums import ResultSums

Finish = Callable[[ResultSums, int], dict]
"""Makes the summary of the sums and the number of all sources."""

_ALONE = 512
"""Images that a process by itself takes at a time: enough to keep the disk busy meanwhile, and few enough to hold their records."""


@dataclass
class ShareDone:
    """What this process did: its sources done, failed and finished before, images predicted, and the summary of all as written last."""

    shard: Shard
    outcome: Outcome = field(default_factory=Outcome)
    skipped: int = 0
    images: int = 0
    summary: dict = field(default_factory=dict)


def work_through(
    sources: Sequence[Source],
    folder: PredictionFolder,
    do: Callable[[Sequence[Source], int], Outcome],
    *,
    batch_size: int = 1,
    finish: Finish = ResultSums.to_summary,
    desc: str = "images",
    progress: bool = True,
) -> ShareDone:
    """Make the results of all sources together with the other processes of the job, and write the summary of what is known at the end.

    Args:
        sources: The sources of all processes.
        folder: Where the results go.
        do: Makes the results of some sources that are not finished; the number says after how many images a batch has to end.
        batch_size: Chunks are multiples of it.
        finish: Makes the summary.
        desc: What the progress bar counts.
        progress: Show one, in the first process.

    Raises:
        ValueError: If the folder holds results that this run would replace without being asked to.
    """
    folder.open(sources)
    images = [source for source in sources if not source.is_video]
    size = choose_size(len(images), multiple=batch_size)
    several = size if current_job()[0] else size * max(1, _ALONE // size)
    chunks = [*cut_chunks(images, several), *([source] for source in sources if source.is_video)]
    work = SharedWork(chunks, folder.root, names=itertools.chain([folder.run], (f"{x.name} {x.path}" for x in sources)))
    done = ShareDone(work.shard)
    with tqdm(total=len(sources), desc=desc, unit="img", disable=None if progress and work.shard.index == 0 else True) as bar:

        def do_chunk(chunk: Sequence[Source]) -> dict:
            waiting = folder.choose(chunk)
            outcome = do(waiting, size)
            done.outcome.done += outcome.done
            done.outcome.ms += outcome.ms
            done.images += sum(not source.is_video and source not in outcome.failed for source in waiting)
            done.outcome.failed |= outcome.failed
            done.skipped += len(chunk) - len(waiting)
            sums = ResultSums()
            for source in chunk:
                record = folder.known.get(source, {})
                error = outcome.failed.get(source, record.get("error"))
                if error is not None or "shares" not in record:
                    sums.add_failure(source.path, error or "no result")
                else:
                    sums.add_record(record)
            folder.known.clear()
            bar.update(len(chunk))
            return sums.to_dict()

        work.run(do_chunk)

    def read() -> str:
        sums = ResultSums()
        for part in work.results():
            sums.add(part)
        return json.dumps(finish(sums, len(sources)), indent=2, allow_nan=False) + "\n"

    done.summary = json.loads(publish(read, folder.root / SUMMARY))
    return done
