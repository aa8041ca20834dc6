"""What memory a run takes, and whether there is as much: told before it starts, for the kernel ends it without a word.

Estimates, from what `python -m benchmarks.memory` and `benchmarks.scale` measured (docs/cost.md, docs/teams.md). They
count what cannot be dropped: not the agents' buffers, which are mapped files, and not the games of StarCraft II.
"""

from __future__ import annotations

from collections.abc import Sequence

from envproxy.backend import MapSpec
from operations.members import Teams
from operations.memory import gigabytes, memory
from pps_qmix.runtime.cores import cores
from pps_qmix.runtime.local_devices import device_count
from pps_qmix.runtime.seat_sizes import seat_spec
from server.settings import Settings

MB = 10**6
FEDERATION = (
    1100 * MB
)  # env proxy, SuperLink, ServerApp, `pps-qmix train`, and what devices share (pps_qmix.runtime.preloaded)
DEVICE = 150 * MB  # SuperNode, SuperExec, ClientApp and agent, in forks of that
ONE_DEVICE = 600 * MB  # the same with what they would share, and `pps-qmix agent`
PROCESS = 480 * MB  # a run in one process
SEAT = 25 * MB  # an agent in it
MEMBER = 4 * MB  # an agent beside others on a device, without its training step, which each one's thread keeps
_FLOAT = 4  # bytes
_PER_INPUT, _PER_HIDDEN = 5, 18  # numbers per step of a battle that a training step holds at once


class TooLittleMemoryError(ValueError):
    """A run would take more memory than there is; the message says how much, and what to do."""


def training_step(spec: MapSpec, batch_size: int, hidden: int) -> int:
    """Return what one agent's training step takes, in bytes: a batch of the longest battles, and gradients."""
    per_step = _PER_INPUT * seat_spec(spec, 0).input_size + _PER_HIDDEN * hidden
    return _FLOAT * batch_size * (spec.episode_limit + 1) * per_step


def joint_store(spec: MapSpec, settings: Settings) -> int:
    """Return what the battles take that joint mixing keeps, in bytes: their states, of battles of half the limit."""
    if settings.mixing != "joint" or settings.base != "qmix":
        return 0
    return _FLOAT * settings.buffer_size * (spec.episode_limit // 2 + 1) * spec.state_size


def over_flower(spec: MapSpec, settings: Settings) -> int:
    """Return what a run with all its devices on this machine takes, in bytes."""
    members = settings.teams * spec.n_agents
    devices = device_count(settings, Teams(settings.teams, spec.n_agents))
    others = members - devices  # beside the first of each device
    learning = members * training_step(spec, settings.batch_size, settings.hidden)
    return FEDERATION + devices * DEVICE + others * MEMBER + learning + settings.teams * joint_store(spec, settings)


def in_process(spec: MapSpec, settings: Settings, threads: int) -> int:
    """Return what a run in one process takes, in bytes, when up to `threads` agents learn at once."""
    learning = min(threads, spec.n_agents) * training_step(spec, settings.batch_size, settings.hidden)
    members = settings.teams * spec.n_agents
    return PROCESS + members * SEAT + learning + settings.teams * joint_store(spec, settings)


def one_device(spec: MapSpec, settings: Settings) -> int:
    """Return what a machine that is one device takes, in bytes."""
    return ONE_DEVICE + training_step(spec, settings.batch_size, settings.hidden)


def check_over_flower(spec: MapSpec, settings: Settings) -> None:
    """Raise TooLittleMemoryError if this machine has too little for a run with all its devices."""
    there, needed = memory(), over_flower(spec, settings)
    if needed > there.free:
        devices = device_count(settings, Teams(settings.teams, spec.n_agents))
        here = in_process(spec, settings, settings.threads or cores())
        raise TooLittleMemoryError(
            f"{devices} devices on {spec.name} need about {gigabytes(needed)} of memory, but {there}; play it "
            f"with --runtime in-process (about {gigabytes(here)}), or start it all the same with --no-memory-check"
        )


def check_side_by_side(needs: Sequence[int], jobs: int) -> None:
    """Raise TooLittleMemoryError if `jobs` at once of processes that take so many bytes may take more than there is."""
    there, largest = memory(), sorted(needs, reverse=True)
    needed = sum(largest[:jobs])
    if needed > there.free:
        fit = next((count for count in range(min(jobs, len(needs)), 0, -1) if sum(largest[:count]) <= there.free), 0)
        remedy = f"--jobs {fit} fits" if fit else "not even one of them fits"
        raise TooLittleMemoryError(
            f"{min(jobs, len(needs))} processes at once need about {gigabytes(needed)} of memory, but {there}; "
            f"{remedy}; --no-memory-check starts them all the same"
        )
