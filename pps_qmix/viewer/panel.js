// What is told beside the field: the teams, the chosen unit, the signs.

const byId = (id) => document.getElementById(id);

/** Makes an element: its attributes, then its children, elements or texts. */
function make(tag, attributes = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
  element.append(...children);
  return element;
}

/** A bar that shows a share of something. */
function bar(kind) {
  const level = make("i", { class: kind });
  const element = make("span", { class: "bar" }, level);
  return { element, set: (share) => level.style.setProperty("width", `${(100 * share).toFixed(1)}%`) };
}

/** The sign of a kind of unit in its team's colour. */
function signOf(kind, team) {
  const points = kind.sign.map(([x, y]) => `${(8 + 4.4 * x).toFixed(2)},${(8 - 4.4 * y).toFixed(2)}`).join(" ");
  const span = make("span", { class: `sign ${team}` });
  span.innerHTML = `<svg viewBox="0 0 16 16" aria-hidden="true"><circle cx="8" cy="8" r="8"/><polygon points="${points}"/></svg>`;
  return span;
}

const OUTCOMES = { won: "Won", lost: "Lost", drawn: "Drawn", "timed out": "Out of time" };

const counted = (n, one, several) => `${n} ${n === 1 ? one : several}`;

/** What is left of a unit, in words. */
function points(battle, t, u) {
  const kind = battle.kind(u);
  const of = (column, full) => `${Math.ceil(battle.at(column, t, u))} / ${full}`;
  return {
    health: of("health", kind.health),
    ...(kind.shield ? { shield: of("shield", kind.shield) } : {}),
    ...(kind.energy ? { energy: of("energy", kind.energy) } : {}),
  };
}

class Panel {
  constructor(film, battles, { showBattle, choose, point }) {
    this.film = film;
    this.tabs = battles.map((battle, k) => {
      const tab = make("button", { class: `tab ${battle.outcome.replace(" ", "-")}` }, make("b", {}, String(k + 1)), ` ${OUTCOMES[battle.outcome]}`);
      tab.addEventListener("click", () => showBattle(k));
      return tab;
    });
    byId("battles").append(...this.tabs);
    this.choose = choose;
    this.point = point;
    this.shown = null; // the battle whose units the rows name
    byId("legend").append(...legend(film));
  }

  /** Makes the rows of a battle's units, which may be others than the last one's. */
  list(battle) {
    this.shown = battle;
    this.rows = [];
    for (let u = 0; u < battle.agents; u++) {
      const kind = battle.kind(u);
      const [health, shield, deed] = [bar("health"), kind.shield ? bar("shield") : null, make("span", { class: "deed" })];
      const row = make("button", { class: "agent", "aria-pressed": "false", title: `What agent ${u} sees` });
      const bars = make("span", { class: "bars" }, health.element, ...(shield ? [shield.element] : []));
      row.append(signOf(kind, "ally"), make("b", {}, battle.number(u)), make("span", { class: "kind" }, kind.name), bars, deed);
      row.addEventListener("click", () => this.choose(u));
      for (const event of ["pointerenter", "focus"]) row.addEventListener(event, () => this.point(u));
      for (const event of ["pointerleave", "blur"]) row.addEventListener(event, () => this.point(null));
      this.rows.push({ row, health, shield, deed });
    }
    byId("agents").replaceChildren(...this.rows.map(({ row }) => row));
    this.foes = new Map();
    const lines = [];
    for (const kind of new Set(battle.units.slice(battle.agents))) {
      const [count, level] = [make("span", { class: "count" }), bar("foe")];
      const { name } = this.film.kinds[kind];
      const sign = signOf(this.film.kinds[kind], "enemy");
      lines.push(make("div", { class: "foes" }, sign, make("span", { class: "kind" }, name), level.element, count));
      this.foes.set(kind, { count, level });
    }
    byId("enemies").replaceChildren(...lines);
  }

  /** Scrolls to a battle's tab, where there are many. */
  reveal(battle) {
    const tab = this.tabs[battle.index];
    byId("battles").scrollLeft = tab.offsetLeft - byId("battles").offsetLeft - (byId("battles").clientWidth - tab.offsetWidth) / 2;
  }

  show(battle, t, chosen) {
    if (battle !== this.shown) this.list(battle);
    this.tabs.forEach((tab, k) => tab.setAttribute("aria-current", String(k === battle.index)));
    byId("allies-left").textContent = `${battle.living(true, t)} of ${battle.agents}`;
    for (const [id, agents] of [["allies-strength", true], ["enemies-strength", false]]) {
      byId(id).textContent = `${Math.round(100 * battle.strength(agents, t))} %`;
    }
    byId("enemies-left").textContent = `${battle.living(false, t)} of ${battle.size - battle.agents}`;
    this.rows.forEach(({ row, health, shield, deed }, u) => {
      const kind = battle.kind(u);
      const lives = battle.isAlive(u, t);
      health.set(battle.at("health", t, u) / kind.health);
      if (shield) shield.set(battle.at("shield", t, u) / kind.shield);
      const [word, target] = battle.deed(u, t);
      deed.textContent = !lives ? "dead" : target === null ? word : `${word} ${battle.number(target)}`;
      row.classList.toggle("dead", !lives);
      row.setAttribute("aria-pressed", String(u === chosen));
    });
    for (const [kind, { count, level }] of this.foes) {
      const team = battle.units.map((_, u) => u).filter((u) => !battle.isAgent(u) && battle.units[u] === kind);
      const living = team.filter((u) => battle.isAlive(u, t)).length;
      const { health, shield } = battle.film.kinds[kind];
      const sum = team.reduce((all, u) => all + battle.at("health", t, u) + battle.at("shield", t, u), 0);
      count.textContent = `${living} of ${team.length}`;
      level.set(sum / (team.length * (health + shield)));
    }
    this.showChosen(battle, t, chosen);
  }

  showChosen(battle, t, u) {
    const place = byId("chosen");
    if (u === null) {
      place.replaceChildren(make("p", { class: "hint" }, "Click an agent to see the battle as it does."));
      return;
    }
    const isAgent = battle.isAgent(u);
    const facts = points(battle, t, u);
    if (!battle.isAlive(u, t)) facts.state = `died in step ${battle.deaths[u]}` + (isAgent ? ": it sees nothing" : "");
    else if (isAgent) {
      const seen = (agents) => battle.units.filter((_, v) => v !== u && battle.isAgent(v) === agents && battle.sees(u, v, t)).length;
      const [word, target] = battle.deed(u, t);
      facts["last action"] = target === null ? word : `${word} ${battle.name(target)}`;
      facts.sees = `${counted(seen(true), "agent", "agents")}, ${counted(seen(false), "enemy", "enemies")}`;
    } else if (battle.film.enemiesAim) {
      const target = battle.during("target", t, u);
      facts.target = target === NO_UNIT ? "none" : battle.name(target);
    }
    const title = make("h2", {}, signOf(battle.kind(u), isAgent ? "ally" : "enemy"), `${isAgent ? "Agent" : "Enemy"} ${battle.number(u)}, ${battle.kind(u).name}`);
    const list = make("dl", {});
    for (const [name, value] of Object.entries(facts)) {
      list.append(make("div", { "data-fact": name }, make("dt", {}, name), make("dd", {}, value)));
    }
    place.replaceChildren(title, list);
  }
}

/** What the signs and lines mean, of those that occur in the film. */
function legend(film) {
  const present = [...new Map(film.kinds.map((kind) => [kind.name, kind])).values()]; // each side has its own of a type
  const entry = (sign, text) => make("span", { class: "entry" }, sign, text);
  const stroke = (kind) => make("span", { class: `stroke ${kind}` });
  return [
    entry(make("span", { class: "sign ally" }), "agent, with its seat"),
    entry(make("span", { class: "sign enemy" }), "enemy, numbered"),
    ...present.map((kind) => entry(signOf(kind, "neutral"), kind.name)),
    entry(stroke("health"), "health, the ring"),
    ...(present.some((kind) => kind.shield) ? [entry(stroke("shield"), "shield, outside it")] : []),
    ...(present.some((kind) => kind.energy) ? [entry(stroke("energy"), "energy, outside it")] : []),
    entry(stroke("ally-shot"), "shot of an agent"),
    ...(film.enemiesAim ? [entry(stroke("enemy-shot"), "shot of an enemy")] : []),
    ...(present.some((kind) => kind.heals) ? [entry(stroke("heal"), "healing")] : []),
    ...(present.some((kind) => kind.burst) ? [entry(stroke("burst"), "burst")] : []),
    entry(make("span", { class: "wreck" }, "×"), "died here"),
  ];
}

