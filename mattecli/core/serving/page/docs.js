// Draws the description of the API, which the server writes, as a page.

const EXAMPLES = {
  "/v1/cutout": "curl --data-binary @photo.jpg 'ORIGIN/v1/cutout?format=webp' -o cutout.webp",
  "/v1/alpha": "curl -F image=@photo.jpg ORIGIN/v1/alpha -o alpha.png",
  "/v1.0/removebg": "curl -F image_file=@photo.jpg -F bg_color=ffffff ORIGIN/v1.0/removebg -o white.png",
  "/v1/health": "curl ORIGIN/v1/health",
  "/v1/metrics": "curl ORIGIN/v1/metrics",
};

function element(name, content, ...children) {
  const made = document.createElement(name);
  if (content) made.textContent = content;
  made.append(...children);
  return made;
}

function table(caption, rows) {
  const lines = rows.map((cells) =>
    element("tr", "", ...cells.map((cell, i) => element(i ? "td" : "th", "", i ? cell : element("code", cell)))));
  return element("table", "", element("caption", caption), element("tbody", "", ...lines));
}

function values({ type, enum: choices, minimum, maximum, default: fallback }) {
  const limits = [minimum !== undefined && `from ${minimum}`, maximum !== undefined && `to ${maximum}`];
  const kind = choices ? choices.join(", ") : [type, ...limits.filter(Boolean)].join(" ");
  return fallback === undefined || fallback === null ? kind : `${kind} (default ${fallback})`;
}

function section(path, method, operation) {
  const made = element("section", "", element("h2", "", element("code", `${method.toUpperCase()} ${path}`)));
  made.append(element("p", `${operation.summary}. ${operation.description ?? ""}`));
  const example = (EXAMPLES[path] ?? "").replaceAll("ORIGIN", location.origin);
  if (example) made.append(element("pre", "", element("code", example)));
  if (operation.parameters) {
    made.append(table("Options", operation.parameters.map((one) => [one.name, values(one.schema), one.description])));
  }
  for (const [kind, { schema }] of Object.entries(operation.requestBody?.content ?? {})) {
    if (!schema.properties) continue;
    const fields = Object.entries(schema.properties);
    made.append(table(`Fields of ${kind}`, fields.map(([name, { format }]) => [name, format ? "file" : "text"])));
  }
  const answers = Object.entries(operation.responses);
  made.append(table("Answers", answers.map(([status, { description }]) => [status, description])));
  return made;
}

const answer = await fetch("/openapi.json");
const paths = document.getElementById("paths");
if (answer.ok) {
  for (const [path, methods] of Object.entries((await answer.json()).paths)) {
    for (const [method, operation] of Object.entries(methods)) paths.append(section(path, method, operation));
  }
} else {
  paths.textContent = `The description cannot be had: ${answer.status}`;
}
