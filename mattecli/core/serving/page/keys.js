// Keys that work anywhere in the page, except where something is typed.

const TOOLS = { v: "look", k: "keep", d: "drop", i: "point", o: "not-point", x: "box" };
const KEYS = {
  n: "next", p: "previous", a: "accept", s: "download", b: "nextBackground",
  "[": "thinner", "]": "thicker", "+": "larger", "=": "larger", "-": "smaller", 0: "fit",
};

export function listenToKeys(actions, isReady) {
  document.addEventListener("keydown", (event) => {
    const { target } = event;
    if (document.querySelector("dialog[open]")) return;
    if (target.matches("select, textarea, input:not([type=radio], [type=range], [type=color])")) return;
    if (event.key === "?") return void actions.help();
    if (!isReady() || event.altKey) return;
    const key = event.key.toLowerCase();
    const command = event.ctrlKey || event.metaKey;
    if (key === "z" || (command && key === "y")) {
      event.preventDefault();
      return void (key === "y" || event.shiftKey ? actions.redo() : actions.undo());
    }
    if (command) return;
    if (key in TOOLS) actions.chooseTool(TOOLS[key]);
    else if (key in KEYS) actions[KEYS[key]]();
    else return;
    event.preventDefault();
  });
}
