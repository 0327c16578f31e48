// Flush, pause, resume and retention: of one table, or of all.

import { actionButton, command } from "./actions.js";
import { change } from "./api.js";
import { element } from "./dom.js";
import { count } from "./format.js";
import { confirmed } from "./question.js";
import { text } from "./texts.js";

// null: all
const bodyFor = (table) => (table === null ? undefined : { tables: [table] });

/** `table`: null for all of `tables()`, which may leave out those that are paused. */
export function flushButton(table, output, tables = () => [table]) {
  return actionButton({
    label: table === null ? text.flushAll : text.flush,
    spoken: table === null ? null : `${text.flush}: ${table}`,
    output,
    run: async (say) => {
      say(text.flushing);
      const answer = await command("/flush", { tables: tables() }, say);
      return text.flushed(count(flushedCount(answer)));
    },
  });
}

export function pauseButton(table, output) {
  return actionButton({
    label: table === null ? text.pauseAll : text.pause,
    spoken: table === null ? null : `${text.pause}: ${table}`,
    output,
    run: async (say) => {
      say(text.pausing);
      const { status } = await change("POST", "/pause", bodyFor(table));
      return status === 202 ? text.asked : text.paused;
    },
  });
}

export function resumeButton(table, output) {
  return actionButton({
    label: table === null ? text.resumeAll : text.resume,
    spoken: table === null ? null : `${text.resume}: ${table}`,
    look: "first",
    output,
    run: async (say) => {
      say(text.resuming);
      const { status } = await change("POST", "/resume", bodyFor(table));
      return status === 202 ? text.asked : text.resumed;
    },
  });
}

/** Deleting is asked about with what a dry run would delete; where that is nothing, there is nothing to ask. */
export function retentionButton(output) {
  return actionButton({
    label: text.retention,
    output,
    run: async (say) => {
      say(text.retentionLooking);
      const dry = reports(await command("/retention", { dryRun: true }, say));
      if (dry.every(([, report]) => !report.wouldDelete)) {
        return [text.retentionNothing, ...dry.flatMap(([, report]) => remarks(report))].join(" ");
      }
      say("");
      const lines = dry.map(([table, report]) =>
        element("li", {}, [text.retentionWould(table, count(report.wouldDelete ?? 0)), ...remarks(report)].join(". ")));
      const content = [element("p", {}, text.retentionAsk), element("ul", {}, ...lines)];
      if (!(await confirmed(text.retentionTitle, content, text.retentionYes))) return null;
      say(text.retentionRunning);
      const done = reports(await command("/retention", { dryRun: false }, say));
      return done
        .map(([table, report]) => [text.retentionDid(table, count(report.deleted ?? 0)), ...remarks(report)].join(". "))
        .join(" · ");
    },
  });
}

/** The flush answers with a sum; a command that was followed with each table's own. */
function flushedCount(answer) {
  if (answer.flushedCount !== undefined) return answer.flushedCount;
  return Object.values(answer.tables).reduce((sum, of) => sum + (of.result?.flushedCount ?? 0), 0);
}

const reports = (answer) => Object.entries(answer.tables ?? {}).map(([table, of]) => [table, of.result ?? of]);

/** What else there is to say of a retention run: what stays and why, and what stopped it. */
function remarks(report) {
  const stay = Object.entries(report.refused ?? {}).map(([why, number]) =>
    text.retentionStay(count(number), text.refusals[why] ?? why));
  return [...stay, ...(report.notes ?? []), report.problem].filter(Boolean);
}
