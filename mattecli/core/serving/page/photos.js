// The photos at the side: those of the folder, worst first, or those that were dropped here.

import * as api from "./api.js";
import { Hints } from "./hints.js";

const INTERVAL = 1500;

const $ = (id) => document.getElementById(id);

// Failed and empty ones first, then the least sure; what was accepted goes last.
function rank(photo) {
  if (photo.accepted) return 4;
  return { failed: 0, empty: 1, waiting: 3 }[photo.status] ?? 2 + (photo.confidence ?? 0.999) * 0.99;
}

export class Photos {
  // `onChoose` is told which photo is to be shown.
  constructor(onChoose) {
    this.onChoose = onChoose;
    this.folder = null;
    this.refine = "fast";
    this.all = [];
    this.current = null;
    this.version = -1;
    this.items = new Map();
    for (const radio of document.getElementsByName("filter")) radio.addEventListener("change", () => this.draw());
  }

  get filter() {
    return document.querySelector("[name=filter]:checked").value;
  }

  // Photos in the order in which they are gone through.
  get sorted() {
    if (this.folder === null) return this.all;
    return [...this.all].sort((a, b) => rank(a) - rank(b) || a.number - b.number);
  }

  async poll() {
    try {
      const found = await api.listing(this.version);
      this.version = found.version;
      if (found.photos) this.#take(found);
    } finally {
      if (this.folder !== null) setTimeout(() => this.poll().catch(() => {}), INTERVAL);
    }
  }

  addFiles(files) {
    const added = files.map((file) => ({ file, name: file.name || "pasted.png", hints: new Hints() }));
    this.all = [...(this.folder === null ? this.all : []), ...added];
    this.folder = null;
    this.draw();
    return added[0];
  }

  // The next photo worth a look after the current one, or the one before it.
  neighbor(step) {
    const shown = this.#shown();
    const place = shown.indexOf(this.current);
    if (step > 0 && this.folder !== null) {
      return shown.find((photo) => photo !== this.current && photo.doubtful) ?? shown[place + 1] ?? null;
    }
    return shown[place + step] ?? null;
  }

  draw() {
    const shown = this.#shown();
    $("photos").hidden = this.folder === null && this.all.length < 2;
    $("filter").hidden = $("folder-buttons").hidden = this.folder === null;
    const doubtful = this.all.filter((photo) => photo.doubtful).length;
    const waiting = this.all.filter((photo) => photo.status === "waiting").length;
    $("count").textContent = this.folder === null
      ? `${this.all.length} photos`
      : `${doubtful} of ${this.all.length} worth a look${waiting ? `, ${waiting} still to do` : ""}`;
    const items = shown.map((photo) => this.#item(photo));
    const list = $("list");
    // Only what is in another place is moved, or the list would jump and lose the focus.
    items.forEach((item, i) => { if (list.children[i] !== item) list.insertBefore(item, list.children[i] ?? null); });
    while (list.children.length > items.length) list.lastElementChild.remove();
  }

  #shown() {
    const all = this.sorted;
    if (this.folder === null || this.filter === "all") return all;
    return all.filter((photo) => photo.doubtful || photo === this.current);
  }

  #take(found) {
    this.refine = found.refine;
    if (found.name === null) return;
    this.folder = found.name;
    const before = new Map(this.all.map((photo) => [photo.number, photo]));
    this.all = found.photos.map((photo) => Object.assign(before.get(photo.number) ?? { hints: new Hints() }, photo));
    this.draw();
  }

  #item(photo) {
    let item = this.items.get(photo);
    if (!item) {
      item = document.createElement("li");
      const button = document.createElement("button");
      button.type = "button";
      const [thumb, name, state] = ["img", "span", "span"].map((kind) => document.createElement(kind));
      thumb.className = "thumb";
      thumb.alt = "";
      thumb.loading = "lazy";
      name.className = "name";
      state.className = "state";
      name.textContent = button.title = photo.name;
      button.append(thumb, name, state);
      button.addEventListener("click", () => this.onChoose(photo));
      item.append(button);
      this.items.set(photo, item);
    }
    const [thumb, , state] = item.firstChild.children;
    const source = photo.file ? (photo.address ??= URL.createObjectURL(photo.file)) : api.thumbnailAddress(photo);
    if (thumb.getAttribute("src") !== source && photo.status !== "waiting") thumb.src = source;
    state.textContent = describe(photo);
    if (photo === this.current) item.firstChild.setAttribute("aria-current", "true");
    else item.firstChild.removeAttribute("aria-current");
    return item;
  }
}

export function describe(photo) {
  if (photo.status === "waiting") return "still to do";
  if (photo.status === "failed") return photo.reason || "failed";
  const parts = [];
  if (photo.accepted) parts.push(photo.corrected ? "✓ corrected" : "✓ accepted");
  if (photo.status === "empty") parts.push("nothing found");
  else if (photo.confidence != null) parts.push(`${Math.round(photo.confidence * 100)} % sure`);
  return parts.join(", ");
}
