// One table: how much waits, how it gets on, what is wrong with it, and what can be done.

import { Chart } from "./chart.js";
import { flushButton, pauseButton, resumeButton } from "./controls.js";
import { element, setChildren, setText } from "./dom.js";
import { count, duration, fullTime, when } from "./format.js";
import { said, withCode } from "./said.js";
import { text } from "./texts.js";

/** How bad each state is; the others are neither good nor bad. */
const TONES = { running: "good", waiting: "fair", recovering: "fair", blocked: "bad", unprepared: "bad", "no worker": "bad" };

const NO_WORKER = "no worker";

const EXPLAINED_BY_REASON = new Set(["waiting", "blocked", "unprepared", "recovering"]);

export class TableCard {
  constructor(name, mayControl) {
    this._state = element("span", { class: "state" });
    this._figures = ["waiting", "oldest", "sent", "failedCount"].map((key) => {
      const value = element("dd");
      return { key, value, node: element("div", {}, element("dt", {}, text[key]), value) };
    });
    this._chart = new Chart();
    this._trouble = element("div", { class: "trouble" });
    this._error = element("div", { class: "last-error" });
    this._check = element("p", { class: "check" });
    const result = element("p", { class: "result", role: "status" });
    this._flush = flushButton(name, result);
    this._pause = pauseButton(name, result);
    this._resume = resumeButton(name, result);
    const title = element("h3", { id: `table-${name}` }, name);
    this.node = element(
      "article",
      { class: "card", "aria-labelledby": title.id },
      element("header", {}, title, this._state),
      element("dl", { class: "figures" }, ...this._figures.map(({ node }) => node)),
      this._chart.node,
      this._trouble,
      this._error,
      this._check,
      mayControl && element("div", { class: "actions" }, this._resume, this._flush, this._pause),
      mayControl && result,
    );
  }

  show(stats, enabled) {
    const { state } = stats;
    const noWorker = state === NO_WORKER;
    setText(this._state, noWorker && stats.paused ? text.pausedNoWorkerState : (text.states[state] ?? state));
    this._state.className = `state ${(noWorker && !enabled) || stats.paused ? "" : (TONES[state] ?? "")}`;
    const values = {
      waiting: count(stats.pending, stats.pendingIsEstimate),
      oldest: ageOf(stats.oldestPendingAgeSeconds),
      sent: count(stats.synced),
      failedCount: count(stats.failed),
    };
    for (const { key, value } of this._figures) setText(value, values[key]);
    this._figures.at(-1).node.classList.toggle("bad", stats.failed > 0);
    setChildren(this._trouble, [...troubleOf(stats, enabled), ...rowlessOf(stats)]);
    setChildren(this._error, lastErrorOf(stats, state));
    setText(this._check, checkOf(stats));
    this._pause.hidden = stats.paused;
    this._flush.hidden = stats.paused;
    this._resume.hidden = !stats.paused;
  }

  showActivity(rows, from) {
    this._chart.show(rows, from);
  }
}

function troubleOf({ state, paused, reason }, enabled) {
  if (state === NO_WORKER) {
    if (paused) return [advice(text.pausedNoWorker)];
    return enabled ? [advice(text.noWorkerAdvice)] : []; // that it is disabled is said on top
  }
  if (EXPLAINED_BY_REASON.has(state) && reason) return said(reason, text.stateAdvice[state]);
  return state === "recovering" ? [advice(text.recoveringAdvice)] : [];
}

function rowlessOf({ rowless }) {
  return rowless ? [advice(text.rowless(count(rowless.items), rowless.id, rowless.recordId))] : [];
}

const advice = (words) => element("p", { class: "advice" }, ...withCode(words));

/** One that is over is there for who wants to know; one that is shown as the reason isn't said again. */
function lastErrorOf(stats, state) {
  if (!stats.lastError) return [];
  const at = stats.lastErrorAt;
  const isOver = stats.lastSyncAt && at && Date.parse(stats.lastSyncAt) > Date.parse(at);
  if (isOver && state !== "blocked") {
    const title = element("summary", {}, text.lastErrorOver(when(at)));
    return [element("details", {}, title, ...said(stats.lastError))];
  }
  const title = element("p", { class: "label", title: at ? fullTime(at) : null }, text.lastError(at ? when(at) : ""));
  const isSaid = EXPLAINED_BY_REASON.has(state) && stats.reason === stats.lastError;
  return [title, ...(isSaid ? [] : said(stats.lastError))];
}

/** How the last daily comparison went; why there was none is said on top. */
function checkOf({ lastCheck: check }) {
  if (!check || check.problem) return "";
  if (check.daysThatDiffer) return text.notAllThere(when(check.at), count(check.daysThatDiffer));
  return text.allThere(when(check.at), check.from, check.until);
}

function ageOf(seconds) {
  if (seconds === null) return text.none;
  return seconds < 0 ? text.inTheFuture(duration(-seconds)) : duration(seconds);
}
