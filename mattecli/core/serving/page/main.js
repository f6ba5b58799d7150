// Puts the page together: what is opened, drawn, previewed, written and downloaded.

import * as api from "./api.js";
import { listenToKeys } from "./keys.js";
import { Photos, describe } from "./photos.js";
import { Stage } from "./stage.js";

const $ = (id) => document.getElementById(id);
const BACKGROUNDS = ["checks", "white", "black", "color", "picture"];

const stage = new Stage(addHint);
const photos = new Photos(show);
const accepted = [];
let opened = null;
let asking = null;

function say(text, fine = false) {
  $("message").textContent = text;
  $("message").hidden = !text;
  $("message").classList.toggle("fine", fine);
  clearTimeout(say.timer);
  if (text) say.timer = setTimeout(() => say(""), fine ? 2500 : 9000);
}

// Does something that may fail, and says so if it does.
async function attempt(work) {
  try {
    return await work();
  } catch (error) {
    if (error.name !== "AbortError") say(error.message);
    return undefined;
  }
}

const edit = () => ({ refine: $("refine").value, hints: photos.current.hints.drawn });

async function open(photo) {
  opened = null;
  const found = photo.file ? await api.openFile(photo.file) : await api.openNumber(photo.number);
  if (photos.current !== photo) return api.close(found.id);
  opened = found;
}

async function show(photo) {
  if (!photo) return;
  if (opened) api.close(opened.id);
  opened = null;
  photos.current = photo;
  $("welcome").hidden = true;
  $("work").hidden = false;
  $("title").textContent = photo.name;
  $("sure").textContent = "";
  photos.draw();
  $("list").querySelector("[aria-current]")?.scrollIntoView({ block: "nearest" });
  $("busy").hidden = false;
  await attempt(async () => {
    await open(photo);
    if (!opened) return;
    stage.hints = photo.hints.all;
    stage.show([opened.width, opened.height], api.photoAddress(opened.id));
  });
  if (photos.current === photo) await preview();
}

async function preview() {
  const photo = photos.current;
  showHints();
  asking?.abort();
  if (!opened) return void ($("busy").hidden = true);
  asking = new AbortController();
  const { signal } = asking;
  $("busy").hidden = false;
  await attempt(async () => {
    const found = await again(() => api.preview(opened.id, edit(), signal));
    if (photos.current !== photo || signal.aborted) return;
    stage.showCutout(found.image);
    $("sure").textContent = describe({ status: found.status, confidence: found.confidence });
  });
  if (!signal.aborted) $("busy").hidden = true;
}

// The server forgets photos that nobody looks at: such a one is opened once more.
async function again(work) {
  try {
    return await work();
  } catch (error) {
    if (error.status !== 404) throw error;
    await open(photos.current);
    return work();
  }
}

function addHint(hint) {
  photos.current.hints.add(hint);
  preview();
}

function showHints() {
  const { hints } = photos.current;
  stage.hints = hints.all;
  stage.redraw();
  $("undo").disabled = hints.isEmpty && !accepted.length;
  $("clear").disabled = hints.isEmpty;
  $("redo").disabled = !hints.canRedo;
}

async function undo() {
  const { hints } = photos.current;
  if (!hints.isEmpty) {
    hints.undo();
    return preview();
  }
  const photo = accepted.pop();
  if (!photo) return;
  await attempt(() => api.accept(photo.number, false));
  photo.accepted = false;
  await show(photo);
}

function change(what) {
  photos.current.hints[what]();
  preview();
}

async function accept() {
  const photo = photos.current;
  if (photos.folder === null || !opened || photo.status === "waiting") return;
  $("accept").disabled = true;
  const done = await attempt(async () => {
    if (!photo.hints.isEmpty || $("refine").value !== photos.refine) {
      $("busy").hidden = false;
      await again(() => api.correct(photo.number, opened.id, edit()));
      photo.corrected = true;
    } else {
      await api.accept(photo.number, true);
    }
    return true;
  });
  $("accept").disabled = false;
  $("busy").hidden = true;
  if (!done) return;
  photo.accepted = true;
  photo.doubtful = false;
  accepted.push(photo);
  say(photo.corrected ? "Written" : "Accepted", true);
  const following = photos.neighbor(1);
  if (following) await show(following);
  else {
    photos.draw();
    showHints();
    say("That was the last one", true);
  }
}

async function download() {
  if (!opened) return;
  const photo = photos.current, kind = $("format").value;
  const options = { png: { format: "png" }, webp: { format: "webp" }, alpha: { kind: "alpha", format: "png" } };
  options.jpg = { format: "jpg", background: colorBehind() };
  $("busy").hidden = false;
  await attempt(async () => {
    const data = await again(() => api.result(opened.id, edit(), options[kind]));
    const link = document.createElement("a");
    link.href = URL.createObjectURL(data);
    const stem = photo.name.split("/").pop().replace(/\.[^.]+$/, "");
    link.download = `${stem}${kind === "alpha" ? "-alpha" : ""}.${options[kind].format}`;
    link.click();
    setTimeout(() => URL.revokeObjectURL(link.href), 10000);
  });
  $("busy").hidden = true;
}

const behind = () => document.querySelector("[name=behind]:checked").value;
const colorBehind = () => ({ black: "#000000", color: $("color").value })[behind()] ?? "#ffffff";

function setBackground(name) {
  document.querySelector(`[name=behind][value=${name}]`).checked = true;
  const layer = $("behind");
  layer.className = name;
  layer.style.backgroundColor = ["white", "black", "color"].includes(name) ? colorBehind() : "";
  layer.style.backgroundImage = name === "picture" && setBackground.picture ? `url(${setBackground.picture})` : "";
}

function nextBackground() {
  const known = BACKGROUNDS.filter((name) => name !== "picture" || setBackground.picture);
  setBackground(known[(known.indexOf(behind()) + 1) % known.length]);
}

function chooseTool(tool) {
  for (const button of $("pens").children) button.setAttribute("aria-pressed", button.dataset.tool === tool);
  stage.choose(tool);
}

function take(list) {
  const files = [...(list ?? [])].filter((file) => file.type.startsWith("image/") || /\.\w+$/.test(file.name));
  if (!files.length) return say("That is no photo");
  return show(photos.addFiles(files));
}

function turnTheme() {
  const dark = matchMedia("(prefers-color-scheme: dark)").matches;
  const now = document.documentElement.dataset.theme ?? (dark ? "dark" : "light");
  document.documentElement.dataset.theme = now === "dark" ? "light" : "dark";
}

function thicker(factor) {
  $("pen").value = Number($("pen").value) * factor;
  stage.redraw();
}

// Keys and buttons do the same.
const actions = {
  undo, download, accept, nextBackground, chooseTool,
  redo: () => change("redo"),
  clear: () => change("clear"),
  next: () => show(photos.neighbor(1)),
  previous: () => show(photos.neighbor(-1)),
  larger: () => stage.setZoom(stage.zoom * 1.5),
  smaller: () => stage.setZoom(stage.zoom / 1.5),
  fit: () => stage.setZoom(1),
  thicker: () => thicker(1.25),
  thinner: () => thicker(0.8),
  help: () => $("help").showModal(),
};

for (const name of ["undo", "redo", "clear", "next", "previous", "accept", "download", "larger", "smaller"]) {
  $(name).addEventListener("click", actions[name]);
}
for (const button of $("pens").children) button.addEventListener("click", () => chooseTool(button.dataset.tool));
$("help-open").addEventListener("click", actions.help);
$("theme").addEventListener("click", turnTheme);
for (const id of ["add", "choose"]) $(id).addEventListener("click", () => $("files").click());
$("files").addEventListener("change", () => { take($("files").files); $("files").value = ""; });
$("refine").addEventListener("change", preview);
for (const radio of document.getElementsByName("behind")) radio.addEventListener("change", () => setBackground(radio.value));
$("color").addEventListener("input", () => setBackground("color"));
$("picture").addEventListener("click", () => $("picture-file").click());
$("picture-file").addEventListener("change", () => {
  const [file] = $("picture-file").files;
  if (!file) return;
  setBackground.picture = URL.createObjectURL(file);
  setBackground("picture");
});
document.addEventListener("paste", (event) => {
  if (event.clipboardData.files.length) take(event.clipboardData.files);
});
document.addEventListener("dragover", (event) => { event.preventDefault(); document.body.classList.add("dropping"); });
document.addEventListener("dragleave", (event) => { if (!event.relatedTarget) document.body.classList.remove("dropping"); });
document.addEventListener("drop", (event) => {
  event.preventDefault();
  document.body.classList.remove("dropping");
  take(event.dataTransfer.files);
});
listenToKeys(actions, () => photos.current !== null);

addEventListener("pagehide", () => opened && api.close(opened.id));

setBackground("checks");
chooseTool("look");
await attempt(() => photos.poll());
$("refine").value = photos.refine;
if (photos.folder !== null) {
  $("title").textContent = photos.folder;
  await show(photos.sorted.find((photo) => photo.doubtful) ?? photos.sorted[0]);
}
