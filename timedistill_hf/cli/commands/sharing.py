"""Publishing on the Hub."""

from dataclasses import asdict

from ...settings.hub import PushDatasetSettings, PushModelSettings
from ..parsing import parse


def push(about: str) -> None:
    (settings,) = parse((PushModelSettings,), description=about)

    from ...hub import publish
    from ..logging import set_up_logging

    set_up_logging()
    where = {"private": settings.private or None, "revision": settings.revision}
    print(publish(settings.folder, settings.repo_id, license=settings.license, **where).repo_url)


def push_dataset(about: str) -> None:
    (settings,) = parse((PushDatasetSettings,), description=about)

    from ...hub import publish_series
    from ..logging import set_up_logging

    set_up_logging()
    options = asdict(settings)
    del options["config"]
    options["private"] = settings.private or None  # what is there already keeps what it is
    print(publish_series(options.pop("dataset"), options.pop("repo_id"), **options).repo_url)
