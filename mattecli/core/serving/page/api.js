// What the page asks the server. A failed request throws an Error with the server's own words.

async function ask(path, options = {}) {
  let answer;
  try {
    answer = await fetch(path, options);
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new Error("The server does not answer: is matte serve still running?");
  }
  if (answer.ok) return answer;
  const content = await answer.json().catch(() => null);
  const error = new Error(content?.error?.message ?? `The server answers ${answer.status}`);
  error.status = answer.status;
  throw error;
}

function posted(content, signal) {
  return { method: "POST", signal, headers: { "Content-Type": "application/json" }, body: JSON.stringify(content) };
}

export async function openFile(file) {
  const name = encodeURIComponent(file.name || "pasted.png");
  const answer = await ask(`/page/photos?name=${name}`, {
    method: "POST", body: file, headers: { "Content-Type": "application/octet-stream" },
  });
  return answer.json();
}

export async function openNumber(number) {
  return (await ask(`/page/folder/${number}/open`, { method: "POST" })).json();
}

export function close(id) {
  fetch(`/page/photos/${id}`, { method: "DELETE", keepalive: true }).catch(() => {});
}

export const photoAddress = (id) => `/page/photos/${id}/photo`;
export const thumbnailAddress = (photo) => `/page/folder/${photo.number}/thumbnail?${photo.changes}`;

export async function preview(id, edit, signal) {
  const answer = await ask(`/page/photos/${id}/preview`, posted(edit, signal));
  return {
    image: await answer.blob(),
    status: answer.headers.get("X-Matte-Status"),
    confidence: Number(answer.headers.get("X-Matte-Confidence")),
  };
}

export async function result(id, edit, options) {
  const answer = await ask(`/page/photos/${id}/result?${new URLSearchParams(options)}`, posted(edit));
  return answer.blob();
}

export async function listing(known) {
  return (await ask(`/page/folder?known=${known}`)).json();
}

export async function correct(number, id, edit) {
  await ask(`/page/folder/${number}/correct?photo=${id}`, posted(edit));
}

export async function accept(number, accepted) {
  await ask(`/page/folder/${number}/accept`, posted({ accepted }));
}
