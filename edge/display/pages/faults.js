// Faults of the machine: a bar of their own above everything, yellow and black, never a verdict.

import { change } from "./api.js";
import { $, h, icon } from "./dom.js";
import { currentLanguage, t, timeOfDay } from "./words.js";

const MOST = 3; // lines; the verdicts need the room

let told = "";

function line(fault) {
  const facts = [t("fault_since", { time: timeOfDay(fault.since) })];
  if (fault.count > 1) facts.push(t("fault_times", { n: fault.count }));
  if (!fault.active) facts.unshift(t("fault_over"));
  return h("li", { class: fault.active ? "" : "over", "data-fault": fault.id },
    h("b", {}, `${t(`kind_${fault.kind}`)} ${fault.name}`), ` ${fault[currentLanguage()]}`,
    h("small", {}, facts.join(" · ")));
}

function bar(faults) {
  const news = faults.some((fault) => !fault.acknowledged);
  const lasts = faults.some((fault) => fault.active);
  const lines = faults.slice(0, MOST).map(line);
  if (faults.length > MOST) lines.push(h("li", {}, t("more_faults", { n: faults.length - MOST })));
  return h("div", { class: "fault", "data-state": !lasts ? "over" : news ? "new" : "seen" },
    icon("fault"), h("strong", {}, t("fault")), h("ul", {}, ...lines),
    news
      ? h("button", { type: "button", onclick: acknowledge }, t("acknowledge"), h("kbd", {}, "A"))
      : h("span", { class: "seen" }, t("acknowledged")));
}

// What drifts or wants upkeep has not failed yet: a thin bar of its own, outlined in amber.
const CARES = new Set(["drift", "upkeep"]);

function care(cares) {
  const news = cares.some((fault) => !fault.acknowledged);
  const lines = cares.slice(0, MOST).map(line);
  if (cares.length > MOST) lines.push(h("li", {}, t("more_faults", { n: cares.length - MOST })));
  return h("div", { class: "care" }, h("strong", {}, t("care")),
    h("ul", {}, ...lines),
    news
      ? h("button", { type: "button", onclick: acknowledge }, t("acknowledge"))
      : h("span", { class: "seen" }, t("acknowledged")));
}

export function renderFaults(all) {
  const key = JSON.stringify([all, currentLanguage()]);
  if (key === told) return;
  told = key;
  const faults = all.filter((fault) => !CARES.has(fault.kind));
  // A box that wants upkeep may do so for months: once somebody knows, it is kept out of the way.
  const cares = all.filter((fault) => CARES.has(fault.kind) && !(fault.kind === "upkeep" && fault.acknowledged));
  $("faults").replaceChildren(...(faults.length ? [bar(faults)] : []), ...(cares.length ? [care(cares)] : []));
}

// What stands on the page has been seen, and nothing that comes while the button is pressed.
export function acknowledge() {
  const seen = [...document.querySelectorAll("[data-fault]")].map((node) => node.dataset.fault);
  return seen.length ? change("POST", "acknowledge", { faults: seen }) : null;
}
