// The dashboard: asks the API every few seconds, and puts what it says where it belongs.

import { NeedsToken, NoAnswer, Refused, get, getAlso, logout } from "./api.js";
import { flushButton, pauseButton, resumeButton, retentionButton } from "./controls.js";
import { byId, setText } from "./dom.js";
import { FailedRows } from "./failed.js";
import { timeOfDay } from "./format.js";
import { showFirstSteps, showHealth, showTotals } from "./health.js";
import { loggedIn } from "./login.js";
import { TableCard } from "./table-card.js";
import { keep, kept, language, text } from "./texts.js";

const LOOK_MS = 3_000;
const LOOK_WHILE_HIDDEN_MS = 30_000;
const ACTIVITY_MS = 15_000; // the chart's bars are minutes

class Dashboard {
  constructor() {
    this._session = null;
    this._cards = new Map();
    this._failed = null;
    this._activity = null;
    this._activityAt = -Infinity;
    this._status = null; // the last one
    this._answeredAt = null; // when it came
    this._timer = null;
    this._looking = false;
    this._again = false;
  }

  start() {
    document.addEventListener("visibilitychange", () => document.hidden || this.look());
    document.addEventListener("changed", () => this.look());
    byId("logout").onclick = async () => {
      try {
        await logout();
      } finally {
        location.reload(); // which shows whether it was done
      }
    };
    this.look();
  }

  /** Look now, and then every few seconds; one look at a time. */
  async look() {
    if (this._looking) {
      this._again = true;
      return;
    }
    clearTimeout(this._timer);
    this._looking = true;
    do {
      this._again = false;
      await this._lookOnce();
    } while (this._again);
    this._looking = false;
    this._timer = setTimeout(() => this.look(), document.hidden ? LOOK_WHILE_HIDDEN_MS : LOOK_MS);
  }

  async _lookOnce() {
    try {
      if (this._session === null) await this._begin();
      const [health, status] = await Promise.allSettled([getAlso("/health", 503), get("/status"), this._readActivity()]);
      this._take(health, status);
      await this._showFailed();
    } catch (error) {
      if (error instanceof NeedsToken) {
        this._session = null;
        setText(byId("freshness"), "");
        await loggedIn();
        this._again = true;
      } else {
        this._silent(); // whatever it was: what is shown isn't of now
        if (!(error instanceof NoAnswer || error instanceof Refused)) reportError(error);
      }
    }
  }

  /** What may be done here is asked once; the buttons are made by it. */
  async _begin() {
    this._session = (await get("/session")).body;
    const mayControl = this._session.role === "control";
    const result = byId("all-result");
    byId("logout").hidden = !this._session.tokens;
    byId("read-only").hidden = mayControl;
    this._resumeAll = resumeButton(null, result);
    this._pauseAll = pauseButton(null, result);
    this._flushAll = flushButton(null, result, () => this._unpaused());
    const buttons = [this._resumeAll, this._flushAll, this._pauseAll, retentionButton(result)];
    byId("all-actions").replaceChildren(...(mayControl ? buttons : []));
    this._cards.clear();
    this._failed = new FailedRows(mayControl);
    byId("dashboard").hidden = false;
  }

  _take(health, status) {
    for (const answer of [health, status]) if (answer.reason instanceof NeedsToken) throw answer.reason;
    if (health.status === "rejected") throw health.reason;
    if (status.status === "rejected") {
      if (!(status.reason instanceof Refused)) throw status.reason;
      showHealth(health.value.body);
      // The API is there, its database isn't: health says so; the figures are of before.
      this._stale(this._status && text.databaseSilent(timeOfDay(this._answeredAt)), health.value.body.status);
      showFirstSteps(this._status, health.value.body.status === "degraded");
      return;
    }
    this._status = status.value.body;
    this._answeredAt = new Date();
    byId("dashboard").classList.remove("stale");
    byId("all-tables").hidden = byId("failed").hidden = false;
    setText(byId("freshness"), text.updated(timeOfDay(this._answeredAt)));
    byId("freshness").classList.remove("problem");
    this._show(health.value.body);
  }

  _show(health) {
    const { tableStats, siteId, version, enabled } = this._status;
    const names = Object.keys(tableStats);
    if (names.join() !== [...this._cards.keys()].join()) {
      this._cards = new Map(names.map((name) => [name, new TableCard(name, this._session.role === "control")]));
      byId("tables").replaceChildren(...[...this._cards.values()].map((card) => card.node));
    }
    for (const [name, card] of this._cards) {
      card.show(tableStats[name], enabled);
      card.showActivity(this._activity?.rowsPerMinute[name] ?? null, this._activity?.from);
    }
    const paused = names.filter((name) => tableStats[name].paused);
    showHealth(health, paused);
    this._resumeAll.hidden = paused.length === 0;
    this._pauseAll.hidden = this._flushAll.hidden = paused.length === names.length;
    setText(byId("site"), siteId ?? "");
    byId("site").title = version ?? "";
    showTotals(this._status, this._activity);
    showFirstSteps(this._status, false);
    this._title(text.levels[health.status]);
  }

  /** A flush of a paused table would be refused. */
  _unpaused() {
    return Object.entries(this._status.tableStats).filter(([, stats]) => !stats.paused).map(([name]) => name);
  }

  /** Nobody answers. Nothing green is left standing: what was well then may not be so now. */
  _silent() {
    byId("dashboard").hidden = false;
    showHealth(null);
    this._stale(this._answeredAt ? text.noAnswerSince(timeOfDay(this._answeredAt)) : text.noAnswer, "unknown");
  }

  _stale(words, level) {
    byId("dashboard").classList.add("stale");
    byId("freshness").classList.toggle("problem", Boolean(words));
    setText(byId("freshness"), words ?? "");
    this._title(text.levels[level]);
  }

  _title(level) {
    document.title = [level, this._status?.siteId, "bq-sync"].filter(Boolean).join(" · ");
  }

  async _readActivity() {
    if (performance.now() - this._activityAt < ACTIVITY_MS) return;
    this._activity = (await get("/activity")).body;
    this._activityAt = performance.now();
  }

  async _showFailed() {
    if (this._status !== null && !byId("dashboard").classList.contains("stale")) {
      await this._failed.show(this._status.tableStats);
    }
  }
}

function showTexts() {
  document.documentElement.lang = language;
  for (const node of document.querySelectorAll("[data-text]")) setText(node, text[node.dataset.text]);
  setText(byId("freshness"), text.loading);
  byId("language").value = language;
  byId("language").onchange = ({ target }) => {
    keep("language", target.value);
    location.reload(); // every text is made anew
  };
  byId("theme").value = kept("theme") ?? "auto";
  byId("theme").onchange = ({ target }) => {
    keep("theme", target.value);
    document.documentElement.dataset.theme = target.value;
  };
}

showTexts();
new Dashboard().start();
