// The page of one station: what comes in is handed to whoever draws it.

import { takeTokenFromLink } from "./api.js";
import { renderCounts, renderHealth, renderReasons, renderShadow, renderTrend } from "./board.js";
import { openChallenge, renderChallenge } from "./challenge.js";
import { $, h, icon, setText } from "./dom.js";
import { acknowledge, renderFaults } from "./faults.js";
import { Feed } from "./feed.js";
import * as gallery from "./gallery.js";
import { openJob, renderJob } from "./job.js";
import { renderBundle } from "./models.js";
import { openRecords, renderRecords } from "./records.js";
import { alive, tell } from "./stale.js";
import { Tile } from "./tile.js";
import { currentLanguage, setLanguage, t, timeOfDay } from "./words.js";

const LANGUAGE = "lineguard-language";

const tiles = new Map();
let state = null;
let details = null;
let ahead = null; // the station's monotonic clock less this page's, seconds
let clock = null; // likewise its wall clock, milliseconds

const now = () => (ahead === null ? undefined : performance.now() / 1000 + ahead);

function renderTiles() {
  const names = state.cameras.map((camera) => camera.name);
  if (names.join("\n") !== [...tiles.keys()].join("\n")) {
    tiles.clear();
    for (const name of names) tiles.set(name, new Tile(name));
    $("tiles").replaceChildren(...[...tiles.values()].map((tile) => tile.element));
    $("tiles").dataset.count = names.length;
  }
  for (const camera of state.cameras) tiles.get(camera.name).render(camera);
}

function renderState() {
  if (!state) return;
  setText($("station"), state.station);
  document.title = state.station;
  renderJob(state.job);
  renderFaults(state.faults);
  renderChallenge(state.challenge);
  renderTiles();
  renderCounts(state.shift);
  renderBundle(state.bundle);
  renderHealth(state.cameras, details);
}

function renderDetails() {
  if (!details) return;
  renderTrend(details);
  renderReasons(details);
  renderShadow(details.shadow);
  if (state) renderHealth(state.cameras, details);
}

function tick() {
  if (clock !== null) setText($("clock"), timeOfDay(performance.now() + clock));
  for (const tile of tiles.values()) tile.age(now());
}

const KEYS = [
  ["J", "key_job"], ["A", "key_acknowledge"], ["C", "key_challenge"], ["G", "key_gallery"], ["R", "key_records"],
  ["← →", "key_arrows"],
  ["+ − 0", "key_zoom"], ["L", "key_language"], ["F", "key_full"], ["Esc", "key_close"],
];

function renderHelp() {
  $("shortcuts").replaceChildren(
    ...KEYS.map(([key, word]) => h("tr", {}, h("th", {}, h("kbd", {}, key)), h("td", {}, t(word)))));
  $("legend").replaceChildren(...["ok", "ng", "fault", "locked"].map((name) =>
    h("p", { class: name === "fault" ? "sign" : name }, icon(name), h("b", {}, t(name)), h("span", {}, t(`legend_${name}`)))),
    h("p", { class: "old" }, h("span", {}, t("legend_stale"))));
}

function speak(language) {
  setLanguage(language);
  localStorage.setItem(LANGUAGE, language);
  renderHelp();
  renderState();
  renderDetails();
  gallery.render();
  renderRecords();
  tell();
}

const otherLanguage = () => speak(currentLanguage() === "en" ? "zh" : "en");

function fullScreen() {
  if (document.fullscreenElement) document.exitFullscreen();
  else document.documentElement.requestFullscreen?.().catch(() => {});
}

document.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.altKey || event.metaKey || event.target.closest("input")) return;
  const inGallery = { ArrowLeft: () => gallery.step(-1), ArrowRight: () => gallery.step(1),
    "+": () => gallery.zoom(1.5), "=": () => gallery.zoom(1.5), "-": () => gallery.zoom(1 / 1.5),
    0: () => gallery.zoom(0) };
  const anywhere = { j: openJob, a: () => acknowledge(), c: openChallenge, g: gallery.showNewest, r: () => openRecords(), f: fullScreen,
    "?": () => $("help-dialog").showModal() };
  const key = event.key.length === 1 ? event.key.toLowerCase() : event.key;
  const dialog = document.querySelector("dialog[open]");
  if (key === "l") otherLanguage();
  else if (dialog) {
    if (dialog.id !== "part-dialog" || !inGallery[key]) return;
    inGallery[key]();
  } else if (anywhere[key]) anywhere[key]();
  else return;
  event.preventDefault();
});

for (const button of document.querySelectorAll("dialog .close")) {
  button.addEventListener("click", () => button.closest("dialog").close());
}
for (const dialog of document.querySelectorAll("dialog")) {
  dialog.addEventListener("click", (event) => event.target === dialog && dialog.close());
}
$("change-job").addEventListener("click", openJob);
$("language").addEventListener("click", otherLanguage);
$("help").addEventListener("click", () => $("help-dialog").showModal());

takeTokenFromLink();
window.addEventListener("hashchange", takeTokenFromLink);
speak(localStorage.getItem(LANGUAGE) ?? document.documentElement.lang);
setInterval(tick, 1000);

new Feed({
  state: (said) => {
    state = said;
    renderState();
    gallery.follow(said.ng_count);
  },
  details: (said) => {
    details = said;
    renderDetails();
  },
  beat: (said) => {
    ahead = said.monotonic - performance.now() / 1000;
    clock = said.now - performance.now();
    alive(said.now);
    tick();
  },
});
