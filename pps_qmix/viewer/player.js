// Time, choice and keys: what is shown when.

const SPEEDS = [0.25, 0.5, 1, 2, 4, 8, 16];
const LONGEST_PAUSE = 0.25; // seconds of playing at once: a reader who returns to this page continues where it was
const THUMB = 9; // half the slider's thumb, as in viewer.css, like the next two
const AXIS = 36; // pixels to the left of the slider
const FOOT = 14; // pixels below it

const film = JSON.parse(byId("film").textContent);
const battles = film.battles.map((coded, index) => Object.assign(new Battle(film, coded), { index }));
const field = new Field(byId("field"), film);
const panel = new Panel(film, battles, { showBattle, choose: toggleChosen, point });
const still = matchMedia("(prefers-reduced-motion: reduce)");

let battle = battles[0];
let t = 0; // in steps; whole when a step has just been played
let playing = false;
let speed = 1;
let chosen = null;
let pointed = null; // the unit under the pointer, or of the row that has the focus
let whole = false;
let colours = readColours();
let last = null; // when the last picture was drawn, while playing
let awaited = false; // a picture is on its way

function readColours() {
  const style = getComputedStyle(document.documentElement);
  const names = ["floor", "grid", "wall", "edge", "ally", "enemy", "sign", "good", "fair", "poor", "shield", "energy",
    "heal", "ally-shot", "enemy-shot", "burst", "veil", "text", "faint", "line", "accent"];
  return Object.fromEntries(names.map((name) => [name, style.getPropertyValue(`--${name}`).trim()]));
}

// --- what happens ---------------------------------------------------------------------------------------------

function showBattle(index, step = 0) {
  battle = battles[Math.max(0, Math.min(battles.length - 1, index))];
  byId("slider").max = battle.steps;
  panel.reveal(battle);
  seek(step);
  refit();
}

function seek(step) {
  t = Math.max(0, Math.min(battle.steps, step));
  if (t === battle.steps) playing = false;
  refresh();
}

/** To a whole step, and stay there. */
function pauseAt(step) {
  playing = false;
  seek(step);
}

function setPlaying(on) {
  if (on && t >= battle.steps) t = 0;
  if (!on && playing) t = Math.round(t); // where shots and actions are those of one step
  playing = on;
  last = null;
  refresh();
}

function setSpeed(value) {
  speed = value ?? speed;
  refresh();
}

const slower = () => setSpeed(SPEEDS[SPEEDS.indexOf(speed) - 1]);
const faster = () => setSpeed(SPEEDS[SPEEDS.indexOf(speed) + 1]);

function choose(u) {
  chosen = u;
  refresh();
}

function point(u) {
  if (u === pointed) return;
  pointed = u;
  refresh();
}

function toggleChosen(u) {
  choose(u === chosen ? null : u);
}

/** The next living agent, then none. */
function chooseNext() {
  const from = chosen !== null && battle.isAgent(chosen) ? chosen + 1 : 0;
  for (let u = from; u < battle.agents; u++) if (battle.isAlive(u, t)) return choose(u);
  return choose(null);
}

function playNext() {
  showBattle(battle.index + 1);
  if (!still.matches) setPlaying(true);
}

function toggleWhole() {
  whole = !whole;
  refit();
}

// --- what is seen ---------------------------------------------------------------------------------------------

function refit() {
  const [height, width] = [film.pathable.length, film.pathable[0].length];
  const [west, south, east, north] = whole ? [0, 0, width, height] : battle.window;
  byId("stage").style.setProperty("--aspect", ((east - west) / (north - south)).toFixed(4));
  field.fit([west, south, east, north], colours);
  refresh();
}

function refresh() {
  if (!awaited) requestAnimationFrame(picture);
  awaited = true;
}

function picture(now) {
  awaited = false;
  if (playing) {
    const passed = last === null ? 0 : Math.min(LONGEST_PAUSE, (now - last) / 1000);
    last = now;
    t = Math.min(battle.steps, t + (passed * speed) / film.secondsPerStep);
    if (t >= battle.steps) playing = false;
  }
  if (pointed !== null && !battle.isAlive(pointed, t)) pointed = null;
  field.draw(battle, t, chosen, pointed);
  drawStrengths(byId("strengths"), battle, t, colours, { left: AXIS + THUMB, right: THUMB, foot: FOOT });
  panel.show(battle, t, chosen);
  const step = Math.floor(t);
  const over = t >= battle.steps;
  const soFar = battle.returns[step].toFixed(2);
  byId("slider").value = String(t);
  byId("slider").setAttribute("aria-valuetext", `step ${step} of ${battle.steps}`);
  byId("clock").textContent = `step ${step} / ${battle.steps} · return ${soFar}`;
  byId("speed").textContent = `${{ 0.25: "¼", 0.5: "½" }[speed] ?? speed}×`;
  byId("slower").disabled = speed === SPEEDS[0];
  byId("faster").disabled = speed === SPEEDS.at(-1);
  byId("play").setAttribute("aria-label", playing ? "Pause" : "Play");
  byId("play").classList.toggle("playing", playing);
  byId("whole").setAttribute("aria-pressed", String(whole));
  const banner = over ? `${OUTCOMES[battle.outcome]} · return ${soFar} · ${battle.steps} steps` : "";
  if (byId("banner").textContent !== banner) byId("banner").textContent = banner; // it is read aloud when it changes
  byId("banner").className = over ? battle.outcome.replace(" ", "-") : "";
  byId("next").hidden = !over || battle === battles.at(-1);
  Object.assign(document.body.dataset, {
    battle: battle.index, step, playing, chosen: chosen ?? "", pointed: pointed ?? "", speed,
  });
  if (playing) refresh();
}

// --- who says so ----------------------------------------------------------------------------------------------

const on = (id, event, act) => byId(id).addEventListener(event, act);
on("first", "click", () => pauseAt(0));
on("back", "click", () => pauseAt(Math.ceil(t) - 1));
on("play", "click", () => setPlaying(!playing));
on("forward", "click", () => pauseAt(Math.floor(t) + 1));
on("slower", "click", slower);
on("faster", "click", faster);
on("whole", "click", toggleWhole);
on("next", "click", playNext);
on("slider", "input", (event) => pauseAt(Math.round(event.target.value)));
on("field", "click", (event) => {
  const u = field.unitAt(battle, t, event.offsetX, event.offsetY);
  if (u === null) choose(null);
  else toggleChosen(u);
});

on("field", "pointermove", (event) => point(field.unitAt(battle, t, event.offsetX, event.offsetY)));
on("field", "pointerleave", () => point(null));

const KEYS = {
  " ": () => setPlaying(!playing),
  k: () => setPlaying(!playing),
  ArrowLeft: (event) => pauseAt(Math.ceil(t) - (event.shiftKey ? 10 : 1)),
  ArrowRight: (event) => pauseAt(Math.floor(t) + (event.shiftKey ? 10 : 1)),
  Home: () => pauseAt(0),
  End: () => pauseAt(battle.steps),
  "+": faster,
  "=": faster,
  "-": slower,
  "[": () => showBattle(battle.index - 1),
  "]": () => showBattle(battle.index + 1),
  a: chooseNext,
  m: toggleWhole,
  Escape: () => choose(null),
};

addEventListener("keydown", (event) => {
  const act = KEYS[event.key.length === 1 ? event.key.toLowerCase() : event.key];
  if (!act || event.ctrlKey || event.metaKey || event.altKey) return;
  // On a focused button, or the heading of a fold, space means that one.
  if (event.key === " " && event.target.closest("button, summary")) return;
  event.preventDefault();
  act(event);
});

// A button that was clicked with a pointer does not keep the keys for itself.
addEventListener("click", (event) => {
  if (event.detail > 0) event.target.closest("button, summary")?.blur();
});

new ResizeObserver(refit).observe(byId("stage"));
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => {
  colours = readColours();
  refit();
});

/** #battle=2&step=13&agent=0 in the address shows just that, standing still. Without it the first battle is played. */
function followAddress() {
  const asked = new URLSearchParams(location.hash.slice(1));
  const number = (name, none) => (/^\d+$/.test(asked.get(name) ?? "") ? Number(asked.get(name)) : none);
  playing = false;
  chosen = number("agent", film.agents) < film.agents ? number("agent") : null;
  showBattle(number("battle", 1) - 1, number("step", 0));
  if (![...asked.keys()].length && !still.matches) setPlaying(true);
}

addEventListener("hashchange", followAddress);
followAddress();

// For tests: where unit `u` is in the page, and how many pixels a cell has.
window.battleViewer = {
  place(u) {
    const { left, top } = byId("field").getBoundingClientRect();
    const [x, y] = field.place(battle, u, t);
    return [left + x, top + y];
  },
  scale: () => field.scale,
};
