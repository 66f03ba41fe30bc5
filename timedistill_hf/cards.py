"""Model cards, filled from the results of a run, by huggingface_hub's own classes."""

from importlib.resources import files

from huggingface_hub import EvalResult, ModelCard, ModelCardData

from .evaluation.report import results_table


def student_card(results: dict, repo: str) -> ModelCard:
    """The card of a distilled student.

    Args:
        results: the content of `results.json`.
        repo: folder or Hub id that the snippets load.
    """
    settings, data, models = results["settings"], results["data"], results["models"]
    student, teacher = models["student"], models["teacher"]
    card_data = ModelCardData(
        library_name="timedistill_hf",
        pipeline_tag="time-series-forecasting",
        tags=["time-series", "forecasting", "distillation"],
        model_name=repo.rstrip("/").rsplit("/", 1)[-1],
        eval_results=[
            EvalResult(
                task_type="time-series-forecasting",
                dataset_type=data["name"],
                dataset_name=data["name"],
                metric_type=metric,
                metric_value=round(student[metric], 5),
                metric_name=f"test {metric.upper()}, standardised values",
            )
            for metric in ("mse", "mae")
        ],
    )
    columns = data["columns"]
    return ModelCard.from_template(
        card_data,
        template_str=(files("timedistill_hf") / "templates/model_card.md").read_text(encoding="utf-8"),
        title=f"{data['name']}: {settings['context_length']} to {settings['prediction_length']} steps",
        architecture=settings["architecture"],
        parameters=f"{student['parameters']:,}",
        context_length=settings["context_length"],
        prediction_length=settings["prediction_length"],
        channels=f"{len(columns)} channels" if len(columns) > 1 else f"`{columns[0]}`",
        columns=", ".join(columns[:6]) + (", ..." if len(columns) > 6 else ""),
        teacher=results["teacher"]["name"],
        teacher_mse=f"{teacher['mse']:.4f}",
        dataset=data["name"],
        fingerprint=data["fingerprint"],
        data_note=f"; {data['note']}" if data["note"] else "",
        season=data["season"],
        device=results["hardware"]["device"],
        threads=results["hardware"]["threads"],
        table=results_table(models),
        repo=repo,
        limits=_limits(models),
        **{
            name: settings[name]
            for name in ("alpha", "beta", "num_scales", "temperature", "kl_reduction", "loss", "seed")
        },
    )


def _limits(models: dict[str, dict]) -> str:
    """What the controls say against this student."""
    better = [name for name in ("student_no_kd", "linear", "seasonal_naive", "teacher") if name in models]
    better = [name for name in better if models[name]["mse"] < models["student"]["mse"]]
    if not better:
        return ""
    return f" On these test windows {', '.join(better)} had a lower MSE than this student."
