"""Model cards, filled from the results of a run, by huggingface_hub's own classes."""

from importlib.resources import files

from huggingface_hub import EvalResult, ModelCard, ModelCardData
from tabulate import tabulate

from .evaluation.report import results_table


def student_card(results: dict, repo: str) -> ModelCard:
    """The card of a distilled student.

    Args:
        results: the content of `results.json`.
        repo: folder or Hub id that the snippets load.
    """
    settings, data, models = results["settings"], results["data"], results["models"]
    student = models["student"]
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
        lineage=_lineage(results),
        dataset=data["name"],
        fingerprint=data["fingerprint"],
        data_note=f"; {data['note']}" if data["note"] else "",
        season=data["season"],
        device=results["hardware"]["device"],
        threads=results["hardware"]["threads"],
        table=results_table(models),
        repo=repo,
        limits=_limits(models),
        **{name: settings[name] for name in ("num_scales", "temperature", "kl_reduction", "seed")},
    )


def _lineage(results: dict) -> str:
    """From whom the student has learnt, and of a combination, its members and what each counts."""
    name, error = results["teacher"]["name"], results["models"]["teacher"]["mse"]
    teacher = f"**{name}** (test MSE {error:.4f} on standardised values)"
    if "members" not in results:
        settings = results["settings"]
        weights = f"alpha {settings['alpha']}, beta {settings['beta']}"
        return f"Distilled from {teacher} with {weights}, supervised by {settings['loss']}."
    members = [member for member in results["members"].values() if member["weight"]]
    taught = sum(member["weight"] for member in members if member["alpha"] or member["beta"])
    rows = [
        [member["form"], member["alpha"], member["beta"], f"{member['weight']:.3f}", f"{member['validation_mse']:.4f}"]
        for member in members
    ]
    table = tabulate(rows, ["member", "alpha", "beta", "weight", "validation MSE"], "github", disable_numparse=True)
    said = f"Distilled from {teacher}: members that heard it have {taught:.0%} of the weight."
    if not taught:
        said = f"No teacher has a part in this student: on validation, members without {teacher} did better."
    return (
        f"{said} Members, their weights and the teacher's weight in each (alpha on its forecast, beta on its feature) "
        f"were chosen on the validation windows, which therefore look better than new data will.\n\n{table}"
    )


def _limits(models: dict[str, dict]) -> str:
    """What the controls say against this student."""
    better = [name for name in ("student_no_kd", "linear", "seasonal_naive", "teacher") if name in models]
    better = [name for name in better if models[name]["mse"] < models["student"]["mse"]]
    if not better:
        return ""
    return f" On these test windows {', '.join(better)} had a lower MSE than this student."
