// Draws a moment of a battle on a canvas, and tells which unit is where.

const FADE = 1; // steps in which a dead unit vanishes, from the beginning of the one in which it died
const TRAIL = 14; // steps that a chosen unit's way is shown
const FLIGHT = 0.5; // of a step that a shot is seen to fly

class Field {
  constructor(canvas, film) {
    this.canvas = canvas;
    this.film = film;
    this.context = canvas.getContext("2d");
    this.signs = film.kinds.map((kind) => signPath(kind.sign));
    this.terrain = terrainOf(film.pathable);
    this.scale = 1; // pixels per cell
  }

  /** Fits the canvas to its element, and the part of the map [west, south, east, north] into it. */
  fit([west, south, east, north], colours) {
    const { clientWidth: width, clientHeight: height } = this.canvas;
    const density = window.devicePixelRatio || 1;
    this.canvas.width = Math.round(width * density);
    this.canvas.height = Math.round(height * density);
    this.context.setTransform(density, 0, 0, density, 0, 0);
    this.width = width;
    this.height = height;
    this.scale = Math.min(width / (east - west), height / (north - south));
    this.left = (width - (east - west) * this.scale) / 2 - west * this.scale;
    this.top = (height - (north - south) * this.scale) / 2 + north * this.scale;
    this.colours = colours;
  }

  place(battle, u, t) {
    return [this.left + battle.at("x", t, u) * this.scale, this.top - battle.at("y", t, u) * this.scale];
  }

  radius(battle, u) {
    return battle.kind(u).radius * this.scale;
  }

  /** The living unit at a point, or the nearest within a finger's breadth, or null. */
  unitAt(battle, t, x, y) {
    let best = null;
    let least = 14;
    for (let u = 0; u < battle.size; u++) {
      if (!battle.isAlive(u, t)) continue;
      const [ux, uy] = this.place(battle, u, t);
      const distance = Math.hypot(ux - x, uy - y) - this.radius(battle, u);
      if (distance < least) [best, least] = [u, distance];
    }
    return best;
  }

  /** Draws time `t`; with a chosen agent, as far as that agent sees. The pointed unit shows its target, too. */
  draw(battle, t, chosen, pointed) {
    const eye = chosen !== null && battle.isAgent(chosen) && battle.isAlive(chosen, t) ? chosen : null;
    this.drawTerrain();
    this.drawWrecks(battle, t);
    if (chosen !== null) this.drawTrail(battle, t, chosen);
    const [layer, radius] = [(u) => battle.kind(u).layer, (u) => battle.kind(u).radius];
    const units = [...Array(battle.size).keys()].sort((u, v) => layer(u) - layer(v) || radius(v) - radius(u));
    const isSeen = (u) => eye === null || battle.sees(eye, u, t);
    for (const u of units) if (!isSeen(u)) this.drawUnit(battle, t, u, false);
    if (eye !== null) this.drawSight(battle, t, eye);
    for (const u of units) if (isSeen(u)) this.drawUnit(battle, t, u, u === chosen);
    this.drawBursts(battle, t);
    for (const u of units) if (isSeen(u)) this.drawDeeds(battle, t, u);
    const shown = new Set([chosen, pointed].filter((u) => u !== null));
    const targets = [...shown].map((u) => [u, battle.targetOf(u, t)]).filter(([, target]) => target !== null);
    for (const [u, target] of targets) this.drawTarget(battle, t, u, target);
    this.drawNumbers(battle, t, isSeen, new Set([...shown, ...targets.map(([, target]) => target)]));
    if (eye !== null) {
      const cone = battle.cone(eye, t);
      const { sight, reach, heals } = battle.kind(eye);
      const named = [[`sight ${sight}`, sight], [`${heals ? "heal" : "attack"} range ${reach}`, reach]];
      const taken = [];
      for (const [text, range] of named) this.rangeLabel(text, range, this.place(battle, eye, t), cone, taken);
    }
  }

  drawTerrain() {
    const { context: c, colours } = this;
    c.fillStyle = colours.wall;
    c.fillRect(0, 0, this.width, this.height);
    c.save();
    c.translate(this.left, this.top);
    c.scale(this.scale, -this.scale);
    c.fillStyle = colours.floor;
    c.fill(this.terrain.floor);
    c.lineWidth = 1 / this.scale;
    c.strokeStyle = colours.grid;
    c.stroke(this.terrain.grid);
    c.lineWidth = 1.5 / this.scale;
    c.strokeStyle = colours.edge;
    c.stroke(this.terrain.edge);
    c.restore();
  }

  /** Crosses where units have died. */
  drawWrecks(battle, t) {
    const { context: c } = this;
    c.lineWidth = 1.5;
    for (let u = 0; u < battle.size; u++) {
      if (battle.deaths[u] > t) continue;
      const [x, y] = this.place(battle, u, battle.deaths[u]);
      const r = Math.max(2.5, this.radius(battle, u) * 0.45);
      c.globalAlpha = Math.max(0.28, 0.8 - (t - battle.deaths[u]) * 0.06);
      c.strokeStyle = this.team(battle, u);
      c.beginPath();
      c.moveTo(x - r, y - r);
      c.lineTo(x + r, y + r);
      c.moveTo(x - r, y + r);
      c.lineTo(x + r, y - r);
      c.stroke();
    }
    c.globalAlpha = 1;
  }

  /** The way a unit has come. */
  drawTrail(battle, t, u) {
    const { context: c } = this;
    c.strokeStyle = this.team(battle, u);
    c.lineCap = "round";
    c.lineWidth = 2;
    for (let back = TRAIL; back > 0; back--) {
      if (t - back < -1) continue;
      c.globalAlpha = 0.65 * (1 - (back - 1) / TRAIL);
      c.beginPath();
      c.moveTo(...this.place(battle, u, Math.max(0, t - back)));
      c.lineTo(...this.place(battle, u, Math.max(0, t - back + 1)));
      c.stroke();
    }
    c.globalAlpha = 1;
  }

  /** A veil over what an agent does not see, and its two ranges. */
  drawSight(battle, t, u) {
    const { context: c, colours } = this;
    const [x, y] = this.place(battle, u, t);
    const cone = battle.cone(u, t);
    const part = (range) => this.sector(x, y, range * this.scale, cone);
    c.fillStyle = colours.veil;
    c.beginPath();
    c.rect(0, 0, this.width, this.height);
    part(battle.kind(u).sight);
    c.fill("evenodd");
    c.lineWidth = 1.5;
    c.strokeStyle = colours.accent;
    c.beginPath();
    part(battle.kind(u).sight);
    c.stroke();
    c.setLineDash([5, 5]);
    c.beginPath();
    part(battle.kind(u).reach);
    c.stroke();
    c.setLineDash([]);
  }

  /** Adds a circle to the path, or the part of it that a cone takes. */
  sector(x, y, r, cone) {
    const { context: c } = this;
    if (cone === null || cone.width >= 2 * Math.PI) {
      c.moveTo(x + r, y);
      c.arc(x, y, r, 0, 2 * Math.PI, true);
      return;
    }
    c.moveTo(x, y); // angles grow counter-clockwise on the map, clockwise on the canvas
    c.arc(x, y, r, -cone.angle + cone.width / 2, -cone.angle - cone.width / 2, true);
    c.closePath();
  }

  /** The name of a range on its circle or cone, where that is on the canvas and no label that is `taken` is near. */
  rangeLabel(text, range, [x, y], cone, taken) {
    const r = range * this.scale;
    const around = [2, 6, 0, 4, 1, 3, 5, 7].map((eighth) => (eighth * Math.PI) / 4); // above, below, at the sides, between
    const angles = cone === null ? around : [0, 0.3, -0.3].map((share) => cone.angle + share * cone.width);
    const places = angles.map((angle) => [x + r * Math.cos(angle), y - r * Math.sin(angle)]);
    const isInside = ([px, py]) => px > 48 && px < this.width - 48 && py > 12 && py < this.height - 12;
    const isFree = ([px, py]) => taken.every(([tx, ty]) => Math.abs(px - tx) > 80 || Math.abs(py - ty) > 15);
    const place = places.find((each) => isInside(each) && isFree(each));
    if (!place) return;
    taken.push(place);
    this.label(text, ...place, this.colours.accent);
  }

  drawUnit(battle, t, u, isChosen) {
    const { context: c, colours } = this;
    const death = battle.deaths[u];
    const dying = t - (death - 1); // above 0 from the beginning of the step in which it dies
    if (death === 0 || dying > FADE) return;
    const [x, y] = this.place(battle, u, t);
    const kind = battle.kind(u);
    const r = this.radius(battle, u) * (dying > 0 ? 1 + 0.25 * dying : 1);
    const ring = Math.min(3.5, Math.max(1.5, r * 0.2));
    c.save();
    c.globalAlpha = dying > 0 ? Math.max(0, 1 - dying / FADE) : kind.layer > 0 ? 0.88 : 1;
    if (kind.layer > 0) { // over the others, or in the air
      c.fillStyle = "#0005";
      this.circle(x + r * 0.35, y + r * 0.5, r);
      c.fill();
    }
    c.fillStyle = this.team(battle, u);
    this.circle(x, y, r);
    c.fill();
    c.save();
    c.translate(x, y);
    c.scale((r - ring) * 0.62, -(r - ring) * 0.62);
    c.fillStyle = colours.sign;
    c.fill(this.signs[battle.units[u]]);
    c.restore();
    c.lineWidth = ring;
    c.lineCap = "butt";
    c.strokeStyle = "#0009";
    this.circle(x, y, r);
    c.stroke();
    const health = battle.at("health", t, u) / kind.health;
    this.arc(x, y, r, health, this.healthColour(health));
    if (kind.shield) this.arc(x, y, r + ring, battle.at("shield", t, u) / kind.shield, colours.shield);
    if (kind.energy) this.arc(x, y, r + ring, battle.at("energy", t, u) / kind.energy, colours.energy);
    if (isChosen) {
      c.lineWidth = 2;
      c.strokeStyle = colours.text;
      this.circle(x, y, r + 2 * ring + 2);
      c.stroke();
    }
    c.restore();
  }

  /** A ring where a unit has burst. */
  drawBursts(battle, t) {
    const { context: c, colours } = this;
    for (let u = 0; u < battle.size; u++) {
      const since = t - (battle.deaths[u] - 1);
      const { burst } = battle.kind(u);
      if (!burst || since <= 0 || since > 1.6) continue;
      const [x, y] = this.place(battle, u, t);
      c.globalAlpha = (1 - since / 1.6) * 0.9;
      c.strokeStyle = c.fillStyle = colours.burst;
      c.lineWidth = 2.5;
      this.circle(x, y, burst * this.scale * Math.min(1, 0.35 + since));
      c.stroke();
      c.globalAlpha *= 0.2;
      c.fill();
    }
    c.globalAlpha = 1;
  }

  /** The shot or the healing of a unit in the step that is being played: in flight, or whole when time stands. */
  drawDeeds(battle, t, u) {
    const healed = battle.during("healing", t, u);
    if (healed !== NO_UNIT && battle.isAlive(u, t)) this.drawHealing(battle, t, u, healed);
    const victim = battle.during("shotAt", t, u);
    if (victim === NO_UNIT) return;
    const { context: c } = this;
    const colour = battle.isAgent(u) ? this.colours["ally-shot"] : this.colours["enemy-shot"];
    const [from, to] = this.between(battle, t, u, victim);
    const part = t - Math.floor(t);
    const flown = part === 0 ? 1 : (part - ((u * 0.377) % 1) * (1 - FLIGHT)) / FLIGHT; // not all at the same moment
    if (flown < 0 || flown > 1.25) return;
    const point = (share) => from.map((value, axis) => value + (to[axis] - value) * Math.min(1, Math.max(0, share)));
    const tail = part === 0 ? 0 : flown - 0.6;
    c.strokeStyle = c.fillStyle = colour;
    c.lineCap = "round";
    c.lineWidth = Math.min(2.5, Math.max(1.25, this.scale * 0.08));
    c.globalAlpha = flown > 1 ? (1.25 - flown) * 4 : part === 0 ? 0.75 : 0.95;
    c.beginPath();
    c.moveTo(...point(tail));
    c.lineTo(...point(flown));
    c.stroke();
    if (flown >= 1) {
      this.circle(...to, Math.max(2, this.scale * 0.1));
      c.fill();
    }
    c.globalAlpha = 1;
  }

  drawHealing(battle, t, u, healed) {
    const { context: c, colours } = this;
    const [from, to] = this.between(battle, t, u, healed);
    c.strokeStyle = colours.heal;
    c.lineWidth = Math.max(1.5, this.scale * 0.1);
    c.lineCap = "round";
    c.globalAlpha = 0.85;
    c.beginPath();
    c.moveTo(...from);
    c.lineTo(...to);
    c.stroke();
    c.globalAlpha = 1;
  }

  /** From the edge of one unit to the edge of another. */
  between(battle, t, u, v) {
    const [ux, uy] = this.place(battle, u, t);
    const [vx, vy] = this.place(battle, v, t);
    const length = Math.hypot(vx - ux, vy - uy) || 1;
    const [dx, dy] = [(vx - ux) / length, (vy - uy) / length];
    const [ru, rv] = [Math.min(this.radius(battle, u), length / 2), Math.min(this.radius(battle, v) * 0.6, length / 2)];
    return [[ux + dx * ru, uy + dy * ru], [vx - dx * rv, vy - dy * rv]];
  }

  /** A dashed line from a unit to the one it acts on, and a ring around that one. */
  drawTarget(battle, t, u, target) {
    const { context: c } = this;
    const [from, to] = this.between(battle, t, u, target);
    c.strokeStyle = battle.kind(u).heals ? this.colours.heal : this.colours.text;
    c.lineWidth = 1.5;
    c.setLineDash([4, 3]);
    c.beginPath();
    c.moveTo(...from);
    c.lineTo(...to);
    c.stroke();
    c.setLineDash([]);
    this.circle(...this.place(battle, target, t), this.radius(battle, target) + 4);
    c.stroke();
  }

  /** The units' numbers, last, so that nothing covers them. In a crowd an enemy that is not `named` goes without. */
  drawNumbers(battle, t, isSeen, named) {
    const taken = [];
    const isFree = (x, y, size) => taken.every(([tx, ty]) => Math.abs(x - tx) > size * 1.7 || Math.abs(y - ty) > size);
    const rank = (u) => (named.has(u) ? 0 : battle.isAgent(u) ? 1 : 2);
    const shown = [...Array(battle.size).keys()].filter((u) => named.has(u) || (battle.isAlive(u, t) && isSeen(u)));
    for (const u of shown.sort((a, b) => rank(a) - rank(b))) {
      const r = this.radius(battle, u);
      const size = Math.min(13, Math.max(8.5, r * 0.6 + 4)) - (battle.isAgent(u) || named.has(u) ? 0 : 1);
      const [unitX, unitY] = this.place(battle, u, t);
      const [x, y] = [unitX + r * 0.75 + size / 2, unitY - r * 0.75 - size / 2];
      if (rank(u) === 2 && !isFree(x, y, size)) continue;
      taken.push([x, y]);
      this.label(battle.number(u), x, y, battle.isAgent(u) ? this.colours.text : this.colours["enemy-shot"], size);
    }
  }

  label(text, x, y, colour, size = 11) {
    const { context: c } = this;
    c.font = `600 ${size}px system-ui, sans-serif`;
    c.textAlign = "center";
    c.textBaseline = "middle";
    c.lineJoin = "round";
    c.lineWidth = 3;
    c.strokeStyle = this.colours.floor;
    c.strokeText(text, x, y);
    c.fillStyle = colour;
    c.fillText(text, x, y);
  }

  arc(x, y, r, share, colour) {
    if (share <= 0) return;
    this.context.strokeStyle = colour;
    this.context.beginPath();
    this.context.arc(x, y, r, -Math.PI / 2, -Math.PI / 2 + 2 * Math.PI * Math.min(1, share));
    this.context.stroke();
  }

  circle(x, y, r) {
    this.context.beginPath();
    this.context.arc(x, y, Math.max(0, r), 0, 2 * Math.PI);
  }

  team(battle, u) {
    return battle.isAgent(u) ? this.colours.ally : this.colours.enemy;
  }

  healthColour(share) {
    return this.colours[this.film.healthColours.find(([least]) => share > least)?.[1] ?? "poor"];
  }
}

/** A polygon in the unit circle, y up. */
function signPath(points) {
  const path = new Path2D();
  points.forEach(([x, y], k) => (k ? path.lineTo(x, y) : path.moveTo(x, y)));
  path.closePath();
  return path;
}

/** The floor, its grid and its edge in map cells. `rows` begin in the south; "." can be walked on. */
function terrainOf(rows) {
  const floor = new Path2D();
  const grid = new Path2D();
  const edge = new Path2D();
  const isFloor = (x, y) => rows[y]?.[x] === ".";
  const line = (path, x1, y1, x2, y2) => {
    path.moveTo(x1, y1);
    path.lineTo(x2, y2);
  };
  for (let y = 0; y < rows.length; y++) {
    for (let x = 0; x < rows[y].length; x++) {
      if (!isFloor(x, y)) continue;
      floor.rect(x, y, 1, 1);
      line(isFloor(x - 1, y) ? grid : edge, x, y, x, y + 1);
      line(isFloor(x, y - 1) ? grid : edge, x, y, x + 1, y);
      if (!isFloor(x + 1, y)) line(edge, x + 1, y, x + 1, y + 1);
      if (!isFloor(x, y + 1)) line(edge, x, y + 1, x + 1, y + 1);
    }
  }
  return { floor, grid, edge };
}

