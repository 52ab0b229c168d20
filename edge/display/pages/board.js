// What the shift came to: counts, yield by the minute, reasons, cameras.

import { $, h, setText, svg } from "./dom.js";
import { currentLanguage, inWords, percent, t, timeOfDay } from "./words.js";

const WIDE = 480;
const HIGH = 100;
const BUCKETS = 48;
const LEAST_MINUTES = 12; // of the axis, so that the first minutes do not fill it

export function renderCounts(shift) {
  setText($("yield"), percent(shift.yield));
  setText($("parts"), String(shift.parts));
  setText($("count-ok"), String(shift.ok));
  setText($("count-ng"), String(shift.ng));
  setText($("since"), t("since", { time: timeOfDay(shift.since) }));
}

// [[minutes ago, OK, NG]] as at most 48 columns: [column, OK, NG], the oldest first.
function columns(trend, span) {
  const sums = new Map();
  for (const [ago, ok, ng] of trend) {
    const column = Math.floor(((span - 1 - ago) * BUCKETS) / Math.max(span, BUCKETS));
    const sum = sums.get(column) ?? [0, 0];
    sums.set(column, [sum[0] + ok, sum[1] + ng]);
  }
  return [...sums].sort((a, b) => a[0] - b[0]).map(([column, [ok, ng]]) => [column, ok, ng]);
}

export function renderTrend(details) {
  const span = Math.min(480, Math.max(LEAST_MINUTES, details.minutes + 1));
  const points = columns(details.trend, span);
  const last = Math.floor(((span - 1) * BUCKETS) / Math.max(span, BUCKETS));
  const step = WIDE / (last + 1);
  const shares = points.map(([, ok, ng]) => ok / (ok + ng));
  const lowest = shares.length ? Math.min(...shares) : 1;
  const floor = Math.max(0, Math.floor(lowest * 10 - 1) / 10);
  const y = (share) => HIGH - 6 - ((share - floor) / (1 - floor || 1)) * (HIGH - 14);
  const marks = [];
  for (const share of [1, (1 + floor) / 2, floor]) {
    marks.push(svg("line", { class: "grid", x1: 0, x2: WIDE, y1: y(share), y2: y(share) }));
  }
  points.forEach(([column, ok, ng], i) => {
    const top = y(shares[i]);
    marks.push(svg("rect", { class: "good", x: column * step + 1, y: top, width: step - 2, height: HIGH - top }));
    const lost = top - y(1);
    if (ng) marks.push(svg("rect", { class: "bad", x: column * step + 1, y: y(1), width: step - 2, height: Math.max(1.5, lost) }));
  });
  const trend = $("trend");
  trend.setAttribute("viewBox", `0 0 ${WIDE} ${HIGH}`);
  trend.setAttribute("aria-label", `${t("trend")}: ${percent(details.yield)}`);
  trend.replaceChildren(...marks);
  setText($("trend-from"), t("trend_from", { age: inWords(span * 60) }));
  setText($("trend-low"), shares.length ? t("trend_low", { yield: percent(lowest), floor: percent(floor) }) : "");
}

export function renderReasons(details) {
  const most = details.reasons[0]?.count ?? 1;
  const rows = details.reasons.slice(0, 5).map(({ rule, code, count }) => {
    const bar = h("meter", { min: 0, max: most, value: count, "aria-hidden": "true" });
    const name = h("span", { class: "name" }, h("b", {}, t(`code_${code}`)), rule ? ` ${rule}` : "");
    return h("li", { title: name.textContent }, name, bar, h("span", { class: "number" }, String(count)));
  });
  $("reasons").replaceChildren(...(rows.length ? rows : [h("li", { class: "dim" }, t("no_reasons"))]));
}

export function renderHealth(cameras, details) {
  const head = h("tr", {}, ...["camera", "state", "rate"].map((key) => h("th", { scope: "col" }, t(key))),
    h("th", { scope: "col", title: t("losses_title") }, t("losses")));
  const rows = cameras.map((camera) => {
    const lost = details?.lost[camera.name] ?? {};
    const count = (lost.dropped ?? 0) + (lost.bad_frames ?? 0) + (lost.reconnects ?? 0);
    return h("tr", { "data-state": camera.state },
      h("th", { scope: "row" }, camera.name),
      h("td", { class: "state" }, t(`state_${camera.state}`)),
      h("td", {}, camera.rate === null ? "–" : String(camera.rate)),
      h("td", {}, String(count)));
  });
  $("health").replaceChildren(head, ...rows);
  const ms = details?.latency_ms;
  setText($("latency"), ms?.p50 === undefined ? t("no_latency")
    : t("latency", { p50: Math.round(ms.p50), p99: Math.round(ms.p99), max: Math.round(ms.max) }));
}

const PHASES = { waiting: "shadow_opening", opening: "shadow_opening", comparing: "shadow", done: "shadow_done" };

// A second bundle that looks on: how far it came and in what it differs, or why it is off.
export function renderShadow(shadow) {
  $("shadow").hidden = !shadow;
  if (!shadow) return;
  const counts = shadow.counts ?? { compared: 0, seen: 0, rejects: 0, passes: 0 };
  const candidate = shadow.candidate ?? "";
  const why = [candidate, shadow[currentLanguage()]].filter(Boolean).join(": ");
  setText($("shadow"), shadow.phase === "off" ? t("shadow_off", { why })
    : t(PHASES[shadow.phase], { candidate, compared: counts.compared, seen: counts.seen,
      rejects: counts.rejects, passes: counts.passes }));
}
