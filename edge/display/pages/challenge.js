// The challenge: a blue bar that says what to do before any part may pass, step by step.

import { change } from "./api.js";
import { $, h, icon, setText } from "./dom.js";
import { t } from "./words.js";

const NAME = "lineguard-name";
const BROKEN = { wrong: "ending_wrong", aborted: "ending_aborted", timeout: "ending_timeout" };

let told = "";
let challenge = null;

const verdict = (said) => t(said === "OK" ? "ok" : "ng");

function outcome(shown) {
  const words = t("challenge_said", { name: shown.name, expected: verdict(shown.expected), verdict: verdict(shown.verdict) });
  return h("li", { "data-right": String(shown.right) }, `${t(shown.right ? "challenge_right" : "challenge_wrong")}: ${words}`);
}

function button(key, act, quiet = false) {
  return h("button", { type: "button", class: quiet ? "quiet" : "", onclick: act }, t(key));
}

function running(said) {
  const { next } = said;
  return h("div", { class: "due", "data-state": "running" }, icon("locked"),
    h("div", { class: "what" },
      h("p", {}, [t("challenge_step", { step: said.step, steps: said.steps }), t("challenge_by", { by: said.by })].join(" · ")),
      h("p", {}, h("b", {}, t("challenge_place", { name: next.name, camera: next.camera }))),
      h("p", {}, [t("challenge_expected", { verdict: verdict(next.expected) }), said.confirm ? "" : t("challenge_wait")].join(" ")),
      h("ul", {}, ...said.shown.map(outcome))),
    said.confirm ? button("challenge_placed", () => tell("placed", said.by)) : "",
    button("challenge_abort", () => tell("abort", said.by), true));
}

function due(said) {
  const last = said.last && BROKEN[said.last.ending];
  return h("div", { class: "due", "data-state": "due" }, icon("locked"), h("strong", {}, t("challenge_due")),
    h("div", { class: "what" }, h("p", {}, last ? t(last) : t("locked_why")),
      h("ul", {}, ...(last ? said.last.shown.filter((each) => !each.right).map(outcome) : []))),
    button(last ? "challenge_again" : "challenge_begin", openChallenge));
}

export function renderChallenge(said) {
  challenge = said;
  const key = JSON.stringify([said, document.documentElement.lang]);
  if (key === told) return;
  told = key;
  const bar = !said || !said.locked ? [] : [said.running ? running(said) : due(said)];
  $("challenge").replaceChildren(...bar);
}

export function openChallenge() {
  if (!challenge || challenge.running || $("challenge-dialog").open) return;
  setText($("challenge-trouble"), "");
  setText($("challenge-what"), t("challenge_what"));
  $("challenge-parts").replaceChildren(
    ...challenge.parts.map((part) => h("li", {}, `${part.name} · ${part.camera} · ${verdict(part.expected)}`)));
  $("challenge-by").value = localStorage.getItem(NAME) ?? "";
  $("challenge-dialog").showModal();
}

async function tell(action, by) {
  const answer = await change("POST", "challenge", { action, by });
  if (answer.ok) renderChallenge(answer.body);
  return answer;
}

$("challenge-form").addEventListener("submit", async (event) => {
  event.preventDefault();
  const by = $("challenge-by").value.trim();
  if (!by) {
    $("challenge-by").focus();
    setText($("challenge-trouble"), t("name_missing_challenge"));
    return;
  }
  const answer = await tell("start", by);
  if (answer.ok) {
    localStorage.setItem(NAME, by);
    $("challenge-dialog").close();
  } else setText($("challenge-trouble"), answer.body.error);
});
