// Where on the picture everything was found, drawn over it in the picture's own pixels.

import { svg } from "./dom.js";

function outline(points, kind) {
  return svg("polygon", { class: kind, points: points.map((p) => p.join(",")).join(" ") });
}

function corners([x0, y0, x1, y1]) {
  return [[x0, y0], [x1, y0], [x1, y1], [x0, y1]];
}

function label(points, text, kind, [width, height]) {
  const size = Math.max(11, Math.round(width / 34));
  const xs = points.map((p) => p[0]);
  const ys = points.map((p) => p[1]);
  const wide = [...text].reduce((sum, c) => sum + (c.codePointAt(0) > 0x2e7f ? 1.02 : 0.6), 0.7) * size;
  const high = size * 1.35;
  const gap = size * 0.3;
  const [left, right, top, bottom] = [Math.min(...xs), Math.max(...xs), Math.min(...ys), Math.max(...ys)];
  // Beside the print, where it hides none; above or below it if there is no room.
  let y = (top + bottom - high) / 2;
  let x = right + gap;
  if (x + wide > width) x = left - gap - wide;
  if (x < 0) {
    x = Math.max(0, Math.min(left, width - wide));
    y = top - high - gap / 2 >= 0 ? top - high - gap / 2 : Math.min(bottom + gap / 2, height - high);
  }
  return svg(
    "g",
    { class: `label ${kind}` },
    svg("rect", { x, y, width: wide, height: high, rx: size * 0.2 }),
    svg("text", { x: x + size * 0.35, y: y + size * 1.02, "font-size": size, textLength: wide - size * 0.7 }, text),
  );
}

// Fills an <svg> that lies over the picture of a part.
export function draw(target, part) {
  const size = part.size ?? [4, 3];
  target.setAttribute("viewBox", `0 0 ${size[0]} ${size[1]}`);
  const marks = [];
  const labels = [];
  for (const { box } of part.boxes) if (box) marks.push(outline(corners(box), "region"));
  for (const line of part.lines) {
    const kind = line.bad ? "bad" : "plain";
    marks.push(outline(line.quad, kind));
    if (line.text) labels.push(label(line.quad, line.text, kind, size));
  }
  for (const thing of part.found) {
    const kind = thing.bad ? "bad" : "plain";
    marks.push(outline(corners(thing.box), kind));
    labels.push(label(corners(thing.box), `${thing.label} ${thing.score.toFixed(2)}`, kind, size));
  }
  target.replaceChildren(...marks, ...labels);
}
