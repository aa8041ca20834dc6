"""`pps-qmix watch`: what it writes, what it says, and what it refuses."""

from __future__ import annotations

import base64
import io
import json
import os
import re
from collections.abc import Callable
from dataclasses import replace
from html import escape
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from PIL import Image

from cli.main import main
from envproxy.backends.skirmish import map_names
from envproxy.backends.skirmish.maps import kind_names, map_facts
from envproxy.backends.skirmish.policies import DESCRIPTIONS, HEURISTICS
from envproxy.backends.skirmish.policies import NAMES as POLICY_NAMES
from envproxy.recording import FRAME, Outcome, Recording
from envproxy.rules import SMAC_RULES
from learning.network import AgentNetwork
from operations.paths import shown
from pps_qmix.configuration import default_config
from pps_qmix.viewer.appearance import DARK, LIGHT, SIGNS
from pps_qmix.viewer.film import Film, verdict
from pps_qmix.viewer.gif import FRAMES_PER_STEP, make_gif
from pps_qmix.viewer.page import make_page
from pps_qmix.viewer.recorded_battles import film_policy
from server.checkpoints import Checkpoint, save_checkpoint
from server.run_directory import RunDirectory
from server.settings import check_settings
from tests.starcraft.faults import Fault
from tests.starcraft.host import battle_host

pytestmark = pytest.mark.usefixtures("surroundings")


@pytest.fixture
def watch(capsys: pytest.CaptureFixture[str]) -> Callable[..., tuple[int, str, str]]:
    """Run `pps-qmix watch`; return its exit code, output and errors."""

    def run(*arguments: str) -> tuple[int, str, str]:
        try:
            code = main(["watch", *arguments])
        except SystemExit as end:  # argparse ends so
            code = int(end.code or 0)
        return code, *capsys.readouterr()

    return run


def data_of(page: str) -> dict[str, Any]:
    """What a page has to show."""
    (found,) = re.findall(r'<script id="film" type="application/json">(.*?)</script>', page, re.DOTALL)
    film: dict[str, Any] = json.loads(found)
    return film


def column_of(battle: dict[str, Any], name: str, units: int) -> NDArray[Any]:
    """A column [T + 1, U] of a page's battle, decoded as the page's script does."""
    column = battle["columns"][name]
    raw = base64.b64decode(column["data"])
    values = np.frombuffer(raw, "<u2") / column["per"] if column["per"] else np.frombuffer(raw, np.uint8)
    return values.reshape(-1, units)


def long_film(map_name: str, steps: int) -> Film:
    """A battle in which everything changes all the time: nothing about it can be left out."""
    facts = map_facts(map_name, SMAC_RULES)
    rng = np.random.default_rng(0)
    frames = np.zeros((steps + 1, len(facts.roster)), FRAME)
    for name in FRAME.names or ():
        frames[name] = rng.integers(0, 32, frames.shape)
    frames["kind"] = facts.roster["kind"]
    frames["shots"] = np.arange(steps + 1)[:, None]
    recording = Recording(frames, rng.random(steps).astype(np.float32), Outcome.TIMED_OUT)
    return Film(map_name, "random", facts, kind_names(map_name), [recording])


def test_the_command_writes_a_page_and_a_picture_and_tells(watch: Callable[..., tuple[int, str, str]]) -> None:
    code, output, errors = watch("nearest", "--map", "3m", "--battles", "2", "--seed", "4", "--gif", "x.gif")
    assert (code, errors) == (0, "")
    film = film_policy("nearest", "3m", 2, 4)
    assert output.splitlines() == [
        f"battle 1: {verdict(film.recordings[0], 3)}",
        f"battle 2: {verdict(film.recordings[1], 3)}",
        "page: watch.html",
        "animated picture of battle 1: x.gif",
    ]
    assert Path("watch.html").read_text() == make_page(film)
    assert Path("x.gif").read_bytes() == make_gif(film, film.recordings[0])
    assert sorted(path.name for path in Path().iterdir()) == ["watch.html", "x.gif"]  # nothing temporary is left


def test_the_battles_are_those_of_the_seed(watch: Callable[..., tuple[int, str, str]]) -> None:
    def page(*arguments: str) -> str:
        assert watch("random", "--map", "3m", "--battles", "1", "--out", "page.html", *arguments)[0] == 0
        return Path("page.html").read_text()

    assert page() == page("--seed", "0")
    assert page("--seed", "1") != page()


def test_the_page_holds_the_battles_and_nothing_from_elsewhere() -> None:
    film = film_policy("focus", "2s3z", 2, 0)
    page = make_page(film)
    assert not re.search(r"https?:|src\s*=|@import|url\(|\bfetch\b|XMLHttpRequest|WebSocket", page)
    assert re.findall(r"<link[^>]*>", page) == ['<link rel="icon" href="data:,">']
    assert "default-src 'none'" in page
    data = data_of(page)
    assert len(data["battles"]) == 2
    assert ["".join(".#"[not cell] for cell in row) for row in film.facts.pathable] == data["pathable"]
    assert {kind["name"] for kind in data["kinds"]} == {"Stalker", "Zealot"}
    assert data["enemiesAim"]
    for battle, recording in zip(data["battles"], film.recordings, strict=True):
        assert battle["outcome"] == recording.outcome
        assert sum(battle["rewards"]) == pytest.approx(float(recording.rewards.sum()), abs=0.05)
        for name, tolerance in (("x", 1 / 512), ("y", 1 / 512), ("health", 1 / 8), ("shield", 1 / 8)):
            decoded = column_of(battle, name, 10)
            assert np.allclose(decoded, recording.frames[name], atol=tolerance, rtol=0.0)
            assert ((decoded > 0) == (recording.frames[name] > 0)).all()  # rounding kills no unit
        actions = column_of(battle, "action", 10)[1:, :5]
        assert np.array_equal(actions, recording.frames["last_action"][1:, :5])
        assert np.array_equal(column_of(battle, "shotAt", 10) != 255, recording.shot_at() >= 0)
        assert battle["columns"]["healing"]["data"] == ""  # there is nothing to tell


def test_names_cannot_break_the_page() -> None:
    film = film_policy("random", "3m", 1, 0)
    page = make_page(Film("3m", "run </script><b>$x & y", film.facts, film.kind_names, film.recordings))
    assert "</script><b>" not in page
    assert "run &lt;/script&gt;&lt;b&gt;$x &amp; y" in page


def test_a_long_battle_of_many_stays_small() -> None:
    assert len(make_page(long_film("2c_vs_64zg", 400)).encode()) < 1_500_000


@pytest.mark.parametrize("policy", HEURISTICS)
def test_smacs_own_scripted_team_is_shown_with_orders_that_the_mask_forbids(policy: str) -> None:
    film = film_policy(policy, "3m", 1, 0)
    first = film.recordings[0].frames[1]["last_action"][:3]
    assert ((first >= 6) == (policy == "heuristic")).all(), "the enemy is 14 away in the first step"


def test_the_picture_has_its_frames() -> None:
    film = film_policy("focus", "MMM", 1, 0)
    (recording,) = film.recordings
    with Image.open(io.BytesIO(make_gif(film, recording))) as picture:
        assert picture.format == "GIF"
        assert getattr(picture, "n_frames", 1) == FRAMES_PER_STEP * recording.steps + 1
        assert max(picture.size) < 640
        first = picture.convert("RGB").copy()
        picture.seek(getattr(picture, "n_frames", 1) - 1)
        assert picture.info["duration"] > 1000  # the end can be read
        last = picture.convert("RGB")
    assert first.tobytes() != last.tobytes()


def test_the_picture_tells_step_and_return_beside_a_title_of_any_length() -> None:
    film = film_policy("focus", "3m", 1, 0)
    (recording,) = film.recordings

    def foot(players: str, *rewards: float) -> bytes:
        """The line below the field where the first step has been played."""
        played = replace(recording, rewards=np.array([*rewards, *recording.rewards[len(rewards) :]]))
        with Image.open(io.BytesIO(make_gif(replace(film, players=players, recordings=[played]), played))) as picture:
            picture.seek(FRAMES_PER_STEP)
            width, height = picture.size
            return picture.convert("RGB").crop((width // 2, height - 20, width, height)).tobytes()

    assert foot("x", 1.0) != foot("x", 2.0)
    assert foot("x" * 300, 1.0) != foot("x" * 300, 2.0)  # the figures keep their place


def test_every_policy_is_described() -> None:
    assert tuple(DESCRIPTIONS) == POLICY_NAMES


def test_every_kind_of_unit_has_a_different_sign() -> None:
    assert {name for map_name in map_names() for name in kind_names(map_name)} <= SIGNS.keys()
    assert len(set(SIGNS.values())) == len(SIGNS)
    assert LIGHT.keys() == DARK.keys()


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ("", r"the following arguments are required: RUN_OR_POLICY"),
        (
            "nearst --map 3m",
            r"nearst: expected a policy \(random, nearest, focus, heuristic, heuristic-rest\) or a run directory"
            r'\. Did you mean "nearest"\?',
        ),
        ("nearest", r"map: the policy 'nearest' needs one: --map NAME \(pps-qmix maps lists them\)"),
        ("nearest --map 3mm", r"the backend 'skirmish' has no map '3mm'; it has .*\b3m\b.*"),
        ("nearest --map 3m --battles 0", r"battles: expected 1\.\.64, found 0"),
        ("nearest --map 3m --battles 65", r"battles: expected 1\.\.64, found 65"),
        ("nearest --map 3m --seed -1", r"seed: expected 0\.\.2\^63-1, found -1"),
        ("nearest --map 3m --out nowhere/x.html", r"cannot write nowhere/x.html: No such file or directory"),
        ("nearest --map 3m --gif nowhere/x.gif", r"cannot write nowhere/x.gif: No such file or directory"),
        ("nearest --map 3m --out folder", r"cannot write folder: Is a directory"),
        ("nearest --map 3m --out /dev/null", r"cannot write /dev/null: what is there is no file"),
        ("nearest --map 3m --out x --gif x", r"gif: expected another file than the page's, found x"),
        (
            "nearest --map 3m --backend smac",
            r"backend: the policy 'nearest' plays on skirmish alone, only random .* smac",
        ),
        ("random --map 3m --backend smack", r"unknown backend 'smack'; installed: .*skirmish.*"),
        ("random --map 3m --backend-options memory=1", r"backend-options: expected none, .* found 'memory=1'"),
        ("folder", r"folder is not a run directory: it has no readable run.json"),
        ("runs/begun", r"runs/begun has no checkpoint yet: its first round has not ended"),
    ],
)
def test_what_is_wrong_has_one_line(watch: Callable[..., tuple[int, str, str]], arguments: str, said: str) -> None:
    Path("folder").mkdir()
    RunDirectory.create(check_settings({**default_config(), "runs": "runs", "run": "begun"}))
    before = sorted(Path().rglob("*"))
    code, output, errors = watch(*arguments.split())
    assert (code, output) == (2, "")
    assert re.fullmatch(rf"pps-qmix( watch)?: {said}( \(see pps-qmix watch --help\))?\n", errors), errors
    assert sorted(Path().rglob("*")) == before


def test_a_page_is_written_where_a_link_leads(watch: Callable[..., tuple[int, str, str]]) -> None:
    Path("there").mkdir()
    Path("watch.html").symlink_to("there/page.html")
    code, _, _ = watch("nearest", "--map", "3m", "--battles", "1")
    assert code == 0
    assert Path("watch.html").is_symlink()
    assert Path("there/page.html").read_text().startswith("<!")


def run_on(backend: str, options: str = "") -> str:
    """A run on 3m whose agents have learned nothing yet; return its path."""
    settings = check_settings({**default_config(), "runs": "runs", "run": "new", "backend": backend})
    run = RunDirectory.create(settings.model_copy(update={"backend_options": options}))
    network = AgentNetwork(42, 8, 9, torch.Generator())  # of 3m: 30 of the observation, 9 actions, 3 seats
    tensors = {name: tensor.detach().numpy() for name, tensor in network.named_tensors().items()}
    save_checkpoint(run.path, Checkpoint(1, 9, dict.fromkeys(range(3), tensors)))
    return str(run.path)


def test_a_run_is_watched_on_its_own_backend_or_on_another(
    watch: Callable[..., tuple[int, str, str]], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    run = run_on("smac", "memory=9000")
    with battle_host(tmp_path, monkeypatch, maps=["3m"]) as host:
        code, output, errors = watch(run, "--battles", "2", "--gif", "real.gif")
        assert (code, errors) == (0, "")
        assert output.startswith("battle 1: ")
        assert host.launched == 2, "a game for every battle, and none for battles that are not watched"
        assert watch(run, "--battles", "1", "--backend", "skirmish", "--out", "ours.html")[0] == 0
        assert host.launched == 2
    real, ours = (data_of(Path(page).read_text()) for page in ("watch.html", "ours.html"))
    assert "<title>3m, run new after 9 steps, on smac</title>" in Path("watch.html").read_text()
    assert "<title>3m, run new after 9 steps</title>" in Path("ours.html").read_text()
    assert not real["enemiesAim"]
    assert real["battles"][0]["units"] == ours["battles"][0]["units"]
    assert len(real["battles"]) == 2
    for battle in real["battles"]:
        health, actions = column_of(battle, "health", 6), column_of(battle, "action", 6)
        assert (health[0] == 45).all()
        assert (actions[0] == 255).all()
        assert (actions[1:, :3] < 9).all()
        assert len(health) == battle["steps"] + 1


NAMES = ["old [run] :cat: copy", "[b]", "-x", "a\tb\n", os.fsdecode(b"\xff"), "é😀", "x" * 255, "#?%20"]


@pytest.mark.parametrize("name", NAMES)
def test_a_run_is_watched_and_evaluated_in_a_folder_of_any_name(
    watch: Callable[..., tuple[int, str, str]],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    name: str,
) -> None:
    run = Path(run_on("skirmish"))
    folder = run.rename(run.with_name(name))
    monkeypatch.chdir(folder)
    title = f"<title>3m, run {escape(shown(name))} after 9 steps</title>"
    for written, out in ((".", "watch.html"), (f"../{name}/", name[:250] + ".html"), ("checkpoints/..", "link")):
        code, output, errors = watch(written, "--battles", "1", "--out", f"./{out}")
        assert (code, errors) == (0, "")
        assert output.splitlines()[-1] == f"page: {shown(out)}"
        assert title in Path(out).read_text()
        assert main(["evaluate", written, "--evaluate-battles", "1"]) == 0
        assert "of 1 battles won" in capsys.readouterr().out


def test_a_picture_is_not_the_page_by_another_name(watch: Callable[..., tuple[int, str, str]]) -> None:
    Path("folder").mkdir()
    Path("link").symlink_to("watch.html")
    for picture in ("folder/../watch.html", "link", "./watch.html"):
        code, _, errors = watch("nearest", "--map", "3m", "--gif", picture)
        assert (code, errors) == (2, f"pps-qmix: gif: expected another file than the page's, found {Path(picture)}\n")


def test_links_that_lead_in_a_circle_and_homes_that_are_none(watch: Callable[..., tuple[int, str, str]]) -> None:
    Path("loop").symlink_to("loop")
    code, _, errors = watch("nearest", "--map", "3m", "--out", "loop")
    assert (code, errors) == (2, "pps-qmix: cannot write loop: Too many levels of symbolic links\n")
    assert Path("loop").is_symlink()
    for none, said in (
        ("loop", "loop: {}"),
        ("~no such user/x", "~no such user/x: {}"),
        ("", "run: {}, found nothing"),
    ):
        code, _, errors = watch(none)
        expected = "expected a policy (random, nearest, focus, heuristic, heuristic-rest) or a run directory"
        assert (code, errors) == (2, f"pps-qmix: {said.format(expected)}\n")
    assert watch("nearest", "--map", "3m", "--battles", "1", "--out", "~no such user")[0] == 0
    assert Path("~no such user").read_text().startswith("<!")


def test_a_battle_whose_game_fails_is_played_again(
    watch: Callable[..., tuple[int, str, str]], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    crash = Fault("crash", launches=(0,), number=3)
    with battle_host(tmp_path, monkeypatch, faults=[crash], maps=["3m"]) as host:
        code, output, _ = watch("random", "--map", "3m", "--battles", "1", "--backend", "smac")
        assert (code, host.launched) == (0, 2)
    assert output.startswith("battle 1: ")
    (battle,) = data_of(Path("watch.html").read_text())["battles"]
    assert battle["steps"] > 3


def test_without_a_game_it_says_what_to_do(watch: Callable[..., tuple[int, str, str]]) -> None:
    run = run_on("skirmish")
    code, output, errors = watch(run, "--backend", "smac", "--backend-options", "python=nowhere")
    assert (code, output) == (1, "")
    assert re.fullmatch(r"pps-qmix: .*cannot run nowhere: .*backend-options.*\n", errors)
    assert not Path("watch.html").exists()


def test_a_page_that_was_there_stays_when_nothing_is_played(watch: Callable[..., tuple[int, str, str]]) -> None:
    Path("watch.html").write_text("old")
    assert watch("nearest", "--map", "3mm")[0] == 2
    assert Path("watch.html").read_text() == "old"
