// The one dialog: asks before something that can't be taken back. Enter and Escape mean no.

import { byId, setText } from "./dom.js";
import { text } from "./texts.js";

/** Whether the operator wants it. `content`: nodes or texts that say what will happen. */
export function confirmed(title, content, yes) {
  const dialog = byId("question");
  setText(byId("question-title"), title);
  byId("question-text").replaceChildren(...content);
  setText(byId("question-yes"), yes);
  setText(byId("question-no"), text.no);
  dialog.returnValue = "no";
  dialog.showModal();
  return new Promise((resolve) => {
    dialog.addEventListener("close", () => resolve(dialog.returnValue === "yes"), { once: true });
  });
}
