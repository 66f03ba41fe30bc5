"""The folder of a run: never overwritten silently, resumed only by the run that began it."""

import json
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from .errors import InputError, changes
from .files import check_writable, exclusive_lock, write_json


RESULTS = "results.json"
SETTINGS = "settings.json"
HISTORY = "history.json"
REGRESSOR_NAME = "distill_regressor"
"""What the student's width is compared through with the teacher's, while it is trained."""
LOCK = ".lock"
SIGNAL_FOLDER = "teacher_signal"
STORED_FORECASTS = "stored forecasts"
"""What results say of the signal where students with a feature term had the teacher's forecasts alone."""
MAY_CHANGE = (
    "output_dir", "logging_dir", "disable_tqdm", "report_to", "log_level", "logging_steps", "run_name", "signal_dir",
    "signal_limit_gb", "push_to_hub", "hub_model_id", "hub_license", "hub_strategy", "hub_token", "hub_private_repo",
    "hub_always_push", "hub_revision",
)  # fmt: skip
_SAME_SIGNAL = ("auto", "stored", "live")  # a run may go on with another of them
PUBLISHED = "published.json"
OWN_FILES = (
    "config.json", "model.safetensors", "preprocessor_config.json", "training_args.json", HISTORY,
    "forecast.png", "multi_scale.png", "multi_period.png", "losses.png", "accuracy.png", "README.md", RESULTS,
    SETTINGS, PUBLISHED,
)  # fmt: skip

MODEL_CODE = (
    "*_timedistill.py", "*_forecaster.py", "*_itransformer.py", "*_modern_tcn.py", "*_timesnet.py", "*_time_mixer.py",
    "*_light_ts.py",
)  # fmt: skip


@dataclass(frozen=True)
class RunFolder:
    """Where a run keeps its settings, its models and, when it is finished, `results.json`."""

    path: Path

    def check(self, settings: dict, *, overwrite: bool, finished: str | None = RESULTS) -> None:
        """Raise an [`InputError`] where it holds something else than an unfinished run with these settings.

        `overwrite` allows any earlier run, but no folder of other things: clearing it would take them along.
        `finished` is the file that tells a finished run, which is not resumed; `None` allows one.
        """
        name = str(self.path)
        if self.path.exists() and not self.path.is_dir():
            raise InputError(f"{name!r} is no folder: name another `output_dir`")
        check_writable(self.path, "`output_dir`")
        if not self.path.is_dir() or all(path.name == LOCK for path in self.path.iterdir()):
            return
        if not (self.path / SETTINGS).exists():
            raise InputError(f"{name!r} is not empty and holds no run: name another `output_dir`")
        before = self._settings_before()
        if overwrite:
            return
        if finished is not None and (self.path / finished).exists():
            raise InputError(f"{name!r} holds results already: name another `output_dir`, or pass `overwrite=True`")
        self._check_same(before, settings)

    def start(self, settings: dict, *, overwrite: bool, finished: str = RESULTS) -> None:
        """Make it and write down the settings; with `overwrite`, empty it of a run that is finished, or another one.

        An unfinished run with these settings is resumed: a command with `overwrite` can be given again.
        """
        self.path.mkdir(parents=True, exist_ok=True)
        if overwrite and ((self.path / finished).exists() or not self._holds(settings)):
            self._clear()
        write_json(self.path / SETTINGS, _fixed(settings))

    def is_to_be_published(self, settings: dict, *, overwrite: bool) -> bool:
        """Whether it holds a finished run with these settings; with `overwrite`, one that was not published yet."""
        if not (self.path / RESULTS).exists() or not self._holds(settings):
            return False
        return not (overwrite and (self.path / PUBLISHED).exists())

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Keep a second run out of the folder while one is at work; the lock ends with the process.

        Raises:
            InputError: another run is at work there.
        """
        self.path.mkdir(parents=True, exist_ok=True)
        with exclusive_lock(self.path / LOCK, self.path, "`output_dir`"):
            yield

    def _holds(self, settings: dict) -> bool:
        """Whether a run with these settings was begun here."""
        return (self.path / SETTINGS).exists() and self._settings_before() == _fixed(settings)

    def _clear(self) -> None:
        """Remove what a run writes, and nothing else; of a link only the link, what it leads to is not the run's."""
        checkpoints = [path.name for path in self.path.glob("checkpoint-*")]
        for name in ("teacher", "controls", "candidates", SIGNAL_FOLDER, *checkpoints):
            if (self.path / name).is_symlink():
                (self.path / name).unlink()
            shutil.rmtree(self.path / name, ignore_errors=True)
        for name in (*OWN_FILES, *(path.name for kind in MODEL_CODE for path in self.path.glob(kind))):
            (self.path / name).unlink(missing_ok=True)

    def _settings_before(self) -> dict:
        """What an earlier run wrote down; a file of that name that no run wrote is neither resumed nor cleared."""
        try:
            before = json.loads((self.path / SETTINGS).read_text(encoding="utf-8"))
        except (OSError, ValueError):
            before = None
        if not isinstance(before, dict) or "seed" not in before:
            raise InputError(
                f"{str(self.path / SETTINGS)!r} holds no run's settings, so the folder is no run: name another "
                "`output_dir`"
            )
        return _fixed(before)

    def _check_same(self, before: dict, settings: dict) -> None:
        changed = changes(before, _fixed(settings))
        if changed:
            raise InputError(
                f"{str(self.path)!r} holds a run with other settings (there -> here): {changed}; use the same to "
                "resume it, another `output_dir`, or `overwrite=True` to start anew"
            )


def _fixed(settings: dict) -> dict:
    """What must be the same when a run is resumed."""
    kept = {name: value for name, value in settings.items() if name not in MAY_CHANGE}
    if kept.get("teacher_signal") in _SAME_SIGNAL:
        kept["teacher_signal"] = ", ".join(_SAME_SIGNAL)
    return json.loads(json.dumps(kept, default=str))
