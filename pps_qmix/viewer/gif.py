"""A battle as an animated GIF, for places that show no page."""

from __future__ import annotations

import io
import math
from collections.abc import Callable, Iterator, Sequence
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from envproxy.recording import NO_UNIT, Recording
from pps_qmix.viewer.appearance import DARK, OTHER_SIGN, SIGNS, health_colour
from pps_qmix.viewer.film import Film, verdict, window_of

FRAMES_PER_STEP: Final = 2
_FRAME_TIME: Final = 100  # ms: 2.5 times as fast as the game's "Normal"
_LAST_FRAME_TIME: Final = 3000
_LONGER_SIDE: Final = 560
_FINER: Final = 2  # drawn larger and made smaller, for smooth edges
_FOOT: Final = 26  # the line of text below the field
_COLOURS: Final = 96

_Point = tuple[float, float]


def make_gif(film: Film, recording: Recording) -> bytes:
    """Return a battle as a GIF that repeats for ever, with FRAMES_PER_STEP * steps + 1 frames."""
    painter = _Painter(film, recording)
    times = np.arange(FRAMES_PER_STEP * recording.steps + 1) / FRAMES_PER_STEP
    palette = _palette([painter.paint(float(times[k])) for k in (0, len(times) // 2, len(times) - 1)])
    frames = _frames(painter, times.tolist(), palette)
    file = io.BytesIO()
    next(frames).save(
        file,
        "GIF",
        save_all=True,
        append_images=frames,
        duration=[_FRAME_TIME] * (len(times) - 1) + [_LAST_FRAME_TIME],
        loop=0,
    )
    return file.getvalue()


def _frames(painter: _Painter, times: Sequence[float], palette: Image.Image) -> Iterator[Image.Image]:
    for t in times:
        yield painter.paint(t).quantize(palette=palette, dither=Image.Dither.NONE)


def _palette(samples: Sequence[Image.Image]) -> Image.Image:
    """One palette for all frames: colours that do not flicker, and differences that are small."""
    width, height = samples[0].size
    sheet = Image.new("RGB", (width, height * len(samples)))
    for k, sample in enumerate(samples):
        sheet.paste(sample, (0, k * height))
    return sheet.quantize(_COLOURS)


def _shortened(text: str, room: float, width: Callable[[str], float]) -> str:
    """Return as much of a text as has room, with dots where something is left out."""
    if width(text) <= room:
        return text
    kept = next((n for n in range(len(text) - 1, 0, -1) if width(text[:n].rstrip() + "...") <= room), 0)
    return text[:kept].rstrip() + "..." if kept else ""


class _Painter:
    """Paints moments of one battle, larger than they will be."""

    def __init__(self, film: Film, recording: Recording) -> None:
        self._film, self._recording = film, recording
        self._frames, self._shot_at = recording.frames, recording.shot_at()
        self._kinds = film.facts.kinds[recording.kinds]  # KIND [U]
        self._names = [film.kind_names[kind] for kind in recording.kinds]
        self._window = window_of(film, recording)
        width, height = self._window.east - self._window.west, self._window.north - self._window.south
        self._scale = _FINER * _LONGER_SIDE / max(width, height)
        self._size = (round(width * self._scale), round(height * self._scale) + _FINER * _FOOT)
        self._font = ImageFont.load_default(_FINER * 13)
        self._returns = np.concatenate(([0.0], recording.rewards.cumsum()))  # [steps + 1]
        self._small = ImageFont.load_default(_FINER * 10)
        self._ground = self._paint_ground()

    def paint(self, t: float) -> Image.Image:
        """Return time `t`, in steps."""
        image = self._ground.copy()
        draw = ImageDraw.Draw(image)
        places = [self._on_image(float(x), float(y)) for x, y in zip(self._at("x", t), self._at("y", t), strict=True)]
        health, shield = self._at("health", t), self._at("shield", t)
        living = health > 0.0
        for u in np.lexsort((-self._kinds["radius"], self._kinds["layer"], living)):
            if living[u]:
                self._paint_unit(draw, u, places[u], float(health[u]), float(shield[u]))
            else:
                self._paint_wreck(draw, u, places[u])
        self._paint_deeds(draw, t, places, living)
        for u in np.flatnonzero(living[: self._film.facts.n_agents]):
            radius = float(self._kinds["radius"][u]) * self._scale
            corner = (places[u][0] + radius, places[u][1] - radius)
            draw.text(corner, str(u), DARK["text"], self._small, anchor="ls", stroke_width=2, stroke_fill=DARK["floor"])
        self._paint_foot(draw, t)
        return image.resize((image.width // _FINER, image.height // _FINER), Image.Resampling.LANCZOS)

    def _paint_ground(self) -> Image.Image:
        image = Image.new("RGB", self._size, DARK["wall"])
        draw = ImageDraw.Draw(image)
        for y, x in np.argwhere(self._film.facts.pathable):
            left, bottom = self._on_image(float(x), float(y))
            draw.rectangle((left, bottom - self._scale, left + self._scale, bottom), DARK["floor"])
        return image

    def _paint_unit(self, draw: ImageDraw.ImageDraw, u: int, place: _Point, health: float, shield: float) -> None:
        kind = self._kinds[u]
        radius = float(kind["radius"]) * self._scale
        draw.circle(place, radius, self._team(u))
        sign = SIGNS.get(self._names[u], OTHER_SIGN)
        draw.polygon([(place[0] + x * radius * 0.5, place[1] - y * radius * 0.5) for x, y in sign], DARK["sign"])
        ring = max(_FINER * 1.5, radius * 0.2)
        share = health / float(kind["health"])
        self._paint_arc(draw, place, radius + ring / 2, ring, 1.0, "wall")
        self._paint_arc(draw, place, radius + ring / 2, ring, share, health_colour(share))
        if kind["shield"] > 0.0:
            self._paint_arc(draw, place, radius + 1.5 * ring, ring, shield / float(kind["shield"]), "shield")

    @staticmethod
    def _paint_arc(
        draw: ImageDraw.ImageDraw, place: _Point, radius: float, width: float, share: float, colour: str
    ) -> None:
        box = (place[0] - radius, place[1] - radius, place[0] + radius, place[1] + radius)
        draw.arc(box, -90.0, -90.0 + 360.0 * share, DARK[colour], round(width))

    def _paint_wreck(self, draw: ImageDraw.ImageDraw, u: int, place: _Point) -> None:
        r = float(self._kinds["radius"][u]) * self._scale * 0.4
        for slope in (r, -r):
            ends = [(place[0] - r, place[1] - slope), (place[0] + r, place[1] + slope)]
            draw.line(ends, self._team(u), width=_FINER)

    def _paint_deeds(
        self, draw: ImageDraw.ImageDraw, t: float, places: Sequence[_Point], living: NDArray[np.bool_]
    ) -> None:
        """Shots and bursts where a step ends, healing all the time."""
        step = math.ceil(t)
        for u, place in enumerate(places):
            healed, victim = self._frames["healing"][step, u], self._shot_at[step, u]
            if healed != NO_UNIT and living[u]:
                draw.line([place, places[healed]], DARK["heal"], width=2 * _FINER)
            if victim != NO_UNIT and t == step:
                colour = DARK["ally-shot" if self._is_agent(u) else "enemy-shot"]
                draw.line([place, places[victim]], colour, width=round(1.5 * _FINER))
            bursts = self._kinds["burst"][u] > 0.0 and not living[u] and self._frames["health"][step - 1, u] > 0.0
            if bursts:
                draw.circle(
                    place, float(self._kinds["burst"][u]) * self._scale, outline=DARK["burst"], width=2 * _FINER
                )

    def _paint_foot(self, draw: ImageDraw.ImageDraw, t: float) -> None:
        """What is played, how far it is, and in the end how it went."""
        width, height = self._size
        top = height - _FINER * _FOOT
        draw.rectangle((0, top, width, height), DARK["page"])
        draw.rectangle((0, top, width * t / self._recording.steps, top + 2 * _FINER), DARK["accent"])
        line, margin, steps = top + _FINER * 14, _FINER * 8, self._recording.steps
        if t == steps:
            draw.text((margin, line), verdict(self._recording, self._film.facts.n_agents), **self._text("lm"))
            return
        now = f"step {int(t)} of {steps}, return {self._returns[int(t)]:.2f}"
        room = width - 3 * margin - draw.textlength(now, self._font)
        title = _shortened(self._film.title, room, lambda text: draw.textlength(text, self._font))
        draw.text((margin, line), title, **self._text("lm"))
        draw.text((width - margin, line), now, **self._text("rm"))

    def _text(self, anchor: str) -> dict[str, Any]:
        return {"fill": DARK["text"], "font": self._font, "anchor": anchor}

    def _at(self, name: str, t: float) -> NDArray[np.float64]:
        """A field of the frames [U] at time `t`, between two steps in proportion."""
        step = min(int(t), self._recording.steps - 1)
        now, then = self._frames[name][step], self._frames[name][step + 1]
        return np.asarray(now + (then - now) * (t - step), np.float64)

    def _on_image(self, x: float, y: float) -> _Point:
        return (x - self._window.west) * self._scale, (self._window.north - y) * self._scale

    def _is_agent(self, u: int) -> bool:
        return u < self._film.facts.n_agents

    def _team(self, u: int) -> str:
        return DARK["ally" if self._is_agent(u) else "enemy"]
