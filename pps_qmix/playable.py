"""What must hold of settings, beyond each by itself, for a run to be played at all: told before anything is made."""

from __future__ import annotations

from client.plan import RoundOrder, first_standing, next_phase
from envproxy.backend import MapSpec
from envproxy.phases import check_phase
from server.settings import Settings, SettingsError


def check_playable(settings: Settings, spec: MapSpec) -> None:
    """Raise SettingsError if what the agents will propose to play cannot be played on a map."""
    told = {"round": 1, "steps-before": 0, "round-battles": settings.round_battles(1), "seats": [], "order": 1}
    order = RoundOrder.from_config({**settings.config(), **told, "run-id": "id"})
    phase = next_phase(order, first_standing(order))
    if phase is not None and (wrong := check_phase(phase, spec)):
        raise SettingsError(wrong)


def check_in_process(settings: Settings) -> None:
    """Raise SettingsError if a run cannot be played in one process of this machine."""
    if settings.attest_key:
        raise SettingsError("attest-key: expected none with --runtime in-process: there is no env proxy that signs")
    if settings.device == "cpu":
        return
    from learning.compute import NoDeviceError, compute_device  # noqa: PLC0415 - it loads torch

    try:
        compute_device(settings.device)
    except NoDeviceError as error:
        raise SettingsError(str(error)) from None
