// Buttons that change something: each shows its progress and its result in words, and can't be pressed twice.

import { NeedsToken, NoAnswer, change, follow } from "./api.js";
import { element, setText } from "./dom.js";
import { duration } from "./format.js";
import { saidInLine } from "./said.js";
import { text } from "./texts.js";

const LOOK_MS = 2_000; // between two looks at a command that is still running

/**
 * A button. `run(say)` does it, says how far it is, and gives its result in words (null: it was called off).
 * `output`: where they are shown. The page hears of every end by the event "changed".
 */
export function actionButton({ label, spoken, look, output, run }) {
  const button = element("button", { type: "button", class: look, "aria-label": spoken }, label);
  button.addEventListener("click", async () => {
    if (button.ariaDisabled === "true") return;
    button.ariaDisabled = "true"; // not `disabled`, which would take the focus away
    const say = (words, isProblem = false) => {
      output.classList.toggle("problem", isProblem);
      setText(output, words);
    };
    say("");
    try {
      say((await run(say)) ?? "");
    } catch (error) {
      say(inWords(error), true);
    } finally {
      button.ariaDisabled = null;
      document.dispatchEvent(new CustomEvent("changed"));
    }
  });
  return button;
}

/** Ask for a command, and follow it to its end. Gives {table: what it came to}. */
export async function command(path, body, say) {
  const started = performance.now();
  let { body: answer } = await change("POST", path, body);
  const link = answer.command;
  while (link && isRunning(answer)) {
    say(text.stillRunning(duration((performance.now() - started) / 1000)));
    await new Promise((resolve) => setTimeout(resolve, LOOK_MS));
    try {
      ({ body: answer } = await follow(link));
    } catch (error) {
      if (!(error instanceof NoAnswer)) throw error; // it runs on, and so do we
    }
  }
  const outcomes = Object.entries(answer.tables ?? {});
  const withdrawn = outcomes.filter(([, of]) => of.state === "withdrawn");
  if (withdrawn.length) throw new Error(text.withdrawn(withdrawn.map(([table]) => table).join(", ")));
  const paused = outcomes.filter(([, of]) => of.result?.paused === true);
  if (paused.length) throw new Error(text.pausedMeanwhile(paused.map(([table]) => table).join(", ")));
  return answer;
}

const isRunning = (answer) => Object.values(answer.tables ?? {}).some((of) => ["waiting", "running"].includes(of.state ?? of));

function inWords(error) {
  if (error instanceof NoAnswer) return text.unanswered;
  if (error instanceof NeedsToken) return text.loginWhy;
  return saidInLine(error.message);
}
