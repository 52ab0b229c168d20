// One camera: its verdict, so large that it is read from four metres, why, and the picture.

import { pictureOf } from "./api.js";
import { h, icon, setText, svg } from "./dom.js";
import { draw } from "./overlay.js";
import { currentLanguage, inWords, t, timeOfDay } from "./words.js";

const IDLE_S = 10; // no part for so long: the verdict is of the past, and is outlined only

const FACES = { ok: "ok", ng: "ng", waiting: "none", locked: "locked", lost: "off", ended: "none", stopped: "none" };

// The part was rejected for what the station waits for, not for what it is like.
const locked = (part) => part.reasons.some((reason) => reason.code === "challenge_due");

export class Tile {
  constructor(name) {
    this.word = h("strong");
    this.mark = h("span", { class: "mark" });
    this.why = h("div", { class: "why" });
    this.caption = h("p", { class: "caption" });
    this.image = h("img", { alt: "" });
    this.marks = svg("svg", { class: "marks", preserveAspectRatio: "xMidYMid meet" });
    this.blank = h("p", { class: "blank" });
    this.face = h("div", { class: "face" }, h("div", { class: "big" }, this.mark, this.word), this.why);
    this.frame = h("figure", {}, this.image, this.marks, this.blank);
    this.element = h("article", { class: "tile", "data-camera": name }, this.face,
      h("div", { class: "see" }, this.caption, this.frame));
    this.drawn = null; // the part whose picture is shown
    this.loading = false;
  }

  render(camera) {
    this.camera = camera;
    const part = camera.part;
    const running = camera.state === "running" || camera.state === "starting";
    const face = !running ? camera.state : !part ? "waiting" : locked(part) ? "locked" : part.verdict === "OK" ? "ok" : "ng";
    if (this.element.dataset.face !== face) {
      this.element.dataset.face = face;
      this.mark.replaceChildren(icon(FACES[face]));
    }
    setText(this.word, t(face));
    this.image.alt = part ? `${camera.name} #${part.part}` : "";
    this.renderWhy(face, part);
    this.load(part && camera.picture ? part : null, part);
    this.age(this.now);
  }

  renderWhy(face, part) {
    let lines = [];
    if (face === "ng") lines = part.reasons.map((reason) => reason[currentLanguage()]);
    else if (face === "ok") lines = [Object.values(part.fields).join(" · ")];
    else {
      lines = [face === "lost" && this.camera.reason ? this.camera.reason : t(`${face}_why`)];
      if (part && face !== "locked") lines.push(t("last_was", { number: `#${part.part}`, verdict: t(part.verdict === "OK" ? "ok" : "ng") }));
    }
    const text = lines.join("\n");
    if (this.said === text) return;
    this.said = text;
    this.why.replaceChildren(...lines.slice(0, 3).map((line) => h("p", {}, line)));
  }

  // Called when something has changed, and every second: what is told in seconds.
  age(now) {
    this.now = now;
    const camera = this.camera;
    if (!camera) return;
    const part = camera.part;
    const since = now !== undefined && camera.at !== null ? now - camera.at : 0;
    this.element.classList.toggle("idle", since > IDLE_S);
    const facts = [camera.name];
    if (part) {
      facts.push(`#${part.part}`, timeOfDay(part.time), `${Math.round(part.latency_ms)} ms`);
      if (since >= 5) facts.push(t("ago", { age: inWords(since) }));
    }
    setText(this.caption, facts.join("  ·  "));
  }

  // Picture and marks change together, when the picture is there.
  load(part, shown) {
    this.wanted = part;
    if (!part) {
      if (!shown) setText(this.blank, "");
      else if (this.drawn !== shown.id) this.show(shown, "", t("no_picture"));
      return;
    }
    if (this.loading || this.drawn === part.id) return;
    this.loading = true;
    const next = new Image();
    next.src = pictureOf(part);
    next.decode().then(
      () => this.show(part, next.src, ""),
      () => this.wanted === part && this.show(part, "", t("no_picture")),
    ).finally(() => {
      this.loading = false;
      if (this.wanted && this.wanted.id !== part.id) this.load(this.wanted, this.wanted);
    });
  }

  show(part, source, blank) {
    this.drawn = part.id;
    if (source) this.image.src = source;
    else this.image.removeAttribute("src");
    draw(this.marks, part);
    setText(this.blank, blank);
  }
}
