from pathlib import Path

import pytest
import yaml

from benchmarks.harness.cells import Places, slug
from benchmarks.harness.matrix import load_matrix
from tests.harness.helper import MATRIX, matrix_of
from timedistill_hf._utils.errors import InputError


MATRICES = Path(__file__).resolve().parents[2] / "benchmarks/matrices"


def changed(**block) -> str:
    """The matrix with other values in its block; `None` takes one out."""
    content = yaml.safe_load(MATRIX)
    content["blocks"]["main"] |= block
    content["blocks"]["main"] = {name: value for name, value in content["blocks"]["main"].items() if value is not None}
    return yaml.safe_dump(content, sort_keys=False)


def names(folder, text) -> list[str]:
    return [cell.name for cell in matrix_of(folder, text).cells]


def test_seeds_are_outermost_then_horizons_then_data_sets_as_listed(tmp_path):
    assert names(tmp_path, MATRIX) == [
        "a-16-best-patchtst-seed1",
        "b-16-best-patchtst-seed1",
        "a-8-best-patchtst-seed1",
        "b-8-best-patchtst-seed1",
        "a-16-best-patchtst-seed2",
        "b-16-best-patchtst-seed2",
        "a-8-best-patchtst-seed2",
        "b-8-best-patchtst-seed2",
    ]


def test_blocks_in_order_and_the_base_before_its_variants(tmp_path):
    small = {"dataset": ["a"], "prediction_length": [8], "seed": [1]}
    text = changed(
        **small, teachers=[["patchtst", "itransformer"]], variants={"plain": {"alpha": 0}, "deep": {"alpha": 3}}
    )
    text += "  more:\n    dataset: [a]\n    prediction_length: [4]\n    seed: [1]\n    teachers: [[patchtst]]\n"
    matrix = matrix_of(tmp_path, text)
    base = "a-8-best-patchtst+itransformer-seed1"
    assert [(cell.name, cell.base, cell.flags.get("alpha"), cell.block) for cell in matrix.cells] == [
        (base, None, None, "main"),
        ("a-8-plain-patchtst+itransformer-seed1", base, 0, "main"),
        ("a-8-deep-patchtst+itransformer-seed1", base, 3, "main"),
        ("a-4-best-patchtst-seed1", None, None, "more"),
    ]
    assert matrix.name == "tiny"


def test_a_variant_overrides_the_blocks_flags(tmp_path):
    text = changed(flags={"recipe": "best", "alpha": 1, "beta": 2}, variants={"x": {"alpha": 5}})
    base, variant = matrix_of(tmp_path, text).cells[:2]
    assert base.flags == {"recipe": "best", "alpha": 1, "beta": 2}
    assert variant.flags == {"recipe": "best", "alpha": 5, "beta": 2}


def test_a_cell_of_two_blocks_is_one(tmp_path):
    content = yaml.safe_load(MATRIX)
    content["blocks"]["again"] = content["blocks"]["main"] | {"dataset": ["c", "a"], "variants": {"x": {"beta": 0}}}
    found = names(tmp_path, yaml.safe_dump(content, sort_keys=False))
    assert len(found) == len(set(found)) == 8 + 4 + 8
    assert found[:8] == names(tmp_path, MATRIX)
    assert found[8:11] == ["c-16-best-patchtst-seed1", "c-16-x-patchtst-seed1", "a-16-x-patchtst-seed1"]


def test_teachers_take_the_data_flags_and_their_own(tmp_path):
    own = {"patchtst": {"num_train_epochs": 2}}
    text = changed(
        seed=[1, 2],
        teachers=[["patchtst", "itransformer"]],
        teacher_flags=own,
        teacher_prediction_length=20,
        teacher_seed=7,
    )
    cells = matrix_of(tmp_path, text).cells
    teachers = {teacher.name: teacher for cell in cells for teacher in cell.teachers}
    assert sorted(teachers) == [
        "a-20-itransformer-seed7", "a-20-patchtst-seed7", "b-20-itransformer-seed7", "b-20-patchtst-seed7",
    ]  # fmt: skip
    assert teachers["a-20-patchtst-seed7"].flags == {"context_length": 48, "num_train_epochs": 2}
    assert teachers["a-20-itransformer-seed7"].flags == {"context_length": 48}
    plain = matrix_of(tmp_path, MATRIX).cells
    assert [cell.teachers[0].name for cell in plain[:3]] == ["a-16-patchtst-seed1", "b-16-patchtst-seed1",
                                                            "a-8-patchtst-seed1"]  # fmt: skip
    assert plain[-1].teachers[0].seed == 2


def test_commands(tmp_path):
    text = "signal_limit_gb: 3\n" + changed(
        teachers=[["patchtst", "itransformer"]],
        flags={"recipe": "best", "controls": ["linear", "student_no_kd"], "alpha": None, "normalization": "revin",
               "revin_affine": False, "teacher_signal": "auto"},
        teacher_flags={"patchtst": {"teacher_config": {"d_model": 8}}},
    )  # fmt: skip
    cell = matrix_of(tmp_path, text).cells[0]
    places = Places(tmp_path, tmp_path / "runs", tmp_path / "results/tiny", "DATA")
    joined = " ".join(cell.arguments(places))
    runs = tmp_path / "runs"
    assert f"--teacher {runs}/teachers/a-16-patchtst-seed1 {runs}/teachers/a-16-itransformer-seed1 --" in joined
    assert f"--output_dir {runs}/cells/a-16-best-patchtst+itransformer-seed1 " in joined
    for part in (
        "--dataset a ", "--data_dir DATA ", "--prediction_length 16 ", "--seed 1 ", "--signal_limit_gb 3 ",
        "--controls linear student_no_kd ", "--revin_affine false", f"--signal_dir {runs}/signal/",
    ):  # fmt: skip
        assert part in joined
    assert "--alpha" not in joined
    of_teacher = cell.teachers[0].arguments(places)
    assert of_teacher[of_teacher.index("--teacher_config") + 1] == '{"d_model": 8}'
    assert of_teacher[of_teacher.index("--teacher") + 1] == "patchtst"
    assert "--signal_dir" not in of_teacher


def test_slug():
    assert [slug(name) for name in ("etth1", "x/my.csv", "user/set", "a.parquet")] == [
        "etth1", "my", "user_set", "a",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("block", "words"),
    [
        ({"datset": ["a"]}, ("'datset'", "did you mean 'dataset'")),
        ({"flags": {"alhpa": 1}}, ("'alhpa'", "did you mean 'alpha'")),
        ({"variants": {"x": {"bta": 1}}}, ("'bta'", "did you mean 'beta'")),
        ({"teacher_flags": {"patchtst": {"num_train_epoch": 1}}}, ("did you mean 'num_train_epochs'",)),
        ({"teacher_flags": {"patchtst": {"alpha": 1}}}, ("'alpha'", "no flag")),
        ({"teacher_flags": {"itransformer": {}}}, ("'itransformer' is not known",)),
        ({"teachers": [["patchts"]]}, ("'patchts'", "did you mean 'patchtst'")),
        ({"teachers": ["patchtst"]}, ("teachers=", "lists of families")),
        ({"teachers": None}, ("teachers=None",)),
        ({"dataset": []}, ("dataset=[]",)),
        ({"dataset": "a"}, ("dataset='a'", "list of names")),
        ({"seed": [1, "2"]}, ("seed=", "whole numbers")),
        ({"seed": [True]}, ("seed=", "whole numbers")),
        ({"seed": [1, 1]}, ("seed lists 1 twice",)),
        ({"prediction_length": [0]}, ("prediction_length=0",)),
        ({"flags": {"seed": 3}}, ("'seed'", "sets itself")),
        ({"flags": ["alpha"]}, ("expected a mapping",)),
        ({"flags": {"recipe": "a/b"}}, ("'a/b'", "file names")),
        ({"flags": {"alpha": [[1]]}}, ("alpha=[[1]]",)),
        ({"variants": {"best": {}}, "flags": {}}, ("'best'", "name of the recipe")),
        ({"variants": {"x": {"context_length": 96}}}, ("'context_length'", "no variant")),
        ({"variants": {"x y": {}}}, ("'x y'", "file names")),
        ({"teacher_flags": {"patchtst": {"context_length": 96}}}, ("'context_length'", "which data")),
        ({"teacher_prediction_length": 12}, ("teacher_prediction_length=12", "longest horizon 16")),
        ({"teacher_seed": "x"}, ("teacher_seed='x'",)),
    ],
)
def test_what_is_refused_in_a_block(tmp_path, block, words):
    with pytest.raises(InputError) as caught:
        matrix_of(tmp_path, changed(**block))
    message = str(caught.value)
    assert "\n" not in message
    assert "tiny.yaml" in message
    for word in words:
        assert word in message


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("blocks: {}", "mapping of a name"),
        ("block: {}", "did you mean 'blocks'"),
        ("- a", "expected a mapping"),
        ("blocks: [", "cannot be read"),
        ("signal_limit_gb: -1\nblocks: {}", "signal_limit_gb=-1"),
        (MATRIX + "    seed: [3]\n", "'seed' a second time"),
        (MATRIX + "  main: {}\n", "'main' a second time"),
    ],
)
def test_what_is_refused_in_a_file(tmp_path, text, words):
    with pytest.raises(InputError, match=words):
        matrix_of(tmp_path, text)


def test_one_name_for_two_cells_teachers_or_variants_is_refused(tmp_path):
    content = yaml.safe_load(MATRIX)
    main = content["blocks"]["main"]
    for other, words in (
        ({"flags": main["flags"] | {"alpha": 2}}, "'a-16-best-patchtst-seed1'.*alpha"),
        ({"flags": main["flags"] | {"recipe": "x", "context_length": 96}}, "'a-16-patchtst-seed1'.*96"),
        ({"teacher_flags": {"patchtst": {"learning_rate": 1}}}, "'a-16-patchtst-seed1'"),
    ):
        content["blocks"]["other"] = main | other
        with pytest.raises(InputError, match=words):
            matrix_of(tmp_path, yaml.safe_dump(content, sort_keys=False))
    content["blocks"]["main"] = main | {"variants": {"x": {"alpha": 1}}}
    content["blocks"]["other"] = main | {"dataset": ["c"], "variants": {"x": {"alpha": 2}}}
    with pytest.raises(InputError, match="variant 'x'"):
        matrix_of(tmp_path, yaml.safe_dump(content, sort_keys=False))


def test_a_missing_file(tmp_path):
    with pytest.raises(InputError, match="cannot be read"):
        load_matrix(tmp_path / "no.yaml")


def test_two_files_of_one_stem_are_two_cells_of_one_name(tmp_path):
    with pytest.raises(InputError, match=r"x/a\.csv"):
        matrix_of(tmp_path, changed(dataset=["a", "x/a.csv"]))


@pytest.mark.parametrize("path", sorted(MATRICES.glob("*.yaml")), ids=lambda path: path.stem)
def test_the_projects_own_matrices_can_be_run(path):
    cells = load_matrix(path).cells
    names = {cell.name for cell in cells}
    assert all(cell.base is None or cell.base in names for cell in cells)
