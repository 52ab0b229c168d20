// The bundles of the box: which one judges, and changing to the other, after a second look.

import { change, get } from "./api.js";
import { $, h, setText } from "./dom.js";
import { t } from "./words.js";

let etag = null;
let wanted = null; // the slot that somebody is asked about

const nameOf = (slot) => (slot.version === null ? t("none") : `${slot.name} ${slot.version}`);

export function renderBundle(bundle) {
  $("bundle").hidden = !bundle;
  if (bundle) setText($("bundle"), `${bundle.name} ${bundle.version}`);
}

function page(slot) {
  wanted = slot;
  $("models-confirm").hidden = slot === null;
  $("models-list").hidden = slot !== null;
  if (slot === null) return;
  setText($("models-question"), t("models_question", { name: nameOf(slot) }));
  $("models-do").focus();
}

function row(slot) {
  const can = slot.state === "CONFIRMED" && !slot.active;
  const said = slot.active ? t("models_active") : t(`slot_${slot.state.toLowerCase()}`);
  return h("tr", { class: slot.active ? "new" : "" }, h("th", { scope: "row" }, slot.slot.toUpperCase()),
    h("td", {}, nameOf(slot)), h("td", {}, said),
    h("td", {}, can ? h("button", { type: "button", onclick: () => page(slot) }, t("models_switch")) : null));
}

async function load() {
  const models = await get("models");
  etag = models.etag;
  $("models-slots").replaceChildren(...models.body.slots.map(row));
}

async function openModels() {
  setText($("models-trouble"), "");
  page(null);
  $("models-dialog").showModal();
  await load().catch(() => setText($("models-trouble"), t("no_answer")));
}

$("bundle").addEventListener("click", openModels);
$("models-back").addEventListener("click", () => page(null));
$("models-do").addEventListener("click", async () => {
  $("models-do").disabled = true;
  const answer = await change("POST", "models/switch", { slot: wanted.slot }, { "If-Match": etag });
  $("models-do").disabled = false;
  if (answer.ok) return $("models-dialog").close();
  page(null);
  setText($("models-trouble"), answer.status === 412 ? t("models_outdated") : answer.body.error);
  await load().catch(() => {});
});
