import pytest

from tests.forecast.tables import save, trained_on, wide


@pytest.fixture(scope="module")
def hourly():
    return trained_on(wide())


@pytest.fixture
def saved(hourly, tmp_path):
    return save(hourly, tmp_path / "model")
