// Requests to the app. Decisions are sent one after the other; one that got lost is sent again under the same id.

const RETRIES = 4;
const CHOOSING = ["pick", "region", "stroke", "undo"];
export const NO_ANSWER = "The app does not answer. Start `realfill review` again.";

const pause = (milliseconds) => new Promise((resolve) => setTimeout(resolve, milliseconds));

async function answer(response) {
  if (response.ok) return response.json();
  const text = await response.text();
  let detail = text;
  try { ({ detail } = JSON.parse(text)); } catch { /* what stands before the app answers in plain text */ }
  throw new Error(detail || response.statusText);
}

export async function get(path) {
  const response = await fetch(path).catch(() => { throw new Error(NO_ANSWER); });
  return answer(response);
}

async function post(path, body) {
  const request = { method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify(body) };
  for (let attempt = 1; ; attempt++) {
    let response;
    try {
      response = await fetch(path, request);
    } catch (error) {
      if (attempt === RETRIES) throw new Error(NO_ANSWER);
      await pause(300 * attempt);
      continue;
    }
    return answer(response);
  }
}

const newId = () => [...crypto.getRandomValues(new Uint8Array(16))].map((byte) => byte.toString(16).padStart(2, "0")).join("");

export const albumPath = (name) => `/api/albums/${encodeURIComponent(name)}`;

let sending = Promise.resolve();
let unsent = 0;
const unanswered = new Map(); // by album, id of the last choice that was sent and not answered yet
const refused = new Map(); // by id, why a choice was not taken: those that were made after it are not, either

// Send a decision about an album as it is shown; resolves to the album as it is then.
export function decide(album, subject, value) {
  const after = unanswered.get(album.name) ?? album.latest; // the choice that is seen: it may not be another one's
  const entry = { id: newId(), album: album.name, photo: album.photo, after, subject, value };
  if (CHOOSING.includes(subject)) unanswered.set(album.name, entry.id);
  unsent += 1;
  const result = sending.then(() => {
    if (refused.has(after)) throw refused.get(after);
    return post("/api/decisions", entry);
  }).catch((error) => {
    refused.set(entry.id, error);
    throw error;
  }).finally(() => {
    unsent -= 1;
    if (unanswered.get(album.name) === entry.id) unanswered.delete(album.name);
  });
  sending = result.catch(() => {});
  return { id: entry.id, result };
}

// Begin "apply" or "deliver" when all decisions are sent; resolves to how it stands.
export const begin = (job) => sending.then(() => post(`/api/${job}`, {}));

addEventListener("beforeunload", (event) => {
  if (unsent) event.preventDefault();
});
