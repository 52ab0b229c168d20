// Older parts, out of the records: by lot or id, the newest first.

import { get } from "./api.js";
import { $, h, icon, setText } from "./dom.js";
import { showFrom } from "./gallery.js";
import { currentLanguage, dateAndTime, t } from "./words.js";

const ROWS = 20;

let found = [];
let asked = ""; // what the rows were searched by
let next = null;
let searches = 0; // an answer to an older one is not shown

// A record as the part window draws it; what was found is drawn in by the station.
function asPart(record) {
  const flat = (groups) => Object.values(groups).flat().map((each) => ({ ...each, score: each.score ?? 0, bad: false }));
  const url = `api/v1/records/${encodeURIComponent(record.id)}/overlay`;
  return { ...record, lines: flat(record.read), found: flat(record.defects), boxes: [], picture: url };
}

function row(part) {
  const ok = part.verdict === "OK";
  const why = part.reasons.map((reason) => reason[currentLanguage()]).join("; ");
  return h("li", {}, h("button", { type: "button", class: ok ? "good" : "bad", onclick: () => showFrom(found, part.id) },
    icon(ok ? "ok" : "ng"), h("b", {}, t(ok ? "ok" : "ng")),
    h("span", {}, `${dateAndTime(part.time)} · ${part.camera} #${part.part} · ${part.lot ?? t("none")}`),
    h("span", { class: "why" }, why)));
}

export function renderRecords() {
  $("records-found").replaceChildren(...found.map(row));
  $("records-more").hidden = next === null;
}

async function ask(query, cursor) {
  const from = cursor === null ? "" : `&cursor=${cursor}`;
  return (await get(`records?limit=${ROWS}${query && `&${query}`}${from}`)).body;
}

async function search(text, more) {
  const mine = (searches += 1);
  setText($("records-trouble"), "");
  try {
    let answer = { records: [], next: null };
    if (more) answer = await ask(asked, next);
    else {
      const value = encodeURIComponent(text);
      for (asked of text ? [`part=${value}`, `lot=${value}`] : [""]) {
        answer = await ask(asked, null);
        if (answer.records.length) break;
      }
    }
    if (mine !== searches) return;
    found = [...(more ? found : []), ...answer.records.map(asPart)];
    next = answer.next;
    if (!found.length) setText($("records-trouble"), t("records_nothing", { text }));
  } catch (error) {
    if (mine !== searches) return;
    [found, next] = [[], null];
    setText($("records-trouble"), t(error.status === 404 ? "records_none" : error.status ? "records_slow" : "no_answer"));
  }
  renderRecords();
}

export function openRecords(text = "") {
  $("records-text").value = text;
  if (!$("records-dialog").open) $("records-dialog").showModal();
  $("records-text").select();
  search(text, false);
}

$("records-form").addEventListener("submit", (event) => {
  event.preventDefault();
  search($("records-text").value.trim(), false);
});
$("records-more").addEventListener("click", () => search(asked, true));
$("search").addEventListener("click", () => openRecords());
$("facts").addEventListener("click", (event) => {
  const again = event.target.closest("[data-again]");
  if (!again) return;
  $("part-dialog").close();
  openRecords(again.dataset.again);
});
