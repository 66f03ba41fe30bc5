"""Two ways to the same numbers agree but for rounding, which is the processor's: bits are asked for only of one model
on one input, of what was saved and loaded, of a run that was resumed and of one store read twice."""

import numpy as np
import pandas as pd
import pytest
import torch


FLOAT32 = {"rtol": 1.3e-6, "atol": 1e-5}
"""What `torch.testing.assert_close` allows that type."""


def frames_close(found: pd.DataFrame, expected: pd.DataFrame, **options) -> None:
    """Tables of forecasts, whose numbers were float32 in the model: exact but for those."""
    pd.testing.assert_frame_equal(found, expected, **(FLOAT32 | options))


def trained(value: float):
    """A score after training: each step takes up the rounding of those before it, which leaves half of the digits."""
    return pytest.approx(value, rel=float(np.sqrt(torch.finfo(torch.float32).eps)))
