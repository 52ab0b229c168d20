// Asking the station to do something: with the token, which this browser keeps.

import { $ } from "./dom.js";
import { t } from "./words.js";

const KEPT = "lineguard-token";

export function takeTokenFromLink() {
  const match = location.hash.match(/^#token=([\w-]{32,128})$/);
  if (!match) return;
  localStorage.setItem(KEPT, match[1]);
  history.replaceState(null, "", location.pathname);
}

function askForToken() {
  return new Promise((resolve) => {
    const dialog = $("token-dialog");
    $("token-text").value = "";
    let kept = false;
    $("token-form").onsubmit = () => {
      localStorage.setItem(KEPT, $("token-text").value.trim());
      kept = true;
    };
    dialog.onclose = () => resolve(kept);
    dialog.showModal();
  });
}

// Gives { ok, status, body, etag }; never throws. Asks once for a token that is missing or wrong.
export async function change(method, path, body, headers = {}) {
  for (let tries = 0; ; tries += 1) {
    const token = localStorage.getItem(KEPT) ?? "";
    let answer;
    try {
      answer = await fetch(`api/v1/${path}`, {
        method,
        headers: {
          "Content-Type": "application/json",
          ...(token && { Authorization: `Bearer ${token}` }),
          ...headers,
        },
        body: JSON.stringify(body),
        signal: AbortSignal.timeout(10000),
      });
    } catch {
      return { ok: false, status: 0, body: { error: t("no_answer") } };
    }
    if (answer.status === 401 && tries < 2 && (await askForToken())) continue;
    const said = await answer.json().catch(() => ({ error: t("no_answer") }));
    if (answer.status === 401) said.error = t("token_wrong");
    return { ok: answer.ok, status: answer.status, body: said, etag: answer.headers.get("ETag") };
  }
}

export async function get(path) {
  const answer = await fetch(`api/v1/${path}`, { signal: AbortSignal.timeout(10000) });
  if (!answer.ok) throw Object.assign(new Error(`${path}: ${answer.status}`), { status: answer.status });
  return { body: await answer.json(), etag: answer.headers.get("ETag") };
}

export function pictureOf(part) {
  return part.picture ?? `api/v1/cameras/${encodeURIComponent(part.camera)}/picture.jpg?part=${encodeURIComponent(part.id)}`;
}
