// A film's battles, decoded from what page.py has written. Nothing in here knows of the screen.

const NO_UNIT = 255; // or no action
const FIRST_LOOK = 6; // behind no-op, stop and the moves, where there are cones of sight

/** Returns a column [T + 1, U] as a typed array, in its own unit of measure. */
function unpack({ per, data }, size) {
  if (data === "") return per ? new Float32Array(size) : new Uint8Array(size).fill(NO_UNIT);
  const bytes = Uint8Array.from(atob(data), (letter) => letter.charCodeAt(0));
  if (!per) return bytes;
  const view = new DataView(bytes.buffer);
  return Float32Array.from({ length: size }, (_, k) => view.getUint16(2 * k, true) / per);
}

class Battle {
  constructor(film, coded) {
    this.film = film;
    this.outcome = coded.outcome;
    this.steps = coded.steps;
    this.window = coded.window;
    this.units = coded.units; // the kind of each unit
    this.size = this.units.length;
    this.agents = film.agents;
    for (const [name, column] of Object.entries(coded.columns)) {
      this[name] = unpack(column, (this.steps + 1) * this.size);
    }
    this.returns = [0];
    for (const reward of coded.rewards) this.returns.push(this.returns.at(-1) + reward);
    // The step at which a unit was first seen dead, or Infinity.
    this.deaths = this.units.map((_, u) => {
      for (let step = 0; step <= this.steps; step++) if (this.health[step * this.size + u] === 0) return step;
      return Infinity;
    });
    this.looks = film.looks.length ? this.looksOfAgents() : null;
  }

  kind(u) {
    return this.film.kinds[this.units[u]];
  }

  /** The direction [T + 1, agents] of each agent's cone of sight: that of its last look, east before the first. */
  looksOfAgents() {
    const looks = new Uint8Array((this.steps + 1) * this.agents);
    for (let step = 1; step <= this.steps; step++) {
      for (let u = 0; u < this.agents; u++) {
        const look = this.action[step * this.size + u] - FIRST_LOOK;
        const isLook = look >= 0 && look < this.film.looks.length;
        looks[step * this.agents + u] = isLook ? look : looks[(step - 1) * this.agents + u];
      }
    }
    return looks;
  }

  /** The angle at which an agent's cone of sight opens and how wide it is, in radians, or null where there are none. */
  cone(u, t) {
    if (this.looks === null) return null;
    const count = this.film.looks.length;
    const [x, y] = this.film.looks[this.looks[Math.min(Math.floor(t), this.steps) * this.agents + u]];
    return { angle: Math.atan2(y, x), width: (2 * Math.PI) / count };
  }

  isAgent(u) {
    return u < this.agents;
  }

  /** The number a unit has in its own team: an agent's seat, an enemy's place among the targets after an E. */
  number(u) {
    return this.isAgent(u) ? String(u) : `E${u - this.agents}`;
  }

  isAlive(u, t) {
    return Math.floor(t) < this.deaths[u];
  }

  /** What `column` ("x", "health", ...) says of unit `u` at time `t`, between two steps in proportion. */
  at(column, t, u) {
    const values = this[column];
    const step = Math.min(Math.floor(t), this.steps);
    const now = values[step * this.size + u];
    return step === t || step === this.steps ? now : now + (values[(step + 1) * this.size + u] - now) * (t - step);
  }

  /** What `column` ("action", "shotAt", ...) says of the step that is being played at time `t`. */
  during(column, t, u) {
    return this[column][Math.ceil(t) * this.size + u];
  }

  distance(u, v, t) {
    return Math.hypot(this.at("x", t, u) - this.at("x", t, v), this.at("y", t, u) - this.at("y", t, v));
  }

  /** Whether agent `u` has unit `v` in sight: both live, nearer than the sight, and in the cone if there is one. */
  sees(u, v, t) {
    if (u === v) return true;
    return this.isAlive(u, t) && this.isAlive(v, t) && this.distance(u, v, t) < this.kind(u).sight && this.faces(u, v, t);
  }

  faces(u, v, t) {
    const cone = this.cone(u, t);
    if (cone === null) return true;
    const bearing = Math.atan2(this.at("y", t, v) - this.at("y", t, u), this.at("x", t, v) - this.at("x", t, u));
    const turn = Math.abs(bearing - cone.angle) % (2 * Math.PI);
    return Math.min(turn, 2 * Math.PI - turn) < cone.width / 2;
  }

  living(agents, t) {
    let count = 0;
    for (let u = 0; u < this.size; u++) if (this.isAgent(u) === agents && this.isAlive(u, t)) count++;
    return count;
  }

  /** Health and shields of a team, as a share of what it began with. */
  strength(agents, step) {
    let now = 0;
    let full = 0;
    for (let u = 0; u < this.size; u++) {
      if (this.isAgent(u) !== agents) continue;
      now += this.at("health", step, u) + this.at("shield", step, u);
      full += this.at("health", 0, u) + this.at("shield", 0, u);
    }
    return now / full;
  }

  name(u) {
    return `${this.kind(u).name} ${this.number(u)}`;
  }

  /** The unit that `u` acts on in the step that is being played at time `t`, or null: an enemy's target if it is known. */
  targetOf(u, t) {
    if (!this.isAlive(u, t)) return null;
    if (this.isAgent(u)) return this.deed(u, t)[1];
    const target = this.during("target", t, u);
    return target === NO_UNIT ? null : target;
  }

  /** What a seat did in the step that is being played at time `t`: a word, and the unit it was done to, or null. */
  deed(u, t) {
    const action = this.during("action", t, u);
    if (action === NO_UNIT) return ["nothing yet", null];
    const target = action - this.film.firstTarget;
    if (target < 0 && action >= FIRST_LOOK) return [`look ${Math.round(((action - FIRST_LOOK) * 360) / this.film.looks.length)}°`, null];
    if (target < 0) return [["no-op", "stop", "north", "south", "east", "west"][action], null];
    return this.kind(u).heals ? ["heal", target] : ["attack", this.agents + target];
  }
}

