// The newest rejected parts; one of them large, with what was expected beside what was read.

import { get, pictureOf } from "./api.js";
import { sideBySide } from "./diff.js";
import { $, h, icon, svg } from "./dom.js";
import { draw } from "./overlay.js";
import { currentLanguage, dateAndTime, t, timeOfDay } from "./words.js";

const MOST_ZOOM = 8;

let parts = [];
let fetched = -1;
let fetching = false;
let row = []; // the parts among which one steps
let open = null; // the part that is shown large

export async function follow(count) {
  if (fetching || count === fetched) return;
  fetching = true;
  try {
    parts = (await get("parts?verdict=NG&limit=24")).body;
    fetched = count;
    render();
  } catch {
    fetched = -1; // the next state asks again
  } finally {
    fetching = false;
  }
}

function thumbnail(part) {
  const marks = svg("svg", { class: "marks", preserveAspectRatio: "xMidYMid slice" });
  draw(marks, part);
  for (const label of marks.querySelectorAll(".label, .region, .plain")) label.remove();
  const image = h("img", { src: pictureOf(part), alt: "", loading: "lazy", onerror: () => image.remove() });
  return h("figure", {}, image, marks);
}

export function render() {
  const known = new Map([...$("rejected").children].map((node) => [node.dataset.part, node]));
  const items = parts.map((part) => {
    const key = `${part.id}/${currentLanguage()}`;
    if (known.has(key)) return known.get(key);
    const why = part.reasons.map((reason) => reason[currentLanguage()]).join("; ");
    const button = h("button", { type: "button", onclick: () => show(part.id) }, thumbnail(part),
      h("span", { class: "where" }, `${part.camera} #${part.part}`, h("time", {}, timeOfDay(part.time))),
      h("span", { class: "why" }, why));
    return h("li", { "data-part": key }, button);
  });
  const nothing = h("li", { class: "dim" }, t("no_gallery"));
  $("rejected").replaceChildren(...(items.length ? items : [nothing]));
  if (open) fillDialog(open);
}

export function showNewest() {
  if (parts.length) show(parts[0].id);
}

function show(id) {
  showFrom(parts, id);
}

// Show one of a list of parts large; the arrows lead to its neighbours.
export function showFrom(list, id) {
  const part = list.find((each) => each.id === id);
  if (!part) return;
  row = list;
  open = part;
  fillDialog(part);
  if (!$("part-dialog").open) $("part-dialog").showModal();
  $("zoom").focus();
}

export function step(by) {
  const list = row === parts || row.some((each) => each.picture) ? row : parts; // newer ones came
  const at = list.findIndex((each) => each.id === open?.id);
  const next = list[at + by];
  if (next) showFrom(list, next.id);
}

$("part-dialog").addEventListener("close", () => (open = null));

let view = { zoom: 1, x: 0, y: 0 };

function apply() {
  const canvas = $("zoom").firstElementChild;
  const room = (view.zoom - 1) / 2;
  view.x = Math.max(-room, Math.min(room, view.x));
  view.y = Math.max(-room, Math.min(room, view.y));
  if (canvas) canvas.style.transform = `translate(${view.x * 100}%, ${view.y * 100}%) scale(${view.zoom})`;
  $("zoom").dataset.zoom = view.zoom.toFixed(2);
}

export function zoom(factor) {
  const zoomed = factor === 0 ? 1 : Math.max(1, Math.min(MOST_ZOOM, view.zoom * factor));
  view = { zoom: zoomed, x: (view.x * zoomed) / view.zoom, y: (view.y * zoomed) / view.zoom };
  apply();
}

const fingers = new Map();

function spread() {
  const [a, b] = [...fingers.values()];
  return b ? Math.hypot(a.x - b.x, a.y - b.y) : 0;
}

$("zoom").addEventListener("wheel", (event) => {
  event.preventDefault();
  zoom(event.deltaY < 0 ? 1.25 : 0.8);
}, { passive: false });
$("zoom").addEventListener("pointerdown", (event) => {
  if (event.target.closest("button")) return;
  $("zoom").setPointerCapture(event.pointerId);
  fingers.set(event.pointerId, { x: event.clientX, y: event.clientY });
});
$("zoom").addEventListener("pointermove", (event) => {
  const before = fingers.get(event.pointerId);
  if (!before) return;
  const was = spread();
  fingers.set(event.pointerId, { x: event.clientX, y: event.clientY });
  if (fingers.size === 1) {
    const box = $("zoom").getBoundingClientRect();
    view.x += (event.clientX - before.x) / box.width;
    view.y += (event.clientY - before.y) / box.height;
    apply();
  } else if (was > 0) zoom(spread() / was);
});
for (const name of ["pointerup", "pointercancel"]) {
  $("zoom").addEventListener(name, (event) => fingers.delete(event.pointerId));
}

function comparison(reason) {
  const { read, expected } = reason.values;
  if (read === undefined || expected === undefined) return null;
  const [said, meant] = sideBySide(read, expected);
  return h("div", { class: "compare" },
    h("dl", {}, h("dt", {}, t("expected")), h("dd", {}, meant), h("dt", {}, t("read")), h("dd", {}, said)),
    h("p", { class: "dim" }, t("differs")));
}

function tool(key, text, act) {
  return h("button", { type: "button", title: t(key), "aria-label": t(key), onclick: act }, text);
}

function fillDialog(part) {
  const [key, ok] = [`${part.id}/${part.picture ?? ""}`, part.verdict === "OK"];
  const same = $("zoom").dataset.part === key;
  $("zoom").dataset.part = key;
  if (!same) {
    view = { zoom: 1, x: 0, y: 0 };
    const marks = svg("svg", { class: "marks", preserveAspectRatio: "xMidYMid meet" });
    if (!part.picture) draw(marks, part);
    const blank = h("p", { class: "blank" });
    const image = h("img", { src: pictureOf(part), alt: part.id, draggable: "false", onerror: () => {
      image.remove();
      blank.textContent = t("no_picture");
    } });
    $("zoom").replaceChildren(h("figure", {}, image, marks, blank));
    apply();
  }
  $("zoom").querySelector(".tools")?.remove();
  $("zoom").append(h("div", { class: "tools" },
    tool("newer", "‹", () => step(-1)), tool("older", "›", () => step(1)),
    tool("zoom_in", "+", () => zoom(1.5)), tool("zoom_out", "−", () => zoom(1 / 1.5)),
    tool("zoom_fit", "⤢", () => zoom(0)), tool("close", "×", () => $("part-dialog").close())));
  const facts = [["part", `${part.camera} #${part.part}`], ["time", dateAndTime(part.time)],
    ["product", part.product || t("none")], ["lot", part.lot ?? t("none")]];
  const found = part.lines.map((line) => h("li", { class: line.bad ? "bad" : "" },
    h("code", {}, line.text || "–"), h("span", { class: "dim" }, line.score.toFixed(2))));
  found.push(...part.found.map((thing) => h("li", { class: thing.bad ? "bad" : "" },
    thing.label, h("span", { class: "dim" }, thing.score.toFixed(2)))));
  $("facts").replaceChildren(
    h("h2", { class: ok ? "good" : "" }, icon(ok ? "ok" : "ng"), t(ok ? "ok" : "ng")),
    ...part.reasons.flatMap((reason) =>
      [h("p", { class: "reason" }, reason[currentLanguage()]), comparison(reason)].filter(Boolean)),
    h("dl", { class: "facts-list" }, ...facts.map(([key, value]) => h("div", {}, h("dt", {}, t(key)), h("dd", {}, value)))),
    ...(found.length ? [h("h3", {}, t("found")), h("ul", { class: "found" }, ...found)] : []),
    h("h3", {}, t(part.picture ? "part" : "find_again")), h("p", {}, h("code", { class: "id" }, part.id)),
    ...(part.picture ? [] : [h("button", { type: "button", "data-again": part.id }, t("records"))]));
}
