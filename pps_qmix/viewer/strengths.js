// The strip behind the slider: what is left of both teams over the battle.

/** How far apart the ticks of an axis of `length` steps are: whole steps, and room for each number in `width` pixels. */
function tickEvery(length, width) {
  const room = 60; // pixels
  return [1, 2, 5, 10, 20, 50, 100, 200].find((every) => (every / length) * width >= room) ?? length;
}

/** The strengths of both teams over the battle, behind the slider, whose lowest value is at `left` and highest at `right`. */
function drawStrengths(canvas, battle, t, colours, { left, right, foot }) {
  const { clientWidth: width, clientHeight } = canvas;
  const density = window.devicePixelRatio || 1;
  canvas.width = Math.round(width * density);
  canvas.height = Math.round(clientHeight * density);
  const c = canvas.getContext("2d");
  c.scale(density, density);
  const height = clientHeight - foot;
  const x = (step) => left + ((width - left - right) * step) / battle.steps;
  const y = (share) => height - 2 - (height - 8) * share;
  c.font = "10px system-ui, sans-serif";
  c.fillStyle = colours.faint;
  c.strokeStyle = colours.line;
  c.textBaseline = "middle";
  c.textAlign = "right";
  for (const share of [0, 0.5, 1]) {
    c.beginPath();
    c.moveTo(x(0), y(share));
    c.lineTo(x(battle.steps), y(share));
    c.stroke();
    if (share > 0) c.fillText(`${100 * share} %`, left - 10, y(share));
  }
  c.textAlign = "center";
  for (let step = 0; step <= battle.steps; step += tickEvery(battle.steps, width - left - right)) {
    c.beginPath();
    c.moveTo(x(step), height - 2);
    c.lineTo(x(step), height + 2);
    c.stroke();
    c.fillText(String(step), x(step), height + foot / 2 + 1);
  }
  for (const [agents, colour] of [[false, colours.enemy], [true, colours.ally]]) {
    c.beginPath();
    for (let step = 0; step <= battle.steps; step++) c.lineTo(x(step), y(battle.strength(agents, step)));
    c.strokeStyle = colour;
    c.lineWidth = 1.75;
    c.lineJoin = "round";
    c.globalAlpha = 1;
    c.stroke();
    c.lineTo(x(battle.steps), y(0));
    c.lineTo(x(0), y(0));
    c.globalAlpha = 0.14;
    c.fillStyle = colour;
    c.fill();
  }
  c.globalAlpha = 0.8;
  c.fillStyle = colours.text;
  c.fillRect(x(t) - 0.75, 0, 1.5, height);
}

