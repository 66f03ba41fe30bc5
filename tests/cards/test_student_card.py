"""The card of a student says what its results say, and what the Hub reads of it is right."""

import pytest
import yaml
from huggingface_hub import ModelCard

from tests.cards.helper import check_private, results, run_snippets, snippets
from timedistill_hf.cards import save_card, student_card


MEMBER = {"form": "linear", "alpha": 0.0, "beta": 0.0, "parameters": 2328, "validation_mse": 0.2, "mse": 0.3}
MIX = {"members": ["patchtst", "itransformer"], "weights": [0.7, 0.3]}


def several() -> dict:
    content = results(teacher={"name": "patchtst + itransformer", "mix": MIX})
    teacher = content["models"]["teacher"]
    for name, mse in (("patchtst", 0.4321), ("itransformer", 0.5432)):
        content["models"][f"teacher_{name}"] = teacher | {"mse": mse}
    content["settings"] |= {"teacher": ["/tmp/x/patchtst", "itransformer"], "teacher_mix": "validation"}
    return content


def metadata(card: ModelCard) -> dict:
    return yaml.safe_load(card.content.split("---\n")[1])


def section(card: ModelCard, heading: str) -> str:
    return card.content.split(f"## {heading}\n")[1].split("\n## ")[0]


def test_what_the_hub_reads(tmp_path):
    content = results()
    save_card(student_card(content, "me/my-student"), tmp_path)
    card = ModelCard.load(tmp_path / "README.md", ignore_metadata_errors=False)
    data = metadata(card)
    assert data["pipeline_tag"] == "time-series-forecasting"
    assert data["library_name"] == "timedistill_hf"
    assert "license" not in data, "nothing is known of the teacher's"
    assert {"time-series", "forecasting", "distillation"} <= set(data["tags"])
    assert not {"base_model", "datasets"} & set(data)  # neither is on the Hub
    (index,) = data["model-index"]
    assert index["name"] == "my-student"
    (found,) = index["results"]
    assert found["task"]["type"] == "time-series-forecasting"
    assert found["dataset"] == {"name": "synthetic", "type": "synthetic", "split": "test"}
    student = content["models"]["student"]
    assert {metric["type"]: metric["value"] for metric in found["metrics"]} == {
        name: pytest.approx(student[name], abs=5e-6) for name in ("mse", "mae")
    }
    assert [path.name for path in tmp_path.iterdir()] == ["README.md"]


@pytest.mark.parametrize(
    ("name", "config", "datasets", "dataset"),
    [
        ("etth1", None, ["thuml/Time-Series-Library"], {"type": "thuml/Time-Series-Library", "config": "ETTh1"}),
        ("electricity_sub6", None, None, {"type": "electricity_sub6"}),
        ("mine", None, None, {"type": "mine"}),
        ("me/data", "hourly", ["me/data"], {"type": "me/data", "config": "hourly"}),
    ],
)
def test_data_have_a_hub_id_only_where_they_are_there(name, config, datasets, dataset):
    card = student_card(results(data={"name": name}, settings={"hub_config": config}), "x")
    data = metadata(card)
    assert data.get("datasets") == datasets
    found = data["model-index"][0]["results"][0]["dataset"]
    assert found == {"name": name, "split": "test"} | dataset


def test_a_teacher_of_the_hub_is_the_base_model_and_a_folder_is_not():
    folder = results(settings={"teacher": ["/tmp/teachers/a"]}, teacher={"source": ["/tmp/teachers/a"]})
    card = student_card(folder, "x")
    assert "base_model" not in metadata(card)
    assert "trained before this run" in section(card, "Lineage")
    check_private(card.content)
    hub = results(settings={"teacher": ["me/teacher"]}, teacher={"hub_ids": ["me/teacher"]})
    card = student_card(hub, "x")
    assert metadata(card)["base_model"] == "me/teacher"
    assert "[me/teacher](https://huggingface.co/me/teacher)" in section(card, "Lineage")


def test_lineage_of_one_teacher_tells_its_score_and_weights():
    content = results(settings={"alpha": 0.25, "beta": 1.5})
    text = section(student_card(content, "x"), "Lineage")
    assert f"**itransformer** (test MSE {content['models']['teacher']['mse']:.4f}" in text
    assert "alpha 0.25 on its forecast and beta 1.5 on its feature" in text


def test_a_feature_that_was_not_used_is_not_told():
    def text(**settings):
        content = results(settings=settings, teacher={"signal": "stored forecasts"})
        return " ".join(section(student_card(content, "x"), "Lineage").split())

    assert "with the weight alpha 0.25 on its forecast, its feature unused, beside" in text(alpha=0.25, beta=1.5)
    assert "The teacher was not used: alpha is 0, and its features were not stored" in text(alpha=0.0, beta=1.5)


def test_nobody_is_said_to_have_taught_who_did_not():
    text = student_card(results(settings={"alpha": 0.0, "beta": 0.0}), "x").content
    assert "The teacher was not used" in text
    assert "Distilled from" not in text


def test_lineage_of_several_teachers_tells_each_weight_and_score():
    card = student_card(several(), "x")
    text = section(card, "Lineage")
    rows = [[cell.strip() for cell in line.split("|")[1:-1]] for line in text.splitlines() if line.startswith("|")]
    assert ["patchtst", "trained before this run", "0.700", "0.4321"] in [row[:4] for row in rows]
    assert ["itransformer", "trained in this run, on the same train rows", "0.300", "0.5432"] in [r[:4] for r in rows]
    assert "weights from the validation windows, with a pull towards equal ones" in text
    check_private(card.content)


def test_members_that_count_and_no_others():
    members = {
        "a": MEMBER | {"weight": 0.75, "weight_no_kd": 1.0},
        "b": MEMBER | {"form": "periodic", "alpha": 0.5, "weight": 0.25, "weight_no_kd": 0.0},
        "c": MEMBER | {"form": "cycle", "weight": 0.0, "weight_no_kd": 0.0},
    }
    text = section(student_card(results(members=members), "x"), "Lineage")
    assert "members trained with the teacher have 25% of the weight" in text
    assert "Of 3 candidates 2 count" in text
    assert "| periodic " in text
    assert "cycle" not in text


def test_what_the_controls_say_against_it_is_among_the_limits():
    content = results()
    content["models"]["linear"]["mse"] = content["models"]["student"]["mse"] / 2
    content["models"]["student"]["milliseconds"] = content["models"]["teacher"]["milliseconds"] + 1
    card = student_card(content, "x")
    limits = section(card, "Limits")
    assert "a lower MSE than this student's had: one linear layer." in limits
    assert "not faster than its teacher" in limits
    assert "100.0 % above one linear layer" in section(card, "Results")
    fine = results()
    fine["models"] = {"student": fine["models"]["student"] | {"mse": 0.01}, "teacher": fine["models"]["teacher"]}
    assert "lower MSE" not in student_card(fine, "x").content


def test_no_place_and_no_token_of_this_machine(tmp_path):
    secret = "hf_" + "a" * 34
    content = results(
        settings={
            "output_dir": str(tmp_path), "data_dir": "/root/data", "dataset": "/root/data/mine.csv",
            "hub_token": secret, "signal_dir": "/work/signal", "teacher": [str(tmp_path / "teacher")],
        },
        teacher={"source": [str(tmp_path / "teacher")]},
        data={"name": "mine"},
    )  # fmt: skip
    card = student_card(content, str(tmp_path / "student"))
    assert secret not in card.content
    assert 'repo = "student"' in card.content
    check_private(card.content)


def test_odd_names_break_neither_table_nor_snippet(tmp_path):
    columns = ["a|b", "line\nbreak", "```", 'quo"te', "{{ 7 * 7 }}", "f"]
    content = results(data={"columns": columns, "name": "my: {data}|x"})
    card = student_card(content, 'fol"der', plots=())
    for snippet in snippets(card.content):
        compile(snippet, "snippet", "exec")
    assert len(snippets(card.content)) == 2
    assert "{{ 7 * 7 }}" in card.content
    save_card(card, tmp_path)
    assert ModelCard.load(tmp_path / "README.md").data.eval_results[0].dataset_name == "my: {data}/x"


def test_snippets_of_a_long_table_name_its_columns():
    card = student_card(results(settings={"id_column": "store"}, data={"timestamp_column": "day"}), "x")
    assert "# a table of store, day and values, of at least 96 steps" in card.content


def test_the_paper_and_this_software_are_cited():
    text = student_card(results(), "x").content
    assert "arxiv.org/abs/2502.15016" in text
    assert "KDD" in text
    assert "@software{timedistill_hf" in text
    assert "version = {0.1.0}" in text
    assert text.endswith("```\n")


def test_snippets_run_as_written(tmp_path, monkeypatch):
    from tests.cards.helper import TINY

    monkeypatch.chdir(tmp_path)
    (tmp_path / "history.csv").write_bytes((TINY / "history.csv").read_bytes())
    assert run_snippets(student_card(results(), "me/student").content, "me/student", TINY) == 2
