"""The page of `pps-qmix watch` in a real browser: played, stepped through, clicked on."""

from __future__ import annotations

import io
import math
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from envproxy.backends.skirmish import create
from envproxy.backends.skirmish.maps import kind_names, map_facts
from envproxy.backends.skirmish.policies import draw
from envproxy.recording import NO_UNIT, Recorder
from envproxy.rules import Rules
from pps_qmix.runtime.battles import play_battles
from pps_qmix.viewer.film import Film
from pps_qmix.viewer.page import make_page
from pps_qmix.viewer.recorded_battles import film_policy
from tests.cli.browser import Page

AGENTS = 5  # of 2s3z


@pytest.fixture(scope="module")
def film() -> Film:
    return film_policy("nearest", "2s3z", 2, 0)


@pytest.fixture(scope="module")
def address(film: Film, tmp_path_factory: pytest.TempPathFactory) -> str:
    page = tmp_path_factory.mktemp("page") / "watch.html"
    page.write_text(make_page(film), encoding="utf-8")
    return page.as_uri()


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Page]:
    with Page(tmp_path_factory.mktemp("browser")) as page:
        yield page


@pytest.fixture
def page(browser: Page) -> Iterator[Page]:
    """A blank page of a desktop's size; at the end of the test nothing must have gone wrong in it."""
    browser.open("about:blank")
    browser.screen(1280, 800, dark=True)
    browser.troubles.clear()
    yield browser
    assert browser.troubles == []
    assert browser.run("document.getElementById('trouble').hidden")


def step(page: Page) -> int:
    return int(page.state()["step"])


def click_unit(page: Page, unit: int) -> None:
    page.click(*page.run(f"battleViewer.place({unit})"))


def said_of(agents: int, enemies: int) -> str:
    """What the page says of an agent that sees so many."""
    return f"sees {agents} agent{'' if agents == 1 else 's'}, {enemies} enem{'y' if enemies == 1 else 'ies'}"


def around(page: Page, unit: int, *cells: float) -> list[tuple[int, ...]]:
    """The colours on the screen at these distances from a unit, north-east of it, where no unit is."""
    x, y = page.run(f"battleViewer.place({unit})")
    scale = page.run("battleViewer.scale()")
    with Image.open(io.BytesIO(page.picture())) as picture:
        seen = picture.convert("RGB")
    places = [(x + scale * r * math.cos(math.radians(30)), y - scale * r * math.sin(math.radians(30))) for r in cells]
    return [seen.getpixel((int(x), int(y))) for x, y in places]  # type: ignore[misc]


def test_it_plays_by_itself_to_the_end(page: Page, address: str, film: Film) -> None:
    page.open(address)
    assert page.run("document.title") == "2s3z, scripted: attack the nearest"
    assert page.state()["playing"] == "true"
    for _ in range(9):
        page.press("+")
    assert page.state()["speed"] == "16"
    page.run(
        "new Promise(done => { const look = () => document.body.dataset.playing === 'false' ? done(null)"
        " : requestAnimationFrame(look); look(); })"
    )
    (first, _) = film.recordings
    assert step(page) == first.steps
    words = {"won": "Won", "lost": "Lost", "timed out": "Out of time", "drawn": "Drawn"}
    assert page.text("#banner") == f"{words[first.outcome]} · return {first.rewards.sum():.2f} · {first.steps} steps"


def test_the_player_is_driven_by_keys(page: Page, address: str, film: Film) -> None:
    page.open(address)
    page.press(" ")
    assert page.state()["playing"] == "false"
    page.press("Home")
    where = [0]
    for key, shift in (("ArrowRight", False), ("ArrowRight", True), ("ArrowLeft", False), ("End", False)):
        page.press(key, shift=shift)
        where.append(step(page))
    assert where == [0, 1, 11, 10, film.recordings[0].steps]
    assert page.text("#banner") != ""
    page.press("ArrowRight")  # there is nothing beyond
    page.press("ArrowLeft", shift=True)
    assert step(page) == film.recordings[0].steps - 10
    assert page.text("#banner") == ""
    page.press("]")
    assert (page.state()["battle"], step(page)) == ("1", 0)
    page.press(" ")
    assert page.state()["playing"] == "true"


def test_the_player_is_driven_by_clicks(page: Page, address: str, film: Film) -> None:
    page.open(f"{address}#step=3")
    assert (step(page), page.state()["playing"]) == (3, "false")
    page.click_on("#slider")
    assert step(page) == pytest.approx(film.recordings[0].steps / 2, abs=1)
    page.press("ArrowRight")  # the slider has the focus, and the keys do what they always do
    assert step(page) == pytest.approx(film.recordings[0].steps / 2, abs=2)
    before = step(page)
    page.click_on("#forward")
    page.click_on("#back")
    page.click_on("#back")
    assert step(page) == before - 1
    page.click_on("#play")
    assert page.state()["playing"] == "true"
    page.press(" ")  # a button that was clicked does not swallow the space bar
    assert page.state()["playing"] == "false"
    page.click_on("#faster")
    assert page.state()["speed"] == "2"
    page.click_on("#battles button:nth-child(2)")
    assert page.state()["battle"] == "1"
    assert page.text("#clock").startswith(f"step 0 / {film.recordings[1].steps} ")


def test_a_click_on_an_agent_shows_what_it_sees(page: Page, address: str, film: Film) -> None:
    page.open(f"{address}#step=6")
    inside, edge, outside = around(page, 0, 8.8, 9.0, 9.2)
    click_unit(page, 0)
    assert page.state()["chosen"] == "0"
    now_inside, now_edge, now_outside = around(page, 0, 8.8, 9.0, 9.2)
    assert now_inside == inside
    assert now_edge not in (edge, now_outside)
    assert sum(now_outside) < sum(outside)  # under the veil
    frame = film.recordings[0].frames[6]
    told = page.text("#chosen").replace("\n", " ")
    assert "Agent 0, Stalker" in told
    assert f"health {frame['health'][0]:.0f} / 80" in told
    assert f"shield {frame['shield'][0]:.0f} / 80" in told
    assert "last action" in told
    distance = ((frame["x"] - frame["x"][0]) ** 2 + (frame["y"] - frame["y"][0]) ** 2) ** 0.5
    seen = (distance < 9) & (frame["health"] > 0)
    assert said_of(int(seen[:AGENTS].sum()) - 1, int(seen[AGENTS:].sum())) in told
    page.press("Escape")
    assert page.state()["chosen"] == ""
    assert around(page, 0, 9.2) == [outside]
    page.press("a")
    page.press("a")
    assert page.state()["chosen"] == "1"
    page.click_on("#agents button:nth-child(4)")
    assert page.state()["chosen"] == "3"
    click_unit(page, AGENTS)
    assert "Enemy E0, " in page.text("#chosen")


def test_a_unit_under_the_pointer_shows_its_target(page: Page, address: str, film: Film) -> None:
    frame = film.recordings[0].frames[8]
    first_target = film.facts.first_target
    acting = [u for u in range(AGENTS) if frame["last_action"][u] >= first_target and frame["health"][u] > 0]
    agent = acting[0]
    enemy = AGENTS + int(frame["last_action"][agent]) - first_target
    page.open(f"{address}#step=8")
    assert f"attack E{enemy - AGENTS}" in page.text(f"#agents button:nth-child({agent + 1})")
    places = [page.run(f"battleViewer.place({unit})") for unit in (agent, enemy)]

    def picture() -> bytes:
        with Image.open(io.BytesIO(page.picture())) as seen:
            (left, right), (top, bottom) = (sorted(int(place[axis]) for place in places) for axis in (0, 1))
            return seen.convert("RGB").crop((left, top, right + 1, bottom + 1)).tobytes()

    before = picture()
    page.move(*places[0])
    assert page.state()["pointed"] == str(agent)
    assert picture() != before
    page.move(2, 2)
    assert page.state()["pointed"] == ""
    assert picture() == before


def test_the_ranges_of_who_heals_are_called_so(tmp_path: Path, page: Page) -> None:
    """The canvas is not text: the page's script is asked which labels it has drawn."""
    healers = tmp_path / "watch.html"
    healers.write_text(make_page(film_policy("nearest", "MMM", 1, 0)), encoding="utf-8")
    page.open(f"{healers.as_uri()}#step=3")
    page.run(
        "(() => { window.drawn = []; const draw = CanvasRenderingContext2D.prototype.fillText;"
        " CanvasRenderingContext2D.prototype.fillText = function (text, ...rest)"
        " { window.drawn.push(text); draw.call(this, text, ...rest); }; })()"
    )
    for agent, expected in ((9, "heal range 6"), (0, "attack range 6")):
        page.click_on(f"#agents button:nth-child({agent + 1})")
        page.run("window.drawn.length = 0")  # the pointer's way to the button has drawn what was chosen before
        page.press("ArrowRight")
        drawn = set(page.run("window.drawn"))
        assert {expected, "sight 9"} <= drawn
        assert len({text for text in drawn if text.endswith("range 6")}) == 1


@pytest.mark.parametrize(("width", "height"), [(1400, 900), (390, 844)])
def test_the_names_of_the_ranges_do_not_cover_each_other(page: Page, address: str, width: int, height: int) -> None:
    page.screen(width, height, dark=False, phone=width < 500)
    page.open(f"{address}#step=8&agent=0")
    page.run(
        "(() => { window.drawn = {}; const draw = CanvasRenderingContext2D.prototype.fillText;"
        " CanvasRenderingContext2D.prototype.fillText = function (text, x, y)"
        " { const half = this.measureText(text).width / 2;"
        " window.drawn[text] = [x - half, x + half, y]; draw.call(this, text, x, y); }; })()"
    )
    for _ in range(8):
        page.run("window.drawn = {}")
        page.press("ArrowRight")
        drawn = page.run("window.drawn")
        (left, right, y), (other_left, other_right, other_y) = drawn["sight 9"], drawn["attack range 6"]
        assert right < other_left or other_right < left or abs(y - other_y) > 11


def test_the_end_of_a_battle_leads_to_the_next(page: Page, address: str, film: Film) -> None:
    first, second = film.recordings
    page.open(f"{address}#step={first.steps - 1}")
    assert page.run("document.getElementById('next').hidden")
    page.press("End")
    page.click_on("#next")
    assert page.state()["battle"] == "1"
    page.press("End")
    assert step(page) == second.steps
    assert page.run("document.getElementById('next').hidden")  # it was the last one


def test_the_strip_of_strengths_names_both_sides(page: Page, address: str, film: Film) -> None:
    page.open(f"{address}#step=10")
    frames = film.recordings[0].frames
    left = (frames["health"] + frames["shield"])[[0, 10]]
    agents, enemies = (
        round(100 * float(part[1].sum() / part[0].sum())) for part in (left[:, :AGENTS], left[:, AGENTS:])
    )
    words = " ".join(page.text(".strengths-title").split())
    assert words == f"Health and shields agents {agents} % enemy {enemies} %"


def test_it_tells_of_enemies_targets_only_where_they_are_known(
    page: Page, address: str, film: Film, tmp_path: Path
) -> None:
    (first, _) = film.recordings
    frames = first.frames.copy()
    frames["target"][:, AGENTS:] = frames["victim"][:, AGENTS:] = NO_UNIT  # StarCraft II tells neither
    unknown = tmp_path / "watch.html"
    unknown.write_text(make_page(replace(film, recordings=[replace(first, frames=frames)])), encoding="utf-8")
    for where, known in ((address, True), (unknown.as_uri(), False)):
        page.open(f"{where}#step=6")
        click_unit(page, AGENTS)
        assert ("target" in page.text("#chosen")) is known
        assert ("shot of an enemy" in page.text("#legend")) is known


@pytest.fixture(scope="module")
def cones() -> Film:
    """Two battles of a scenario, played at random, in which agents have cones of sight."""
    name, rules = "protoss_10_vs_11", Rules.parse("conic-fov=true")
    recorder = Recorder(create(name, 2, rules))
    play_battles(draw, recorder, 0)
    return Film(name, "random", map_facts(name, rules), kind_names(name), recorder.recordings())


@pytest.fixture(scope="module")
def cones_address(cones: Film, tmp_path_factory: pytest.TempPathFactory) -> str:
    page = tmp_path_factory.mktemp("cones") / "watch.html"
    page.write_text(make_page(cones), encoding="utf-8")
    return page.as_uri()


def test_each_battle_lists_its_own_units(page: Page, cones_address: str, cones: Film) -> None:
    listed = []
    for number, recording in enumerate(cones.recordings, 1):
        page.open(f"{cones_address}#battle={number}&step=1")
        names = [cones.kind_names[kind] for kind in recording.kinds]
        rows = page.text("#agents").split()
        assert [word for word in rows if word in cones.kind_names] == names[:10]
        enemies = page.text("#enemies").split()
        assert {word for word in enemies if word in cones.kind_names} == set(names[10:])
        listed.append(names)
    assert listed[0] != listed[1]
    page.press("Escape")


@pytest.mark.parametrize("step", [0, 5, 12])
def test_an_agent_with_a_cone_sees_what_is_in_it(page: Page, cones_address: str, cones: Film, step: int) -> None:
    recording, looks = cones.recordings[0], 12
    frame = recording.frames[step]
    page.open(f"{cones_address}#step={step}")
    agents = np.flatnonzero(frame["health"][:10] > 0)
    assert agents.size
    for agent in agents.tolist():
        actions = recording.frames["last_action"][: step + 1, agent]
        looked = actions[(actions >= 6) & (actions < 6 + looks)]
        angle = 2 * math.pi / looks * (int(looked[-1]) - 6 if looked.size else 0)
        dx, dy = frame["x"] - frame["x"][agent], frame["y"] - frame["y"][agent]
        off = np.abs((np.arctan2(dy, dx) - angle + math.pi) % (2 * math.pi) - math.pi)
        sight = cones.facts.kinds[recording.kinds[agent]]["sight"]
        seen = (np.hypot(dx, dy) < sight) & (off < math.pi / looks) & (frame["health"] > 0)
        seen[agent] = False
        page.click_on(f"#agents button:nth-child({agent + 1})")
        told = page.text("#chosen").replace("\n", " ")
        assert said_of(int(seen[:10].sum()), int(seen[10:].sum())) in told, agent


def test_it_fits_every_screen_and_follows_its_colours(page: Page, address: str) -> None:
    grounds = set()
    for width, height, dark in ((1280, 800, True), (390, 844, False), (844, 390, True), (1920, 1080, False)):
        page.screen(width, height, dark=dark, phone=width < 900)
        page.open(f"{address}#step=6&agent=1")
        assert page.run("document.documentElement.scrollWidth") <= width
        beyond = page.run(
            "[...document.querySelectorAll('main button, main output, nav button, #field, h1')].filter(e =>"
            "{ const box = e.getBoundingClientRect(); return box.left < 0 || box.right > innerWidth; }).length"
        )
        assert beyond == 0
        field = page.run("document.getElementById('field').getBoundingClientRect().toJSON()")
        assert min(field["width"], field["height"]) >= 190
        controls = page.run("document.getElementById('controls').getBoundingClientRect().toJSON()")
        assert controls["top"] >= field["bottom"]
        assert controls["bottom"] <= height  # field and controls are seen together
        grounds.add((dark, page.run("getComputedStyle(document.body).backgroundColor")))
    assert len(grounds) == 2


def test_a_trouble_in_the_page_is_shown(browser: Page, address: str) -> None:
    browser.open(address)
    assert browser.run("document.getElementById('trouble').hidden")
    browser.run("setTimeout(() => { throw new Error('out of order'); }, 0) && null")
    browser.settle()
    assert "out of order" in browser.text("#trouble")
    assert any("out of order" in trouble for trouble in browser.troubles)
    browser.troubles.clear()
