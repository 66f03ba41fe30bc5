#!/usr/bin/env python
"""Distil a forecaster of another library: gradient boosting (scikit-learn), or ridge regression where that is missing.

    python examples/gradient_boosting.py --output_dir runs/boosting
    python examples/gradient_boosting.py --output_dir runs/boosting --dataset etth1 --data_dir DIR \\
        --context_length 720 --prediction_length 96 --only_forecasts

One regressor forecasts every step of every channel from a few numbers of the window. Its forecasts are written to a
Parquet file; from then on the file is the teacher. The same student is trained with it and without it, and both are
scored on all test windows of generated data, so that the table says whether the teacher has helped. With other data
the file alone is written, for `scripts/distill.py --teacher`.
"""

import argparse
from pathlib import Path

import numpy as np
from tabulate import tabulate
from transformers import set_seed

import timedistill_hf as td
from timedistill_hf.data import synthetic_series
from timedistill_hf.data.windows import ForecastData, WindowDataset
from timedistill_hf.evaluation.controls import SeasonalNaive
from timedistill_hf.evaluation.evaluate_model import evaluate_model


DAY, WEEK = 24, 168


def features(past_values: np.ndarray, horizon: int) -> np.ndarray:
    """What is known of each step ahead: `[B, L, C]` to `[B * S * C, 9]`, relative to the window's mean."""
    batch, length, channels = past_values.shape
    mean = past_values.mean(axis=1, keepdims=True)
    step = np.arange(horizon)
    days = [past_values[:, length - DAY * (back + 1) + step % DAY] - mean for back in range(4)]
    week = past_values[:, length - WEEK + step % WEEK] - mean
    shape = (batch, horizon, channels)
    last = np.broadcast_to(past_values[:, -1:] - mean, shape)
    day = np.broadcast_to(past_values[:, -DAY:].mean(axis=1, keepdims=True) - mean, shape)
    spread = np.broadcast_to(past_values.std(axis=1, keepdims=True), shape)
    ahead = np.broadcast_to(step[None, :, None] / horizon, shape)
    return np.stack([*days, week, last, day, spread, ahead], axis=-1).reshape(-1, 9)


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
    horizon = future.shape[1]
    change = (future - past.mean(axis=1, keepdims=True)).reshape(-1)
    model = regressor().fit(features(past, horizon), change)

    def forecast(past_values: np.ndarray) -> np.ndarray:
        change = model.predict(features(past_values, horizon)).reshape(len(past_values), horizon, -1)
        return past_values.mean(axis=1, keepdims=True) + change

    lengths = {"context_length": past.shape[1], "prediction_length": horizon}
    return td.CallableTeacher(forecast, name=type(model).__name__, version="1", **lengths)


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


def compare(data: ForecastData, teacher: td.CallableTeacher, table: Path, options: argparse.Namespace) -> str:
    """Test errors of the student with and without the table, of the teacher and of a seasonal naive."""
    windows = td.signal_from_table(table, data)
    models = {
        "student": train(data, options.output_dir / "student", options.epochs, 1.0, windows),
        "student, no distillation": train(data, options.output_dir / "alone", options.epochs, 0.0, windows),
        f"teacher ({teacher.name})": teacher,
        "seasonal naive": SeasonalNaive(data.series.season, options.prediction_length),
    }
    rows = [[name, evaluate_model(model, data, data.test)["mse"]] for name, model in models.items()]
    return tabulate(rows, ["model", "test MSE (standardised)"], "github", floatfmt=".4f")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--output_dir", type=Path, default=Path("runs/boosting"))
    parser.add_argument("--dataset", help="hourly data; generated ones if not given")
    parser.add_argument("--data_dir", help="folder with the data set's file")
    parser.add_argument("--rows", type=int, default=2500, help="hours of generated data")
    parser.add_argument("--context_length", type=int, default=WEEK, help="a week or more")
    parser.add_argument("--prediction_length", type=int, default=48)
    parser.add_argument("--epochs", type=float, default=8)
    parser.add_argument("--only_forecasts", action="store_true", help="write the forecasts, train no student")
    options = parser.parse_args()
    if options.context_length < WEEK:
        parser.error(f"--context_length {options.context_length}: expected {WEEK} or more, its features reach so far")
    options.output_dir.mkdir(parents=True, exist_ok=True)

    series = synthetic_series(options.rows, 3)
    if options.dataset is not None:
        series = td.load_series(options.dataset, data_dir=options.data_dir)
    data = td.make_windows(series, options.context_length, options.prediction_length)
    teacher = fitted(data.train)
    table = td.write_forecasts(teacher, data, options.output_dir / "gradient_boosting.parquet", overwrite=True)
    print(f"Forecasts of {teacher.name} are in {table}")
    if not options.only_forecasts:
        print(compare(data, teacher, table, options))


if __name__ == "__main__":
    main()
