#!/usr/bin/env python
"""Students of other families, each with and without a teacher's help, on generated data.

    python examples/other_students.py          # about a minute on 2 cores

PatchTSMixer is transformers' own class; LightTS is this package's. Both go through the same trainer.
"""

from pathlib import Path
from tempfile import TemporaryDirectory

from transformers import PatchTSMixerConfig, PatchTSMixerForPrediction, set_seed

import timedistill_hf as td
from timedistill_hf.data import synthetic_series
from timedistill_hf.evaluation.evaluate_model import evaluate_model


QUIET = {"report_to": "none", "disable_tqdm": True}
TEACHER = {"learning_rate": 3e-3, "lr_epoch_decay": 0.7, "num_train_epochs": 8}
STUDENT = {"learning_rate": 1e-2, "num_train_epochs": 6}


def patchtsmixer(shape: dict) -> PatchTSMixerForPrediction:
    return PatchTSMixerForPrediction(
        PatchTSMixerConfig(**shape, patch_length=8, patch_stride=8, d_model=16, num_layers=2, dropout=0.1)
    )


def light_ts(shape: dict) -> td.LightTSForPrediction:
    return td.LightTSForPrediction(td.LightTSConfig(**shape, chunk_length=24, d_model=32))


def main() -> None:
    data = td.make_windows(synthetic_series(2000, 3), context_length=96, prediction_length=24)
    with TemporaryDirectory() as folder:
        teacher = td.train_teacher(
            "itransformer",
            data,
            Path(folder, "teacher"),
            config={"d_model": 64, "ffn_dim": 64},
            **QUIET,
            **TEACHER,
        )
        lines = [("teacher (itransformer)", teacher)]
        for build in (patchtsmixer, light_ts):
            for title, alpha in (("alone", 0.0), ("with the teacher", 1.0)):
                set_seed(1)
                student = build(data.shape)
                # beta is the weight of the teacher's features, which both could learn from too
                args = td.TimeDistillTrainingArguments(
                    str(Path(folder, build.__name__, title)), alpha=alpha, beta=0.0, **QUIET, **STUDENT
                )
                td.TimeDistillTrainer(student, args, teacher=teacher, **data.for_trainer()).train()
                lines.append((f"{build.__name__}, {title}", student))
        for title, model in lines:
            score = evaluate_model(model, data, data.test)
            size = sum(parameter.numel() for parameter in model.parameters())
            print(f"{title:32} test MSE {score['mse']:.4f}  MAE {score['mae']:.4f}  {size:9,} parameters")


if __name__ == "__main__":
    main()
