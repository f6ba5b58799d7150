// What was drawn on one photo, in its own pixels: strokes, points and boxes, with undo and redo.

export class Hints {
  #done = [];
  #undone = [];

  get isEmpty() { return this.#done.length === 0; }
  get canRedo() { return this.#undone.length > 0; }
  get all() { return this.#done; }

  add(hint) {
    this.#done.push(hint);
    this.#undone = [];
  }

  undo() {
    if (this.#done.length) this.#undone.push(this.#done.pop());
  }

  redo() {
    if (this.#undone.length) this.#done.push(this.#undone.pop());
  }

  clear() {
    this.#undone = [...this.#undone, ...this.#done.reverse()];
    this.#done = [];
  }

  // As the server takes them.
  get drawn() {
    const of = (kind) => this.#done.filter((hint) => hint.kind === kind);
    return {
      strokes: this.#done.filter((hint) => hint.path),
      points: of("point").map((hint) => hint.place),
      not_points: of("not-point").map((hint) => hint.place),
      boxes: of("box").map((hint) => hint.box),
    };
  }
}

// Draws hints on a canvas whose unit is the photo's pixel.
export function draw(context, hints, scale) {
  context.lineCap = context.lineJoin = "round";
  for (const hint of hints) {
    const isDrop = hint.kind === "drop" || hint.kind === "not-point";
    const paint = isDrop ? "#e11d74" : "#12a150";
    if (hint.path) {
      context.globalAlpha = 0.55;
      context.strokeStyle = paint;
      context.lineWidth = hint.width;
      line(context, hint.path);
      context.globalAlpha = 1;
      // Not by color alone: what is dropped has a broken line along its middle.
      context.strokeStyle = "#fff";
      context.lineWidth = 1.5 / scale;
      context.setLineDash(isDrop ? [6 / scale, 6 / scale] : []);
      line(context, hint.path);
      context.setLineDash([]);
    } else if (hint.place) {
      point(context, hint.place, isDrop, paint, 11 / scale);
    } else if (hint.box) {
      for (const [style, width] of [["#000", 4], ["#ffd54a", 2]]) {
        context.strokeStyle = style;
        context.lineWidth = width / scale;
        context.strokeRect(...hint.box);
      }
    }
  }
}

function line(context, path) {
  context.beginPath();
  context.moveTo(path[0], path[1]);
  for (let i = 0; i < path.length; i += 2) context.lineTo(path[i], path[i + 1]);
  context.stroke();
}

function point(context, [x, y], isDrop, paint, radius) {
  context.beginPath();
  context.arc(x, y, radius, 0, 2 * Math.PI);
  context.fillStyle = paint;
  context.fill();
  context.strokeStyle = "#fff";
  context.lineWidth = radius / 5;
  context.stroke();
  context.beginPath();
  const arm = radius * 0.5;
  context.moveTo(x - arm, y);
  context.lineTo(x + arm, y);
  if (!isDrop) {
    context.moveTo(x, y - arm);
    context.lineTo(x, y + arm);
  }
  context.stroke();
}
