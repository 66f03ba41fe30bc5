"""The Python in docs/dataframes.md, run as written, one snippet after the other."""

from pathlib import Path

import numpy as np

from tests.rounding import frames_close


DOCUMENT = Path(__file__).resolve().parents[1] / "docs" / "dataframes.md"


def test_the_snippets_run(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    names = {}
    for snippet in DOCUMENT.read_text(encoding="utf-8").split("```python\n")[1:]:
        exec(snippet.split("```")[0], names)
    forecast, result = names["forecast"], names["result"]
    assert list(forecast.columns) == ["shop", "ds", "sales"]
    assert forecast["shop"].tolist() == np.repeat(["007", "B", "b"], 24).tolist()
    assert list(result.forecasts.columns) == ["shop", "cutoff", "ds", "y", "forecast", "seasonal_naive"]
    assert {"mse", "mase", "standardized_mae", "points"} <= set(result.metrics)
    frames_close(names["pipe"](names["shops"], id_column="shop"), forecast)
