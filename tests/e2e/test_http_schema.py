"""The real server keeps to its OpenAPI document, whatever is asked of it by that document."""

from collections.abc import Iterator
from contextlib import closing, suppress
from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, given, settings
from hypothesis.errors import Unsatisfiable
from schemathesis import GenerationMode
from schemathesis.checks import not_a_server_error
from schemathesis.core.result import Ok
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    negative_data_rejection,
    response_schema_conformance,
    status_code_conformance,
)

from mta.sandbox.internet import Internet
from mta.sandbox.process import ServerProcess
from tests.e2e.test_http import Door

CHECKS = [
    not_a_server_error,
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
    negative_data_rejection,
]


@pytest.fixture(scope="module")
def door(tmp_path_factory: pytest.TempPathFactory, internet: Internet) -> Iterator[Door]:
    folder = tmp_path_factory.mktemp("door")
    given = internet.world.settings() | {"spool": str(folder / "spool")}
    with closing(ServerProcess(given, folder)) as server:
        door = Door(server)
        door.start()
        yield door


@pytest.mark.slow
@pytest.mark.timeout(300)
@pytest.mark.parametrize("mode", list(GenerationMode))
def test_the_server_is_as_it_is_described(door: Door, mode: GenerationMode) -> None:
    schema = schemathesis.openapi.from_url(f"{door.url}/v1/openapi.json")
    headers = {"Authorization": f"Bearer {door.token}"}
    asked = 0
    for found in schema.get_all_operations():
        assert isinstance(found, Ok)
        strategy = found.ok().as_strategy(generation_mode=mode)

        @settings(max_examples=50, deadline=None, suppress_health_check=list(HealthCheck))
        @given(strategy)
        def conforms(case: schemathesis.Case[Any]) -> None:
            nonlocal asked
            asked += 1
            # A batch is judged message by message, in an answer that is a success.
            checks = CHECKS[:-1] if case.path.endswith("/batch") else CHECKS
            case.call_and_validate(headers=headers, checks=checks)

        with suppress(Unsatisfiable):  # where nothing is said, nothing can be said wrong
            conforms()

    print(f"\n{asked} requests")
    assert asked >= 4
