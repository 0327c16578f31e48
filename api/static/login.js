// The token is asked for once. The server keeps it in a cookie that no script can read; this page forgets it at once.

import { NeedsToken, login } from "./api.js";
import { byId, setText } from "./dom.js";
import { saidInLine } from "./said.js";
import { text } from "./texts.js";

/** Ask until it is right. */
export function loggedIn() {
  byId("dashboard").hidden = true;
  byId("login").hidden = false;
  byId("token").focus();
  return new Promise((resolve) => {
    byId("login-form").onsubmit = async (event) => {
      event.preventDefault();
      setText(byId("login-problem"), "");
      try {
        await login(byId("token").value);
      } catch (error) {
        const wrong = error instanceof NeedsToken;
        setText(byId("login-problem"), wrong ? text.loginWrong : error.status ? saidInLine(error.message) : text.noAnswer);
        byId("token").select();
        return;
      }
      byId("token").value = "";
      byId("login").hidden = true;
      resolve();
    };
  });
}
