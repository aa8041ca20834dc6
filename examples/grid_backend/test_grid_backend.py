"""The compliance suite over the example: what a backend's own package has for a test."""

from collections.abc import Callable

import pytest

from envproxy.backend import Backend, create_backend, map_names
from envproxy.compliance import BackendCompliance, RegistrationCompliance


class TestGrid(BackendCompliance):
    @pytest.fixture(params=map_names("grid"))
    def create(self, request: pytest.FixtureRequest) -> Callable[[int], Backend]:
        return lambda battles: create_backend("grid", request.param, battles)


class TestRegistration(RegistrationCompliance):
    @pytest.fixture
    def backend(self) -> str:
        return "grid"
