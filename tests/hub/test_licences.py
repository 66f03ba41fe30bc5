"""The licence of what is published: the teacher's where that is known, asked for where none is, never assumed."""

import json
from unittest import mock

import pytest
from huggingface_hub import ModelCard

from tests.cards.test_student_card import results
from tests.conftest import tiny_patchtst
from timedistill_hf import load_teacher
from timedistill_hf._utils.errors import InputError
from timedistill_hf._utils.licences import common_licence, licence_in, licence_of
from timedistill_hf.cards import save_card, student_card, trainer_card
from timedistill_hf.cards.trained import Trained, trained_card
from timedistill_hf.hub import publish
from timedistill_hf.hub.publishing import HubTarget
from timedistill_hf.teachers.combined import SeveralTeachers
from timedistill_hf.training.arguments import ForecastTrainingArguments

from .models import processor, save, tiny_student


FREE, BOUND = {"license": "mit"}, {"license": "cc-by-nc-4.0"}
OWN = {"license": "other", "license_name": "timesfm-research", "license_link": "https://example.org/terms"}


def front(licence: dict, text: str = "# A model\n") -> str:
    lines = "".join(f"{name}: {value}\n" for name, value in licence.items())
    return f"---\n{lines}tags:\n- x\n---\n{text}"


def published(folder, **kwargs) -> str:
    """The card that would go to the Hub."""
    with (
        mock.patch.object(HubTarget, "prepare", lambda self: self.repo_id),
        mock.patch("timedistill_hf.hub.publishing.HfApi.create_commit", autospec=True) as commit,
    ):
        publish(folder, "user/x", **kwargs)
    (operations,) = commit.call_args.args[2:3] or (commit.call_args.kwargs["operations"],)
    return next(each.path_or_fileobj for each in operations if each.path_in_repo == "README.md").decode()


@pytest.fixture
def teacher(tmp_path):
    """A function that saves a teacher whose card names that licence, and loads it."""

    def build(licence: dict):
        folder = tmp_path / f"teacher-{len(list(tmp_path.iterdir()))}"
        tiny_patchtst().save_pretrained(folder)
        (folder / "README.md").write_text(front(licence))
        return load_teacher(folder)

    return build


@pytest.mark.parametrize("licence", [FREE, BOUND, OWN, {}])
def test_a_teacher_knows_the_licence_of_its_card(teacher, licence):
    loaded = teacher(licence)
    assert loaded.licences == [licence]
    assert loaded.cut(8).licences == [licence]
    both = SeveralTeachers([loaded, teacher(BOUND)])
    assert both.licences == [licence, BOUND]
    assert common_licence(both.licences) == (BOUND if licence == BOUND else {})


@pytest.mark.parametrize("text", [
    "", "no metadata", "---\n[\n---\n", "---\nlicense: [mit, x]\n---\n", "---\nlicense: 3\n---\n", "---\n- a\n---\n",
    "---\nlicense: |\n  a\n  b\n---\n", "---\nlicense: !!python/object/apply:os.system ['true']\n---\n",
    "---\nlicense: 'x](javascript:1)'\n---\n",
])  # fmt: skip
def test_a_card_that_names_none(tmp_path, text):
    (tmp_path / "README.md").write_text(text)
    assert licence_in(text) == {}
    assert licence_of(str(tmp_path)) == {}


def test_a_folder_without_a_card_and_a_model_that_is_nowhere(tmp_path):
    assert licence_of(str(tmp_path)) == licence_of("user/nowhere") == {}


@pytest.mark.parametrize("licence", [BOUND, OWN])
def test_a_student_has_its_teachers_licence(licence):
    content = results()
    content["teacher"]["licences"] = [licence]
    card = student_card(content, "me/x")
    assert licence_in(str(card)) == licence
    assert licence.get("license_name", licence["license"]) in card.content.split("## Licence")[1]
    content["settings"] |= {"alpha": 0.0, "beta": 0.0}
    assert licence_in(str(student_card(content, "me/x"))) == {}, "it owes the teacher nothing"


def test_where_nothing_is_known_or_teachers_differ_none_is_assumed():
    content = results()
    assert licence_in(str(student_card(content, "me/x"))) == {}
    assert "None is chosen yet" in student_card(content, "me/x").content
    content["teacher"]["licences"] = [FREE, BOUND]
    text = str(student_card(content, "me/x"))
    assert licence_in(text) == {}
    assert "The licence of the teachers: mit, cc-by-nc-4.0." in text
    assert licence_in(str(student_card(content, "me/x", license="mit"))) == FREE
    trained = Trained(config=tiny_student().config)
    assert licence_in(str(trained_card(trained, "me/x"))) == {}
    assert licence_in(str(trained_card(trained, "me/x", license="mit"))) == FREE


def test_publishing_asks_where_none_is_known(tmp_path):
    folder = save(tiny_student(), tmp_path / "run")
    for card in (None, "# A model\n", front({})):
        if card is not None:
            (folder / "README.md").write_text(card)
        with pytest.raises(InputError, match=r"no licence is known of it; give a licence as the Hub names it"):
            published(folder)
        assert licence_in(published(folder, license="cc-by-4.0")) == {"license": "cc-by-4.0"}
    with pytest.raises(InputError, match="license='My own!': expected a licence as the Hub names it"):
        published(folder, license="My own!")


def test_publishing_says_what_the_card_says(tmp_path, caplog):
    folder = save(tiny_student(), tmp_path / "run")
    (folder / "README.md").write_text(front(OWN))
    caplog.set_level("INFO", "timedistill_hf")
    assert published(folder) == front(OWN)
    assert "under the licence timesfm-research (https://example.org/terms)" in caplog.text
    assert licence_in(published(folder, license="mit")) == FREE
    assert "its card names the licence timesfm-research (https://example.org/terms), it is published under mit" in (
        caplog.text
    )


def test_a_card_without_one_says_the_chosen_one(tmp_path):
    folder = save(tiny_student(), tmp_path / "run")
    content = results()
    save_card(student_card(content, "run"), folder)
    (folder / "results.json").write_text(json.dumps(content))
    text = published(folder, license="cc-by-4.0")
    assert "None is chosen yet" not in text
    assert "## Licence\n\ncc-by-4.0." in text
    before, after = ModelCard((folder / "README.md").read_text()).data.to_dict(), ModelCard(text).data.to_dict()
    assert after == before | {"license": "cc-by-4.0"}


def test_a_training_names_it(tmp_path, data):
    from timedistill_hf import ForecastTrainer

    args = ForecastTrainingArguments(str(tmp_path), hub_license="mit", report_to="none")
    trainer = ForecastTrainer(tiny_student(), args, **data.for_trainer())
    trainer.create_model_card()
    assert licence_in((tmp_path / "README.md").read_text()) == FREE
    assert licence_in(str(trainer_card(trainer))) == {}
    with pytest.raises(InputError, match="license='a b'"):
        ForecastTrainingArguments(str(tmp_path), hub_license="a b")


def test_a_fine_tuned_model_has_that_of_what_it_was_made_from(tmp_path, data):
    from timedistill_hf import ForecastTrainer, TimeDistillForPrediction

    folder = save(tiny_student(), tmp_path / "base")
    (folder / "README.md").write_text(front(BOUND))
    model = TimeDistillForPrediction.from_pretrained(folder)
    args = ForecastTrainingArguments(str(tmp_path / "tuned"), report_to="none")
    assert processor().columns
    assert licence_in(str(ForecastTrainer(model, args, **data.for_trainer()).model_card())) == BOUND
