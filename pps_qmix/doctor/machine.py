"""This machine: room on its disks, memory, folders that can be written, open files, compiled simulator."""

from __future__ import annotations

import resource
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

from envproxy.backend import BackendFailedError, MapSpec
from learning.settings import SeatSpec
from operations.memory import gigabytes, memory
from pps_qmix.doctor.finding import Finding, failed, ok, warning
from pps_qmix.runtime.memory import TooLittleMemoryError, check_over_flower, one_device, over_flower
from pps_qmix.runtime.processes import FLOWER_COMMANDS, PartFailedError, flower_command
from pps_qmix.runtime.seat_sizes import seat_spec
from server.settings import Settings

_FILES_NEEDED, _FILES_WANTED = 256, 1024
_CHECKPOINTS = 4  # three are kept, another one is being written
_COPIES = 8  # of a network in a device directory: target and Adam's two beside it, and all again while they are written
_FLOAT = 4  # bytes


def check_room(home: Path, runs: Path, spec: MapSpec, buffer_size: int, hidden: int) -> Iterator[Finding]:
    """Compare what one run takes with what is free in $PPS_HOME and where runs are kept."""
    from learning.buffer import buffer_bytes  # noqa: PLC0415 - it loads torch, and every command loads this module

    seat = seat_spec(spec, 0)
    network = _FLOAT * network_size(seat, hidden)
    device = buffer_bytes(buffer_size, seat) + _COPIES * network
    whose = f"a device on {spec.name} with buffer-size {buffer_size}"
    yield _room("room for devices", home, device, spec.n_agents * device, whose)
    run = spec.n_agents * _CHECKPOINTS * network
    yield _room("room for runs", runs, run, 10 * run, f"a run on {spec.name}")


def check_memory(spec: MapSpec, settings: Settings) -> Finding:
    """Compare what a device takes, and a run with all of them on this machine, with the memory that is free."""
    there, device = memory(), one_device(spec, settings)
    says = f"{there}; a device on {spec.name} takes about {gigabytes(device)}"
    if device > there.free:
        return failed("memory", f"{says}: use a machine with more, or raise the limit")
    try:
        check_over_flower(spec, settings)
    except TooLittleMemoryError as error:
        return warning("memory", f"a device has enough, a run with all of them here has not: {error}")
    run = gigabytes(over_flower(spec, settings))
    return ok("memory", f"{says}, a run with all {spec.n_agents} of them on this machine about {run}")


def network_size(seat: SeatSpec, hidden: int) -> int:
    """Return how many numbers an agent network has: fc1, a GRU's three gates with two biases, fc2."""
    fc1 = (seat.input_size + 1) * hidden
    return fc1 + 3 * hidden * (2 * hidden + 2) + (hidden + 1) * seat.n_actions


def _room(check: str, folder: Path, needed: int, comfortable: int, whose: str) -> Finding:
    existing = nearest(folder)
    free = shutil.disk_usage(existing).free
    says = f"{folder} has {_size(free)} free; {whose} takes {_size(needed)}"
    if free < needed:
        return failed(check, f"{says}: make room, or name another folder")
    if free < comfortable:
        return warning(check, f"{says}, several together more than there is")
    return ok(check, says)


def check_folder(name: str, folder: Path | None, remedy: str) -> Finding:
    """Say whether files can be written in a folder, or where it would be made. None: the home folder is unknown."""
    if folder is None:
        return failed(name, f"the home folder is unknown: HOME is not set; {remedy}")
    existing = nearest(folder)
    in_the_way = next((path for path in (folder, *folder.parents) if path.exists() and not path.is_dir()), None)
    if in_the_way is not None:
        return failed(name, f"{in_the_way} is no folder; {remedy}")
    try:
        with tempfile.TemporaryFile(dir=existing) as file:
            file.write(b"x")
    except OSError as error:
        return failed(name, f"cannot write in {existing} ({error.strerror}); {remedy}")
    return ok(name, f"{folder} can be written" + ("" if existing == folder else " (it will be made)"))


def check_flower_commands() -> Finding:
    """Each part of a federation is one of them."""
    try:
        found = [flower_command(name) for name in FLOWER_COMMANDS]
    except PartFailedError as error:
        return failed("Flower's commands", str(error))
    return ok("Flower's commands", f"in {Path(found[0]).parent}")


def check_open_files() -> Finding:
    """Each connection and each process that is watched takes some."""
    limit, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    if limit == resource.RLIM_INFINITY or limit >= _FILES_WANTED:
        return ok("open files", f"up to {'any number' if limit == resource.RLIM_INFINITY else limit}")
    says = f"up to {limit}, expected {_FILES_WANTED}; ulimit -n {_FILES_WANTED} (the hard limit is {most})"
    return failed("open files", says) if limit < _FILES_NEEDED else warning("open files", says)


def check_numba_cache() -> Finding:
    """Look for the compiled simulator. Without a folder to keep it in, every start compiles it."""
    try:
        from envproxy.backends.skirmish.engine import play_step  # noqa: PLC0415 - loading it is what is checked
    except BackendFailedError as error:
        return failed("numba cache", str(error))
    if play_step.stats.cache_path is None:
        remedy = "the simulator is compiled at every start; name a folder that can be written in NUMBA_CACHE_DIR"
        return warning("numba cache", f"compiled code cannot be kept; {remedy}")
    cache = Path(play_step.stats.cache_path)
    if any(cache.glob("*.nbi")):
        return ok("numba cache", f"{cache}: the simulator is compiled")
    return ok("numba cache", f"{cache}: the first battle compiles the simulator, which takes a minute or two")


def nearest(folder: Path) -> Path:
    """Return the folder, or the nearest one above it that exists."""
    return next(path for path in (folder, *folder.parents) if path.is_dir())


def _size(count: float) -> str:
    for unit in ("B", "KB", "MB"):
        if count < 1000:
            return f"{count:.0f} {unit}"
        count /= 1000
    return f"{count:.1f} GB"
