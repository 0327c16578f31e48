// Rows per minute in the last hour, as bars. The figures are in words beside it, for eyes and screen readers.

import { element, setText, svg } from "./dom.js";
import { count, minuteOfDay } from "./format.js";
import { text } from "./texts.js";

const MINUTES = 60;
const HEIGHT = 40;
const MINUTE_MS = 60_000;

export class Chart {
  constructor() {
    this._bars = Array.from({ length: MINUTES }, (_, place) => {
      const title = svg("title");
      const bar = svg("rect", { class: "bar-of-minute", x: place + 0.12, width: 0.76, y: HEIGHT, height: 0 });
      // What the pointer rests on is the whole height: a small bar couldn't be hit.
      const target = svg("rect", { class: "target", x: place, width: 1, y: 0, height: HEIGHT }, title);
      return { bar, target, title };
    });
    this._graphic = svg(
      "svg",
      { class: "chart", viewBox: `0 0 ${MINUTES} ${HEIGHT}`, preserveAspectRatio: "none", role: "img" },
      ...this._bars.map(({ bar }) => bar),
      ...this._bars.map(({ target }) => target),
    );
    this._most = element("span");
    this.node = element(
      "figure",
      {},
      element("figcaption", {}, element("span", {}, text.rowsPerMinute), this._most),
      this._graphic,
      element("div", { class: "axis", "aria-hidden": true }, element("span", {}, text.anHourAgo), element("span", {}, text.now)),
    );
  }

  /** `rows`: of each minute since `from`, the oldest first; null: not known. */
  show(rows, from) {
    const known = rows ?? [];
    const start = Date.parse(from);
    const most = Math.max(0, ...known);
    const sum = known.reduce((total, of) => total + of, 0);
    this._bars.forEach(({ bar, title }, place) => {
      const of = known[known.length - MINUTES + place] ?? 0;
      // The smallest bar can still be seen: one row isn't none.
      const height = of === 0 ? 0 : Math.max((of / most) * HEIGHT, 2);
      bar.setAttribute("y", HEIGHT - height);
      bar.setAttribute("height", height);
      const minute = new Date(start + (known.length - MINUTES + place) * MINUTE_MS);
      setText(title, Number.isNaN(start) ? "" : text.barTitle(minuteOfDay(minute), count(of)));
    });
    setText(this._most, rows === null ? "" : text.mostPerMinute(count(most)));
    this._graphic.setAttribute(
      "aria-label",
      rows === null ? text.chartUnknown : text.chartSpoken(count(sum), count(most), count(known.at(-1) ?? 0)),
    );
  }
}
