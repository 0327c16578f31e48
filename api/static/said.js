// What the server says, as the page shows it: in the page's language where it is known, with what to do.

import { element } from "./dom.js";
import { explain } from "./reasons.js";
import { text } from "./texts.js";

/** Nodes for a sentence of the server; `otherwise`: the advice where none is known. */
export function said(sentence, otherwise = null) {
  const { meaning, advice } = explain(sentence);
  return [
    element("p", { class: "said" }, ...withCode(meaning ?? sentence)),
    (advice ?? otherwise) && element("p", { class: "advice" }, ...withCode(advice ?? otherwise)),
    // The server's own words are what one looks for in logs and documentation.
    meaning && element(
      "details",
      { class: "original" },
      element("summary", {}, text.original),
      element("p", { lang: "en" }, sentence),
    ),
  ].filter(Boolean);
}

/** Texts, and what stands between backticks as code. */
export function withCode(sentence) {
  return sentence.split("`").map((part, place, { length }) =>
    (place % 2 === 1 && place < length - 1 ? element("code", {}, part) : part)).filter((part) => part !== "");
}

/** The same in one line. */
export function saidInLine(sentence) {
  const { meaning, advice } = explain(sentence);
  return [meaning ?? sentence, advice].filter(Boolean).join(" — ").replaceAll("`", "");
}
