#!/usr/bin/env python
"""Distil a forecaster of another library: gradient boosting (scikit-learn), or ridge regression where that is missing.

    python examples/gradient_boosting.py --output_dir runs/boosting

One regressor forecasts every step of every channel from a few numbers of the window. Its forecasts are written to a
Parquet file; from then on the file is the teacher. The same student is trained with it and without it, and both are
scored on all test windows of generated data, so that the table says whether the teacher has helped.
"""

import argparse
from pathlib import Path

import numpy as np
from tabulate import tabulate
from transformers import set_seed

import timedistill_hf as td
from timedistill_hf.data import synthetic_series
from timedistill_hf.data.windows import WindowDataset
from timedistill_hf.evaluation.controls import SeasonalNaive
from timedistill_hf.evaluation.evaluate_model import evaluate_model


LOOK_BACK, HORIZON, SEASON = 168, 48, 24


def features(past_values: np.ndarray) -> np.ndarray:
    """What is known of each step ahead: `[B, L, C]` to `[B * S * C, 9]`, relative to the window's mean."""
    batch, _, channels = past_values.shape
    mean = past_values.mean(axis=1, keepdims=True)
    step = np.arange(HORIZON)
    seasons = [past_values[:, LOOK_BACK - SEASON * (back + 1) + step % SEASON] - mean for back in range(4)]
    week = past_values[:, :HORIZON] - mean
    shape = (batch, HORIZON, channels)
    last = np.broadcast_to(past_values[:, -1:] - mean, shape)
    day = np.broadcast_to(past_values[:, -SEASON:].mean(axis=1, keepdims=True) - mean, shape)
    spread = np.broadcast_to(past_values.std(axis=1, keepdims=True), shape)
    ahead = np.broadcast_to(step[None, :, None] / HORIZON, shape)
    return np.stack([*seasons, week, last, day, spread, ahead], axis=-1).reshape(-1, 9)


def regressor():
    try:
        from sklearn.ensemble import HistGradientBoostingRegressor
    except ImportError:
        return Ridge()
    return HistGradientBoostingRegressor(max_iter=200, learning_rate=0.1, l2_regularization=1.0, random_state=0)


class Ridge:
    """Linear regression with a small penalty: enough to run the example without scikit-learn."""

    def fit(self, seen: np.ndarray, wanted: np.ndarray) -> "Ridge":
        gram = seen.T @ seen + 1e-2 * len(seen) * np.eye(seen.shape[1])
        self.weight = np.linalg.solve(gram, seen.T @ wanted)
        return self

    def predict(self, seen: np.ndarray) -> np.ndarray:
        return seen @ self.weight


def fitted(windows: WindowDataset, every: int = 7) -> td.CallableTeacher:
    """A forecaster that has learnt from every seventh window."""
    items = [windows[index] for index in range(0, len(windows), every)]
    past, future = (np.stack([item[name].numpy() for item in items]) for name in ("past_values", "future_values"))
    model = regressor().fit(features(past), (future - past.mean(axis=1, keepdims=True)).reshape(-1))

    def forecast(past_values: np.ndarray) -> np.ndarray:
        change = model.predict(features(past_values)).reshape(len(past_values), HORIZON, -1)
        return past_values.mean(axis=1, keepdims=True) + change

    name = type(model).__name__
    lengths = {"context_length": LOOK_BACK, "prediction_length": HORIZON}
    return td.CallableTeacher(forecast, name=name, version="1", **lengths)


def train(data, folder: Path, epochs: float, alpha: float, windows) -> td.TimeDistillForPrediction:
    set_seed(1)
    student = td.TimeDistillForPrediction(td.TimeDistillConfig(**data.shape, hidden_size=64))
    args = td.TimeDistillTrainingArguments(
        str(folder), alpha=alpha, beta=0.0, learning_rate=0.003, num_train_epochs=epochs, report_to="none",
        lr_scheduler_type="cosine", disable_tqdm=True, eval_strategy="no", save_strategy="no",
    )  # fmt: skip
    trainer = td.TimeDistillTrainer(student, args, **(data.for_trainer() | {"train_dataset": windows}))
    trainer.train()
    return trainer.model


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--output_dir", type=Path, default=Path("runs/boosting"))
    parser.add_argument("--rows", type=int, default=2500, help="hours of generated data")
    parser.add_argument("--epochs", type=float, default=8)
    options = parser.parse_args()
    options.output_dir.mkdir(parents=True, exist_ok=True)

    data = td.make_windows(synthetic_series(options.rows, 3), LOOK_BACK, HORIZON)
    teacher = fitted(data.train)
    table = td.write_forecasts(teacher, data, options.output_dir / "forecasts.parquet", overwrite=True)
    print(f"Forecasts of {teacher.name} are in {table}")

    windows = td.signal_from_table(table, data)
    models = {
        "student": train(data, options.output_dir / "student", options.epochs, 1.0, windows),
        "student, no distillation": train(data, options.output_dir / "alone", options.epochs, 0.0, windows),
        f"teacher ({teacher.name})": teacher,
        "seasonal naive": SeasonalNaive(data.series.season, HORIZON),
    }
    rows = [[name, evaluate_model(model, data, data.test)["mse"]] for name, model in models.items()]
    print(tabulate(rows, ["model", "test MSE (standardised)"], "github", floatfmt=".4f"))


if __name__ == "__main__":
    main()
