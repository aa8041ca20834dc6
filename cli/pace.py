"""How fast a run is: the one speed that a command tells, and its column of the progress line."""

from __future__ import annotations

from collections import deque

from rich.progress import ProgressColumn, Task
from rich.text import Text

_OVER = 60.0  # seconds that the speed is a mean of, or more where steps are told less often


class Pace:
    """Environment steps per second over the last minute; tests and sharing take their time in it, too.

    Steps that are told at the ends of long rounds alone count over the last of these rounds.
    """

    def __init__(self) -> None:
        self._samples: deque[tuple[float, int]] = deque()  # seconds, steps: never two with as many steps
        self._explained = False  # whether `told` has said what the speed is

    def start(self) -> None:
        """What was played before is of another time: the run waited."""
        self._samples.clear()

    def note(self, seconds: float, steps: int) -> None:
        """Take in that so many steps were played at this time of a monotonic clock."""
        if not self._samples or steps > self._samples[-1][1]:
            self._samples.append((seconds, steps))
        while len(self._samples) > 2 and self._samples[1][0] < seconds - _OVER:
            self._samples.popleft()

    @property
    def steps_per_second(self) -> float | None:
        """None before it is known."""
        if len(self._samples) < 2:
            return None
        (began, before), (ended, after) = self._samples[0], self._samples[-1]
        return (after - before) / (ended - began) if ended > began else None

    def told(self) -> str:
        """Return the speed as the end of a line, the first time with what it means; nothing before it is known."""
        if self.steps_per_second is None:
            return ""
        meaning = "" if self._explained else " in the last minute, with tests"
        self._explained = True
        return f", {self.steps_per_second:,.0f} steps/s{meaning}"


class SpeedColumn(ProgressColumn):
    """Steps per second and the time left at that speed."""

    def render(self, task: Task) -> Text:
        if (speed := task.fields["speed"]) is None:
            return Text("- steps/s")
        minutes, seconds = divmod(int(max((task.total or 0.0) - task.completed, 0.0) / speed), 60)
        return Text(f"{speed:,.0f} steps/s, {minutes // 60}:{minutes % 60:02d}:{seconds:02d} left")
