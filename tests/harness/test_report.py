"""Cells with known errors, and the numbers that the report must make of them."""

import json

import numpy as np
import pytest

from benchmarks.harness.published import HORIZONS, PUBLISHED
from benchmarks.harness.report import BEGIN, END, write_report
from benchmarks.harness.results import load_results
from benchmarks.harness.summary import summarise
from tests.harness.helper import finished, matrix_of
from timedistill_hf._utils.errors import InputError


TEXT = """
blocks:
  main:
    dataset: [weather, etth2, etth1, traffic_sub6]
    prediction_length: [96, 192, 336, 720]
    seed: [1, 2]
    teachers: [[patchtst, itransformer]]
    flags: {recipe: best}
    variants: {flat: {num_scales: 0}, alone: {beta: 0}}
"""
ROLES = ("student", "student_no_kd", "linear", "teacher", "seasonal_naive", "teacher_patchtst")


@pytest.fixture
def written(tmp_path):
    """All cells but ETTh2's last horizon and seed 2 of ETTh1; test errors by cell and role."""
    rng = np.random.default_rng(0)
    errors = {}
    for cell in matrix_of(tmp_path, TEXT).cells:
        is_there = not (cell.dataset == "etth2" and cell.prediction_length == 720)
        is_there = is_there and not (cell.dataset == "etth1" and cell.seed == 2)
        if is_there and (cell.base is None or cell.dataset in ("weather", "etth1")):
            errors[cell.name] = dict(zip(ROLES, rng.uniform(0.2, 0.4, len(ROLES)).tolist()))
            linear = {"validation_mse": 0.5, "mse": 0.25 * cell.seed, "weight": 0.1 * cell.seed, "alpha": 0.0}
            cycle = {"validation_mse": None, "mse": 0.125, "weight": 1 - 0.1 * cell.seed, "alpha": 0.5}
            members = {name: {"form": name, "beta": 0.0} | own for name, own in (("linear", linear), ("cycle", cycle))}
            note = "a part" if "_sub" in cell.dataset else ""
            finished(
                cell,
                tmp_path / "results/tiny",
                errors[cell.name],
                members=members if cell.dataset == "weather" else {},
                data={"rows": {"train": [0, 10]}, "columns": ["x"], "note": note},
            )
    return tmp_path, errors


def of(errors: dict, dataset: str, role: str, variant: str = "best") -> np.ndarray:
    """Test errors `[horizon, seed]`, NaN where a cell is not there."""
    name = "{}-{}-{}-patchtst+itransformer-seed{}"
    return np.array(
        [
            [errors.get(name.format(dataset, length, variant, seed), {}).get(role, np.nan) for seed in (1, 2)]
            for length in HORIZONS
        ]
    )


def row(rows: list[dict], **wanted) -> dict:
    (found,) = [each for each in rows if all(each[name] == value for name, value in wanted.items())]
    return found


def test_averages_over_horizons_beside_the_published(written):
    folder, errors = written
    averages = summarise(load_results(folder / "results/tiny"))["averages"]
    assert [each["dataset"] for each in averages] == ["etth1", "etth2", "weather", "traffic_sub6"]
    weather = row(averages, dataset="weather")
    for role in ROLES:
        assert weather["mse"][role] == pytest.approx(of(errors, "weather", role).mean())
    student = of(errors, "weather", "student").mean()
    assert weather["against_timedistill"] == pytest.approx(100 * (student - 0.221) / 0.221)
    assert weather["against_best"] == pytest.approx(100 * (student - 0.218) / 0.218)
    assert (weather["published_best_model"], weather["seeds"]) == ("DUET", {"min": 2, "max": 2})

    partial = row(averages, dataset="etth2")
    assert partial["horizons"] == [96, 192, 336]
    assert partial["mse"]["linear"] == pytest.approx(np.nanmean(of(errors, "etth2", "linear")))
    assert not partial["has_all_horizons"]
    assert partial["against_timedistill"] is None
    assert partial["against_best"] is None

    etth1 = row(averages, dataset="etth1")
    assert (etth1["published_timedistill"], etth1["published_best"], etth1["seeds"]["max"]) == (None, 0.397, 1)
    assert etth1["against_best"] is not None
    part = row(averages, dataset="traffic_sub6")
    assert part["has_all_horizons"]
    assert (part["published_timedistill"], part["published_best"], part["against_best"]) == (None, None, None)


def test_seeds_that_lack_at_one_horizon_do_not_weigh_it_down(written):
    folder, errors = written
    lost = "weather-96-best-patchtst+itransformer-seed2"
    (folder / f"results/tiny/{lost}.json").unlink()
    errors.pop(lost)
    weather = row(summarise(load_results(folder / "results/tiny"))["averages"], dataset="weather")
    by_horizon = np.nanmean(of(errors, "weather", "student"), axis=1)
    assert weather["mse"]["student"] == pytest.approx(by_horizon.mean())
    assert weather["seeds"] == {"min": 1, "max": 2}


@pytest.mark.parametrize("flags", ["context_length: 336", "missing_value: -9999", "target_columns: [x]"])
def test_other_windows_or_columns_are_not_set_beside_the_published(tmp_path, flags):
    for cell in matrix_of(tmp_path, TEXT.replace("recipe: best", f"recipe: best, {flags}")).cells:
        finished(cell, tmp_path / "tiny", dict.fromkeys(ROLES, 0.5))
    averages = summarise(load_results(tmp_path / "tiny"))["averages"]
    assert all(each["has_all_horizons"] and each["published_best"] is None for each in averages)


def test_cells(written):
    folder, errors = written
    cells = summarise(load_results(folder / "results/tiny"))["cells"]
    assert len(cells) == 4 + 3 + 4 + 4 + 2 * 8
    for place, length in enumerate(HORIZONS):
        cell = row(cells, dataset="weather", prediction_length=length, variant="best")
        for role in ROLES:
            mse = of(errors, "weather", role)[place]
            assert cell["roles"][role]["mse"] == pytest.approx({"mean": mse.mean(), "min": min(mse), "max": max(mse)})
            assert cell["roles"][role]["mae"]["mean"] == pytest.approx(2 * mse.mean())
        student, own, linear = (of(errors, "weather", role)[place] for role in ROLES[:3])
        better = min(own.mean(), linear.mean())
        assert cell["against_better_control"] == pytest.approx(100 * (student.mean() - better) / better)
        assert cell["is_below_both"] == (student.mean() < better)
        assert cell["is_flagged"] == (student.mean() > 1.005 * better)
        changes = 100 * (student - linear) / linear
        assert cell["against"]["linear"]["mean"] == pytest.approx(changes.mean())
        assert cell["against"]["linear"]["max"] == pytest.approx(changes.max())


@pytest.mark.parametrize(
    ("student", "own", "linear", "below", "flagged"),
    [
        (0.30, 0.31, 0.32, True, False),
        (0.30, 0.31, 0.299, False, False),
        (0.30, 0.2984, 0.31, False, True),
        (0.30, 0.31, 0.29, False, True),
        (0.30, None, 0.31, False, False),
    ],
)
def test_verdicts(tmp_path, student, own, linear, below, flagged):
    cell = matrix_of(tmp_path, TEXT).cells[0]
    errors = {"student": student, "student_no_kd": own, "linear": linear}
    finished(cell, tmp_path / "tiny", {role: value for role, value in errors.items() if value is not None})
    (found,) = summarise(load_results(tmp_path / "tiny"))["cells"]
    assert (found["is_below_both"], found["is_flagged"]) == (below, flagged)
    text = write_report(load_results(tmp_path / "tiny"), tmp_path / "docs", "the command").read_text()
    lines = [" ".join(line.split()) for line in text.splitlines()]
    assert any("| **Above** (" in line for line in lines) is flagged
    assert any("| below both: " in line for line in lines) is below


def test_ablations_over_common_cells(written):
    folder, errors = written
    lost = "weather-192-flat-patchtst+itransformer-seed2"
    (folder / f"results/tiny/{lost}.json").unlink()
    errors.pop(lost)
    ablations = summarise(load_results(folder / "results/tiny"))["ablations"]
    assert sorted(each["variant"] for each in ablations) == ["alone", "flat"]
    assert [each["change"] for each in ablations] == sorted((each["change"] for each in ablations), reverse=True)
    for variant, runs in (("flat", 11), ("alone", 12)):
        changes = np.concatenate(
            [
                100 * (of(errors, dataset, "student", variant) / of(errors, dataset, "student") - 1)
                for dataset in ("weather", "etth1")
            ]
        )
        by_cell = np.nanmean(changes, axis=1)
        found = row(ablations, variant=variant, base="best")
        assert found["change"] == pytest.approx(by_cell.mean())
        assert found["over_cells"] == pytest.approx({"min": by_cell.min(), "max": by_cell.max()})
        ranges = np.abs(changes[:, 0] - changes[:, 1])
        assert found["over_seeds"] == pytest.approx(np.nanmean(ranges))
        assert (found["cells"], found["runs"]) == (8, runs)


def test_members(written):
    folder, _ = written
    members = summarise(load_results(folder / "results/tiny"))["members"]
    assert [(each["dataset"], each["member"], each["runs"]) for each in members] == [
        ("weather", "linear", 8), ("weather", "cycle", 8),
    ]  # fmt: skip
    linear, cycle = members
    assert (linear["weight"], linear["mse"], linear["alpha"]) == (pytest.approx(0.15), pytest.approx(0.375), 0.0)
    assert (cycle["weight"], cycle["validation_mse"], cycle["alpha"]) == (pytest.approx(0.85), None, 0.5)


def test_the_document(written):
    folder, errors = written
    command = "python benchmarks/reproduce.py --matrix tiny.yaml --report"
    path = write_report(load_results(folder / "results/tiny"), folder / "docs", command)
    text = path.read_text()
    assert text.startswith(BEGIN)
    assert command in text.split("-->")[0]
    assert text.rstrip().endswith(END)
    lines = [" ".join(line.replace("|", " ").split()) for line in text.splitlines()]
    student = of(errors, "weather", "student")
    (average,) = [
        line for line in lines if line.startswith("weather best, patchtst+itransformer 96, 192, 336, 720 2 ")
    ]
    change = 100 * (student.mean() / 0.218 - 1)
    assert f" {student.mean():.4f} " in average
    assert average.endswith(f"0.218 (DUET) {change:+.2f} %")
    assert any("96, 192, 336 (**not yet 720**)" in line and line.startswith("etth2") for line in lines)
    (part,) = [line for line in lines if line.startswith("traffic_sub6 best, patchtst+itransformer 96, ")]
    assert part.endswith("- - - -")
    assert "traffic_sub6: a part." in lines
    first = student[0]
    (cell, _) = [line for line in lines if line.startswith("weather-96 best, ")]
    assert f"2 {first.mean():.4f} ({first.min():.4f} to {first.max():.4f}) " in cell
    assert "/secret" not in text
    assert text.count("python scripts/distill.py --dataset weather --data_dir DIR") == 3 * 8
    assert "# weather-96-best-patchtst+itransformer-seed1: 10 s, OMP_NUM_THREADS=1, commit 0123456789ab-dirty" in lines
    assert "python scripts/train_teacher.py itransformer" in lines
    for image in ("relative_error-best-patchtst+itransformer.png", "ablation-best.png"):
        assert f"(images/{image})" in text
        assert (folder / "docs/images" / image).read_bytes().startswith(b"\x89PNG")
    summary = json.loads((folder / "docs/results.json").read_text())
    assert row(summary["averages"], dataset="weather")["mse"]["student"] == pytest.approx(student.mean())


def test_a_document_written_by_hand_is_not_replaced(written):
    folder, _ = written
    results = load_results(folder / "results/tiny")
    path = write_report(results, folder / "docs", "one")
    write_report(results, folder / "docs", "two")
    assert "two" in path.read_text()
    path.write_text("# mine\n")
    with pytest.raises(InputError, match="written by hand"):
        write_report(results, folder / "docs", "three")
    assert path.read_text() == "# mine\n"


def test_files_of_others_and_half_written_ones(written):
    folder, errors = written
    results = folder / "results/tiny"
    (results / ".0123-x.json").write_text("{")
    assert len(load_results(results)) == len(errors)
    (results / "x.json").write_text('{"models": {}}')
    with pytest.raises(InputError, match=r"x\.json' holds no results of benchmarks"):
        load_results(results)


def test_published_figures_are_of_whole_benchmarks():
    from timedistill_hf.data.benchmarks import BENCHMARKS

    assert all(name in BENCHMARKS and not BENCHMARKS[name].note for name in PUBLISHED)
    assert PUBLISHED["etth1"].timedistill is None
    mean = np.mean([published.timedistill for published in PUBLISHED.values() if published.timedistill])
    assert mean == pytest.approx((0.345 + 0.348 + 0.250 + 0.221 + 0.157 + 0.387 + 0.184) / 7)
