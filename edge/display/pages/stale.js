// Old data never looks alive. The veil is an animation that falls by itself two seconds after the
// last sign of life, whatever has become of the scripts; every sign of life winds it back. A page
// that was asleep wakes up behind it, since the time of an animation goes on.

import { $ } from "./dom.js";
import { t, timeOfDay } from "./words.js";

const STALE_MS = 2000;

const fall = $("veil").animate([{ visibility: "hidden" }, { visibility: "visible" }], {
  delay: STALE_MS,
  duration: 1,
  fill: "both",
});
fall.addEventListener("finish", () => document.body.classList.add("stale"));

let last = Date.now();

export function alive(moment) {
  last = moment; // by the station's clock
  fall.currentTime = 0;
  fall.play();
  document.body.classList.remove("stale");
  tell();
}

export function tell() {
  $("stale-since").textContent = t("no_data_since", { time: timeOfDay(last) });
}
