// The photo and its cutout, one on the other, and the pens that draw hints on them.

import { draw } from "./hints.js";

const LARGEST_ZOOM = 8;
// Steps of the arrow keys, as shares of the photo's long side.
const STEP = 0.01, LONG_STEP = 0.05;

const $ = (id) => document.getElementById(id);

export class Stage {
  // `onHint` is told each hint that was drawn.
  constructor(onHint) {
    this.onHint = onHint;
    this.tool = "look";
    this.zoom = 1;
    this.size = [1, 1];
    this.hints = [];
    this.begun = null;
    this.cursor = null;
    const canvas = $("overlay");
    canvas.addEventListener("pointerdown", (event) => this.#down(event));
    canvas.addEventListener("pointermove", (event) => this.#move(event));
    canvas.addEventListener("pointerup", () => this.#up());
    canvas.addEventListener("pointercancel", () => this.cancel());
    canvas.addEventListener("keydown", (event) => this.#key(event));
    canvas.addEventListener("blur", () => { this.cursor = null; this.redraw(); });
    $("split").addEventListener("input", () => this.#split(Number($("split").value)));
    $("stage").addEventListener("wheel", (event) => this.#wheel(event), { passive: false });
    new ResizeObserver(() => this.fit()).observe($("stage"));
    this.#split(50);
  }

  // Shows another photo, whose cutout is yet to come.
  show(size, photo) {
    this.size = size;
    this.zoom = 1;
    this.begun = this.cursor = null;
    $("frame").classList.add("new");
    $("photo").src = $("ghost").src = photo;
    this.fit();
  }

  showCutout(image) {
    const before = $("cutout").src;
    $("cutout").src = URL.createObjectURL(image);
    if (before.startsWith("blob:")) URL.revokeObjectURL(before);
    $("frame").classList.remove("new");
  }

  choose(tool) {
    this.cancel();
    this.tool = tool;
    $("frame").classList.toggle("drawing", tool !== "look");
    this.redraw();
  }

  get penWidth() {
    return Math.max(1, (Number($("pen").value) / 100) * Math.max(...this.size));
  }

  setZoom(zoom) {
    const stage = $("stage");
    const [before, x, y] = [this.zoom, stage.scrollLeft + stage.clientWidth / 2, stage.scrollTop + stage.clientHeight / 2];
    this.zoom = Math.min(LARGEST_ZOOM, Math.max(1, zoom));
    this.fit();
    stage.scrollLeft = (x * this.zoom) / before - stage.clientWidth / 2;
    stage.scrollTop = (y * this.zoom) / before - stage.clientHeight / 2;
  }

  fit() {
    const stage = $("stage"), frame = $("frame");
    const [width, height] = this.size;
    const room = [stage.clientWidth - 32, stage.clientHeight - 32];
    if (room[0] <= 0 || room[1] <= 0) return;
    this.scale = Math.min(room[0] / width, room[1] / height) * this.zoom;
    frame.style.width = `${width * this.scale}px`;
    frame.style.height = `${height * this.scale}px`;
    $("zoom").value = this.zoom === 1 ? "fit" : `${Math.round(this.zoom * 100)} %`;
    const canvas = $("overlay"), density = Math.min(2, devicePixelRatio);
    canvas.width = Math.min(4096, width * this.scale * density);
    canvas.height = Math.min(4096, height * this.scale * density);
    this.redraw();
  }

  redraw() {
    const canvas = $("overlay"), context = canvas.getContext("2d");
    context.setTransform(1, 0, 0, 1, 0, 0);
    context.clearRect(0, 0, canvas.width, canvas.height);
    if (this.tool === "look") return;
    context.scale(canvas.width / this.size[0], canvas.height / this.size[1]);
    draw(context, this.begun ? [...this.hints, this.begun] : this.hints, this.scale);
    if (this.cursor) {
      context.strokeStyle = "#fff";
      context.lineWidth = 2 / this.scale;
      context.beginPath();
      context.arc(...this.cursor, Math.max(6 / this.scale, this.penWidth / 2), 0, 2 * Math.PI);
      context.stroke();
      context.strokeStyle = "#000";
      context.lineWidth = 1 / this.scale;
      context.stroke();
    }
  }

  cancel() {
    this.begun = null;
    this.redraw();
  }

  #split(percent) {
    $("frame").style.setProperty("--split", `${percent}%`);
    $("split").value = percent;
  }

  #place(event) {
    const box = $("overlay").getBoundingClientRect();
    return [
      ((event.clientX - box.left) / box.width) * this.size[0],
      ((event.clientY - box.top) / box.height) * this.size[1],
    ];
  }

  #down(event) {
    if (event.button !== 0) return;
    $("overlay").setPointerCapture(event.pointerId);
    this.cursor = null;
    if (this.tool === "look") this.looking = true;
    else this.#begin(this.#place(event));
    this.#move(event);
  }

  #move(event) {
    if (this.looking) {
      this.#split(Math.min(100, Math.max(0, (this.#place(event)[0] / this.size[0]) * 100)));
    } else if (this.begun) {
      const moves = event.getCoalescedEvents?.() ?? [];
      for (const one of moves.length ? moves : [event]) this.#extend(this.#place(one));
    }
  }

  #up() {
    this.looking = false;
    if (this.begun) this.#end();
  }

  #begin([x, y]) {
    if (this.tool === "keep" || this.tool === "drop") {
      this.begun = { kind: this.tool, width: this.penWidth, path: [x, y] };
    } else if (this.tool === "box") {
      this.begun = { kind: "box", box: [x, y, 0, 0], from: [x, y] };
    } else {
      this.begun = { kind: this.tool, place: this.#within([x, y]) };
    }
    this.redraw();
  }

  #extend([x, y]) {
    const hint = this.begun;
    if (hint.path) {
      hint.path.push(x, y);
    } else if (hint.box) {
      const [left, top] = hint.from;
      hint.box = [Math.min(left, x), Math.min(top, y), Math.abs(x - left), Math.abs(y - top)];
    }
    this.redraw();
  }

  #end() {
    const { from, ...hint } = this.begun;
    this.begun = null;
    // A click is no box.
    if (!hint.box || Math.min(hint.box[2], hint.box[3]) * this.scale > 4) this.onHint(hint);
    this.redraw();
  }

  #within([x, y]) {
    return [Math.min(this.size[0] - 1, Math.max(0, x)), Math.min(this.size[1] - 1, Math.max(0, y))];
  }

  #key(event) {
    const moves = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };
    const step = (event.shiftKey ? LONG_STEP : STEP) * Math.max(...this.size);
    if (event.key in moves) {
      const [dx, dy] = moves[event.key];
      if (this.tool === "look") {
        this.#split(Math.min(100, Math.max(0, Number($("split").value) + dx * (event.shiftKey ? 10 : 2))));
      } else {
        const [x, y] = this.cursor ?? this.size.map((side) => side / 2);
        this.cursor = this.#within([x + dx * step, y + dy * step]);
        if (this.begun) this.#extend(this.cursor);
        this.redraw();
      }
    } else if (event.key === " " && this.tool !== "look") {
      this.cursor ??= this.size.map((side) => side / 2);
      // Points are set at once; strokes and boxes go on until Space is pressed again.
      if (this.begun) this.#end();
      else {
        this.#begin(this.cursor);
        if (this.begun.place) this.#end();
      }
    } else if (event.key === "Escape") {
      this.cancel();
    } else {
      return;
    }
    event.preventDefault();
    event.stopPropagation();
  }

  #wheel(event) {
    if (!event.ctrlKey) return;
    event.preventDefault();
    this.setZoom(this.zoom * (event.deltaY < 0 ? 1.2 : 1 / 1.2));
  }
}
