// The rows that BigQuery can't take: by page, by table, each to be tried again or given up.

import { actionButton } from "./actions.js";
import { Refused, change, follow, get } from "./api.js";
import { byId, element, setText } from "./dom.js";
import { count, fullTime, when } from "./format.js";
import { confirmed } from "./question.js";
import { said, saidInLine } from "./said.js";
import { text } from "./texts.js";

const PAGE = 50;
const MOST_AT_ONCE = 1000; // of the API

export class FailedRows {
  constructor(mayControl) {
    this._mayControl = mayControl;
    this._result = byId("failed-result");
    this._rows = new Map(); // id -> its <tr>, in the order shown
    this._shown = ""; // what the counts were when the rows were read
    this._counts = {};
    this._next = null;
    this._reading = 0; // which answer is waited for: an older one that comes later is void
    this._filter = element("select", { "aria-label": text.failedFilter, onchange: () => this._read(PAGE) });
    this._retryAll = this._buttonForAll(text.retryAll, () => this._askToRetryAll());
    this._giveUpAll = this._buttonForAll(text.giveUpAll, () => this._askToGiveUpAll(), "danger");
    byId("failed-actions").replaceChildren(
      this._filter,
      ...(mayControl ? [this._retryAll, this._giveUpAll] : []),
    );
    byId("failed-rows").replaceChildren();
    byId("failed-more").onclick = () => this._more();
  }

  /** The rows are read again only when a count has changed: `tableStats` says so at every look. */
  async show(tableStats) {
    this._counts = Object.fromEntries(Object.entries(tableStats).map(([table, stats]) => [table, stats.failed]));
    const now = JSON.stringify(this._counts);
    const total = Object.values(this._counts).reduce((sum, of) => sum + of, 0);
    setText(byId("failed-count"), total ? count(total) : "");
    setText(byId("failed-hint"), total ? text.failedHint : text.failedNone);
    byId("failed-actions").hidden = total === 0;
    byId("failed-table").hidden = total === 0;
    if (now === this._shown) return;
    this._showFilter();
    try {
      await this._read(Math.max(PAGE, this._rows.size));
      this._shown = now;
    } catch (error) {
      if (!(error instanceof Refused)) throw error;
      setText(byId("failed-hint"), saidInLine(error.message)); // and the next look tries again
    }
  }

  _showFilter() {
    const chosen = this._filter.value;
    const tables = Object.entries(this._counts).filter(([table, failed]) => failed > 0 || table === chosen);
    this._filter.replaceChildren(
      element("option", { value: "" }, text.allTables),
      ...tables.map(([table, failed]) => element("option", { value: table }, `${table} (${count(failed)})`)),
    );
    this._filter.value = chosen;
  }

  async _read(limit) {
    const query = new URLSearchParams({ limit: Math.min(limit, MOST_AT_ONCE) });
    if (this._filter.value) query.set("table", this._filter.value);
    const reading = ++this._reading;
    const { body } = await get(`/failed?${query}`);
    if (reading !== this._reading) return;
    this._place(body.failed.map((row) => [row.id, this._rows.get(row.id) ?? this._rowOf(row)]), body.next);
  }

  async _more() {
    const reading = ++this._reading;
    const { body } = await follow(this._next);
    if (reading !== this._reading) return;
    this._place([...this._rows, ...body.failed.map((row) => [row.id, this._rowOf(row)])], body.next);
  }

  /** Rows that stay aren't touched, so that one keeps its focus and what it says. */
  _place(wanted, next) {
    this._next = next;
    byId("failed-more").hidden = next === null;
    const kept = new Set(wanted.map(([id]) => id));
    for (const [id, row] of this._rows) if (!kept.has(id)) this._take(row);
    const list = byId("failed-rows");
    wanted.forEach(([, row], place) => {
      if (list.children[place] !== row) list.insertBefore(row, list.children[place] ?? null);
    });
    this._rows = new Map(wanted);
  }

  /** A row goes; the focus that it had goes to its neighbour. */
  _take(row) {
    if (row.contains(document.activeElement)) {
      const neighbour = row.nextElementSibling ?? row.previousElementSibling;
      (neighbour?.querySelector("button") ?? byId("failed-title")).focus();
    }
    row.remove();
  }

  _rowOf({ id, table, recordId, error, createdAt }) {
    const output = element("span", { class: "result", role: "status" });
    const retry = actionButton({
      label: text.retry,
      spoken: text.retryRow(table, recordId),
      output,
      run: async (say) => {
        say(text.working);
        return this._done(text.retried, (await change("POST", "/retry", { ids: [id] })).body.retriedCount);
      },
    });
    const giveUp = actionButton({
      label: text.giveUp,
      spoken: text.giveUpRow(table, recordId),
      look: "danger",
      output,
      run: async (say) => {
        if (!(await confirmed(text.giveUpTitle, [text.giveUpAsk(table, recordId)], text.giveUp))) return null;
        say(text.working);
        return this._done(text.givenUp, (await change("DELETE", "/failed", { ids: [id] })).body.clearedCount);
      },
    });
    const cell = (label, look, ...children) => element("td", { role: "cell", "data-label": label, class: look }, ...children);
    return element(
      "tr",
      { role: "row" },
      cell(text.when, "when", element("time", { datetime: createdAt, title: fullTime(createdAt) }, when(createdAt))),
      cell(text.table, "name", table),
      cell(text.record, "name", recordId),
      cell(text.error, "why", ...said(error ?? "")),
      cell("", "row-actions", ...(this._mayControl ? [retry, giveUp, output] : [])),
    );
  }

  _buttonForAll(label, run, look) {
    return actionButton({ label, look, output: this._result, run: async (say) => run.call(this, say) });
  }

  async _askToRetryAll() {
    const { where, body, number } = this._chosen();
    if (!(await confirmed(text.retryAllTitle, [text.retryAllAsk(number, where)], text.retryAll))) return null;
    return this._done(text.retried, (await change("POST", "/retry", body)).body.retriedCount);
  }

  async _askToGiveUpAll() {
    const { where, body, number } = this._chosen();
    if (!(await confirmed(text.giveUpTitle, [text.giveUpAllAsk(number, where)], text.giveUpAll))) return null;
    return this._done(text.givenUp, (await change("DELETE", "/failed", body)).body.clearedCount);
  }

  /** What "all" means now: the table that the filter names, or every one. */
  _chosen() {
    const table = this._filter.value;
    const total = Object.values(this._counts).reduce((sum, of) => sum + of, 0);
    return table
      ? { where: table, body: { tables: [table] }, number: count(this._counts[table] ?? 0) }
      : { where: text.ofAllTables, body: { all: true }, number: count(total) };
  }

  /** The row that it was about is gone in a moment, so the result is said above all rows. */
  async _done(words, number) {
    this._result.classList.remove("problem");
    setText(this._result, words(count(number)));
    await this._read(Math.max(PAGE, this._rows.size));
    return words(count(number));
  }
}
