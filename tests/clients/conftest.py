"""Fixtures of the client tests: agents that live as long as the process, clients at a broker."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest
from tests.clients.client import Agent, Client
from tests.clients.kinds import Kind, kind_named
from tests.clients.tool_runner import Tools

Start = Callable[[Kind], Agent]


@pytest.fixture(scope="session")
def start_agent(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Start]:
    """Starts an agent of its own, for a test that kills it."""
    folder = tmp_path_factory.mktemp("agents")
    started: list[Agent] = []

    def start(kind: Kind) -> Agent:
        agent = Agent(kind, folder / f"{kind.name}-{len(started)}.log")
        started.append(agent)
        return agent

    yield start
    for agent in started:
        agent.kill()


@pytest.fixture(scope="session")
def agent_of(start_agent: Start) -> Start:
    """The shared agent of a client; a new one where a test left the last one dead."""
    agents: dict[str, Agent] = {}

    def shared(kind: Kind) -> Agent:
        agent = agents.get(kind.name)
        if agent is None or not agent.is_running():
            agent = agents[kind.name] = start_agent(kind)
        return agent

    return shared


@pytest.fixture
def client(kind: Kind, agent_of: Start, bootstrap: str) -> Client:
    """The client that the test is parametrised with."""
    return Client(agent_of(kind), bootstrap)


@pytest.fixture(scope="session")
def admin(agent_of: Start, bootstrap: str) -> Client:
    """A client for what a test needs around its subject."""
    return Client(agent_of(kind_named("franz")), bootstrap)


@pytest.fixture
def topic(admin: Client, unique: str) -> str:
    """A new topic of one partition."""
    return admin.create_topic(unique)


@pytest.fixture
def wide_topic(admin: Client, unique: str) -> str:
    """A new topic of four partitions."""
    return admin.create_topic(unique, 4)


@pytest.fixture
def java(agent_of: Start, bootstrap: str) -> Client:
    """Kafka's own client."""
    return Client(agent_of(kind_named("java")), bootstrap)


@pytest.fixture
def tool(java: Client) -> Tools:
    """Runs Kafka's command line tools."""
    return Tools(java)
