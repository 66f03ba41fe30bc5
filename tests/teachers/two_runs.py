"""A run that fills a store as soon as it is told to, and says which windows it has run.

    python -m tests.teachers.two_runs DIRECTORY

Started by test_two_runs.py, which fills the same store at the same time.
"""

import json
import sys

from tests.conftest import CHANNELS, CONTEXT, HORIZON, tiny_teacher
from timedistill_hf.data import SplitSpec, make_windows, synthetic_series
from timedistill_hf.teachers import store_layout
from timedistill_hf.teachers.store import store_signal


THREE_WINDOWS = 3 * 4 * CHANNELS * (HORIZON + 8)
"""Bytes of a shard, so that there are 59."""


def fill(data, directory: str) -> dict:
    """Which windows the teacher ran to fill the store, and sums of what every window then holds."""
    rows = {item["past_values"].numpy().tobytes(): number for number, item in enumerate(data.train)}
    teacher, ran = tiny_teacher("itransformer"), []

    def remember(_, __, inputs):
        if len(inputs["past_values"]) > 1 or ran:  # one is run first, alone, to see its shapes
            ran.extend(rows[past.numpy().tobytes()] for past in inputs["past_values"])

    teacher.register_forward_pre_hook(remember, with_kwargs=True)
    windows = store_signal(teacher, data.train, directory)
    sums = [(item["teacher_prediction_outputs"].sum() + item["teacher_feature"].sum()).item() for item in windows]
    return {"ran": ran, "sums": sums, "shards": windows.layout.num_shards}


def main(directory: str) -> None:
    store_layout._SHARD_BYTES = THREE_WINDOWS
    data = make_windows(synthetic_series(400, CHANNELS), CONTEXT, HORIZON, SplitSpec(rows=(240, 80, 80)))
    print("ready", flush=True)
    sys.stdin.readline()
    print(json.dumps(fill(data, directory)))


if __name__ == "__main__":
    main(sys.argv[1])
