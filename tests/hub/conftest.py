"""The Hub of a test session and a client of it."""

import pytest

from .client import HubClient
from .loopback import LoopbackHub


@pytest.fixture(scope="session")
def hub():
    """A Hub without repositories; tests name their own."""
    with LoopbackHub() as running:
        yield running


@pytest.fixture(scope="session")
def hub_home(tmp_path_factory):
    """The cache of all clients."""
    return tmp_path_factory.mktemp("hub-home")


@pytest.fixture(scope="session")
def client(hub, hub_home):
    """A process in which the Hub's client works: `client.run(function, ...)`."""
    running = HubClient(hub.endpoint, hub_home)
    yield running
    running.close()


@pytest.fixture(scope="session")
def offline_client(hub, hub_home):
    """A client with the same cache that may not ask the Hub."""
    running = HubClient(hub.endpoint, hub_home, offline=True)
    yield running
    running.close()
