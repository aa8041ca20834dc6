"""What the samples of a soak say: memory at its start and end, growth per hour, and whether that is within bounds."""

from __future__ import annotations

import itertools
import statistics
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from typing import Final, NamedTuple

from benchmarks.soak.census import Reading
from benchmarks.soak.faults import Fault

WARM_UP: Final = 600.0  # seconds: caches and buffers fill, libraries are loaded
_SHORT: Final = 0.25  # of a soak shorter than four times the warm-up is warm-up
_WINDOW: Final = 300.0  # seconds over which a start's and an end's figures are medians
_JUDGED_AFTER: Final = 1200.0  # seconds after the warm-up: less says nothing of an hour
_HOUR: Final = 3600.0
_MB: Final = 1e6

Point = tuple[float, float]  # seconds, value


class Progress(NamedTuple):
    """How far the run was at one time, and what it took on disk."""

    seconds: float
    round: int
    steps: int
    run_bytes: int  # of the run directory, without Flower's files in it
    flower_bytes: int
    device_bytes: int
    log_lines: int


class Growth(NamedTuple):
    """A quantity at the end of the warm-up, at the end, and by how much it grew per hour between them."""

    start: float
    end: float
    per_hour: float


class Figures(NamedTuple):
    """What one part took over a soak; where several of its processes were there at once, the largest did."""

    name: str
    starts: int  # processes seen
    memory: Growth  # MB, resident
    share: Growth  # MB, of it
    files: Growth
    threads: Growth
    cpu: float  # seconds per hour, of the processes seen


def warm_up(length: float) -> float:
    """Return how many of a soak's seconds are not judged."""
    return min(WARM_UP, _SHORT * length)


def slope(points: Sequence[Point]) -> float:
    """Return the median of the slopes between all pairs of points (Theil-Sen): single peaks do not move it."""
    pairs = [(y2 - y1) / (x2 - x1) for (x1, y1), (x2, y2) in itertools.combinations(points, 2) if x1 != x2]
    return statistics.median(pairs) if pairs else 0.0


def growth(points: Sequence[Point]) -> Growth:
    """Return the growth of a quantity from points in the order of time, all after the warm-up."""
    first, last = points[0][0], points[-1][0]
    start = statistics.median(y for x, y in points if x <= first + _WINDOW)
    end = statistics.median(y for x, y in points if x >= last - _WINDOW)
    return Growth(start, end, slope(points) * _HOUR)


def figures(readings: Iterable[Reading], length: float) -> list[Figures]:
    """Return the figures of every part that was there after the warm-up."""
    parts: defaultdict[str, list[Reading]] = defaultdict(list)
    for reading in readings:
        parts[_name(reading)].append(reading)
    found = (_figures(name, parts[name], warm_up(length)) for name in sorted(parts))
    return [each for each in found if each is not None]


def problems(found: Iterable[Figures], length: float, memory_bound: float, files_bound: float) -> Iterator[str]:
    """Say which parts grew faster than the bounds (MB, open files per hour), of a soak that was long enough for it."""
    if length - warm_up(length) < _JUDGED_AFTER:
        return
    for each in found:
        if each.memory.per_hour > memory_bound:
            yield f"{each.name}: memory grew by {each.memory.per_hour:.1f} MB/h, expected at most {memory_bound:g}"
        if each.files.per_hour > files_bound:
            yield f"{each.name}: open files grew by {each.files.per_hour:.1f}/h, expected at most {files_bound:g}"


def table(found: Iterable[Figures], progress: Sequence[Progress]) -> Iterator[str]:
    """Say it in Markdown. `progress` is the whole soak's, in the order of time."""
    length = progress[-1].seconds
    begin = f"{warm_up(length) / 60:.0f} min"
    end = f"{length / 60:.0f} min"
    yield f"| process | seen | MB at {begin} | at {end} | per hour | own share | files | threads | CPU s per hour |"
    yield "|---|---|---|---|---|---|---|---|---|"
    for each in found:
        yield (
            f"| {each.name} | {each.starts} | {each.memory.start:.1f} | {each.memory.end:.1f} "
            f"| {each.memory.per_hour:+.1f} | {each.share.end:.1f} | {each.files.start:.0f}, {each.files.end:.0f} "
            f"| {each.threads.start:.0f}, {each.threads.end:.0f} | {each.cpu:.0f} |"
        )
    after = [each for each in progress if each.seconds >= warm_up(length)]
    yield ""
    yield f"| run | at {begin} | at {end} | per hour |"
    yield "|---|---|---|---|"
    for name, points in (
        ("rounds played", [(each.seconds, float(each.round)) for each in after]),
        ("run directory, MB", [(each.seconds, each.run_bytes / _MB) for each in after]),
        ("Flower's files, MB", [(each.seconds, each.flower_bytes / _MB) for each in after]),
        ("devices, MB", [(each.seconds, each.device_bytes / _MB) for each in after]),
        ("log lines", [(each.seconds, float(each.log_lines)) for each in after]),
    ):
        # of the first and the last: what only grows needs no median
        hourly = (points[-1][1] - points[0][1]) / max(points[-1][0] - points[0][0], 1.0) * _HOUR
        yield f"| {name} | {points[0][1]:.1f} | {points[-1][1]:.1f} | {hourly:+.1f} |"
    quarter = max(len(after) // 4, 2)
    yield f"| environment steps per second | {pace(after[:quarter]):.0f} | {pace(after[-quarter:]):.0f} | |"


def fault_table(faults: Sequence[Fault]) -> Iterator[str]:
    """Say in Markdown what was killed, and when a round had ended again with all seats in it."""
    if faults:
        yield ""
        yield "| killed | of | at minute | in round | all seats in a later round after |"
        yield "|---|---|---|---|---|"
    for each in faults:
        yield f"| {each.role} | {each.part} | {each.seconds / 60:.1f} | {each.round + 1} | {each.whole_after:.0f} s |"


def pace(progress: Sequence[Progress]) -> float:
    """Return the environment steps per second between the first and the last."""
    if len(progress) < 2:
        return 0.0
    return (progress[-1].steps - progress[0].steps) / (progress[-1].seconds - progress[0].seconds)


def _name(reading: Reading) -> str:
    return reading.role if reading.part in ("", reading.role.lower()) else f"{reading.role}, {reading.part}"


def _figures(name: str, readings: Sequence[Reading], warm_up: float) -> Figures | None:
    at_once: defaultdict[float, list[Reading]] = defaultdict(list)
    for each in readings:
        if each.seconds >= warm_up:
            at_once[each.seconds].append(each)
    if not at_once:
        return None
    times = sorted(at_once)

    def over(value: str, unit: float = 1.0) -> Growth:
        return growth([(time, max(getattr(each, value) for each in at_once[time]) / unit) for time in times])

    return Figures(
        name=name,
        starts=len({(each.pid, each.started) for each in readings}),
        memory=over("memory", _MB),
        share=over("share", _MB),
        files=over("files"),
        threads=over("threads"),
        cpu=_cpu([each for time in times for each in at_once[time]]) / max(times[-1] - times[0], 1.0) * _HOUR,
    )


def _cpu(readings: Sequence[Reading]) -> float:
    """Return the CPU-seconds used since the first reading; what a process used after its last one is not known."""
    first = readings[0].seconds
    used: dict[tuple[int, float], float] = {}
    before = 0.0  # what those that were there at the beginning had used already
    for each in readings:
        used[each.pid, each.started] = each.cpu
        before += each.cpu if each.seconds == first else 0.0
    return sum(used.values()) - before
