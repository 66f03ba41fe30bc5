"""Run by test_fresh_process.py as a process of its own: students are loaded in every documented way, in a given order.

    python -I fresh_process.py ANSWERS.pt HISTORY.pt hidden|installed WAY,WAY,... SOURCE SOURCE

Each way serves each source, one after the other; the first way is the first thing that the process does.
"""

import importlib.abc
import sys

import torch


TASK = "time-series-forecasting"


class Hide(importlib.abc.MetaPathFinder):
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] == "timedistill_hf":
            raise ModuleNotFoundError(name)


def from_pipeline(source, history):
    from transformers import pipeline

    return pipeline(TASK, model=source, trust_remote_code=True)(history)["prediction_outputs"]


def from_pipeline_without_task(source, history):
    from transformers import pipeline

    return pipeline(model=source, trust_remote_code=True)(history)["prediction_outputs"]


def from_pipeline_of_package(source, history):
    from transformers import pipeline

    import timedistill_hf  # noqa: F401

    return pipeline(TASK, model=source)(history)["prediction_outputs"]


def from_auto_prediction(source, history):
    from transformers import AutoModelForTimeSeriesPrediction

    return forecast(AutoModelForTimeSeriesPrediction.from_pretrained(source, trust_remote_code=True), history)


def from_auto_config(source, history):
    from transformers import AutoConfig, AutoModelForTimeSeriesPrediction

    config = AutoConfig.from_pretrained(source, trust_remote_code=True)
    model = AutoModelForTimeSeriesPrediction.from_pretrained(source, config=config, trust_remote_code=True)
    return forecast(model.fuse(), history)


def from_auto_model(source, history):
    from transformers import AutoModel

    import timedistill_hf  # noqa: F401

    return forecast(AutoModel.from_pretrained(source), history)


def from_auto_feature_extractor(source, history):
    from transformers import AutoFeatureExtractor

    import timedistill_hf

    processor = AutoFeatureExtractor.from_pretrained(source)
    return timedistill_hf.Forecaster(
        timedistill_hf.TimeDistillForPrediction.from_pretrained(source), processor
    ).predict(history)


def from_class(source, history):
    from timedistill_hf import TimeDistillForPrediction

    return forecast(TimeDistillForPrediction.from_pretrained(source), history)


def from_forecaster(source, history):
    from timedistill_hf import Forecaster

    return Forecaster.from_pretrained(source).predict(history)


def forecast(model, history):
    """In the data's units, scaled here as the tests' processor does."""
    mean, std = torch.tensor([10.0, 20.0, 30.0]), torch.tensor([1.0, 2.0, 3.0])
    window = (torch.as_tensor(history)[-model.config.context_length :].float() - mean) / std
    with torch.no_grad():
        return model.eval()(past_values=window[None]).prediction_outputs[0] * std + mean


def main():
    answers, history, package, ways, *sources = sys.argv[1:]
    if package == "hidden":
        sys.meta_path.insert(0, Hide())
    history = torch.load(history, weights_only=True).numpy()
    found = {}
    for way in ways.split(","):
        for source in sources:
            found[way, source] = torch.as_tensor(globals()[f"from_{way}"](source, history)).double()
    assert package == "installed" or "timedistill_hf" not in sys.modules
    torch.save(found, answers)


if __name__ == "__main__":
    main()
