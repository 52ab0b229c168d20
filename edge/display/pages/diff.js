// Two texts side by side, with the characters that differ marked.

import { h } from "./dom.js";

const count = (marks) => marks.filter(Boolean).length;

// [character, differs] of each: place by place where that marks no more than need be, since one
// misread character should be marked against its own; else what is not in the longest common
// subsequence.
export function differing(a, b) {
  const [x, y] = [[...a], [...b]];
  let marks = commonly(x, y);
  if (x.length === y.length) {
    const placed = x.map((c, i) => c !== y[i]);
    if (count(placed) <= count(marks[0])) marks = [placed, placed];
  }
  return [x.map((c, i) => [c, marks[0][i]]), y.map((c, j) => [c, marks[1][j]])];
}

function commonly(x, y) {
  const length = Array.from({ length: x.length + 1 }, () => new Array(y.length + 1).fill(0));
  for (let i = x.length - 1; i >= 0; i -= 1) {
    for (let j = y.length - 1; j >= 0; j -= 1) {
      length[i][j] = x[i] === y[j] ? length[i + 1][j + 1] + 1 : Math.max(length[i + 1][j], length[i][j + 1]);
    }
  }
  const marks = [x.map(() => true), y.map(() => true)];
  for (let i = 0, j = 0; i < x.length && j < y.length; ) {
    if (x[i] === y[j]) {
      marks[0][i] = marks[1][j] = false;
      i += 1;
      j += 1;
    } else if (length[i + 1][j] >= length[i][j + 1]) i += 1;
    else j += 1;
  }
  return marks;
}

function marked(characters) {
  return h("code", {}, ...characters.map(([c, differs]) => (differs ? h("mark", {}, c) : c)));
}

// [read, expected] as elements.
export function sideBySide(read, expected) {
  return differing(read, expected).map(marked);
}
