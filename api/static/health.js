// The top of the page: how it is, why, and the figures of all tables together.

import { byId, element, setChildren, setText } from "./dom.js";
import { count, when } from "./format.js";
import { said } from "./said.js";
import { text } from "./texts.js";

/** `health`: as the API gives it; null: nobody knows. `paused`: the tables that an operator paused. */
export function showHealth(health, paused = []) {
  const level = health?.status ?? "unknown";
  byId("health").dataset.level = level;
  setText(byId("level"), text.levels[level] ?? level);
  const reasons = (health?.reasons ?? []).map((reason) => element("li", {}, ...said(reason)));
  if (paused.length) reasons.push(element("li", {}, element("p", { class: "said" }, text.pausedTables(paused.join(", ")))));
  setText(byId("summary"), level === "healthy" && paused.length ? text.healthyPaused : (text.summaries[level] ?? ""));
  setChildren(byId("reasons"), reasons);
}

export function showTotals(status, activity) {
  const { pending, pendingIsEstimate, failed } = status.queueStats;
  const figures = [
    [text.waiting, count(pending, pendingIsEstimate)],
    [text.lastHour, activity ? count(sumOf(activity.rowsPerMinute)) : text.none],
    [text.failedCount, count(failed), failed > 0 && "bad"],
    [text.lastSync, status.lastSyncAt ? when(status.lastSyncAt) : text.never],
  ];
  setChildren(byId("totals"), figures.map(([name, value, look]) =>
    element("div", { class: look }, element("dt", {}, name), element("dd", {}, value))));
}

/** What a new installation still needs; hidden once it runs. `status`: null while there is no database. */
export function showFirstSteps(status, isUnset) {
  const tables = Object.values(status?.tableStats ?? {});
  const prepared = tables.length > 0 && tables.every((table) => table.state !== "unprepared");
  const enabled = status?.enabled === true;
  byId("first-steps").hidden = status === null ? !isUnset : enabled && prepared;
  const done = { database: status !== null, migrate: prepared, check: enabled && prepared, enable: enabled };
  setChildren(byId("steps"), Object.entries(text.steps).map(([name, [before, code, after]]) =>
    element(
      "li",
      { class: done[name] ? "done" : null },
      before,
      element("code", {}, code),
      after,
      done[name] && element("span", { class: "mark" }, ` ✓ ${text.stepDone}`),
    )));
}

const sumOf = (tables) => Object.values(tables).flat().reduce((sum, rows) => sum + rows, 0);
