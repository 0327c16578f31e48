// Questions to the REST API. Each ends: with an answer, or with one of these errors.

const PATH = "/api/bq-sync";

/** Nobody answered in time, or what answered isn't the API. */
export class NoAnswer extends Error {}

/** The API wants a token first. */
export class NeedsToken extends Error {}

/** The API answered, but not with what was asked for; the message is the problem's detail, `body` all of it. */
export class Refused extends Error {
  constructor(status, body) {
    super(body.detail ?? `HTTP ${status}`);
    this.status = status;
    this.body = body;
  }
}

export const get = (path) => ask("GET", path, undefined, 10);

/** As `get`; an answer that is no success is one too where its status is `also`. */
export const getAlso = (path, also) => ask("GET", path, undefined, 10, also);

// A flush is answered after 30 s at the latest.
export const change = (method, path, body) => ask(method, path, body, 60);

/** A link that an answer gave: it has the path in it. */
export const follow = (link) => get(link.startsWith(PATH) ? link.slice(PATH.length) : link);

export async function login(token) {
  await send("POST", "/login", { token }, 10);
}

export async function logout() {
  await send("POST", "/logout", undefined, 10);
}

async function ask(method, path, body, seconds, also) {
  const response = await send(method, PATH + path, body, seconds, also);
  try {
    return { status: response.status, body: await response.json() };
  } catch (error) {
    throw new NoAnswer(String(error));
  }
}

async function send(method, path, body, seconds, also) {
  const options = { method, cache: "no-store", redirect: "error", signal: AbortSignal.timeout(seconds * 1000) };
  if (body !== undefined) {
    options.body = JSON.stringify(body);
    options.headers = { "Content-Type": "application/json" };
  }
  let response;
  try {
    response = await fetch(path, options);
  } catch (error) {
    throw new NoAnswer(String(error));
  }
  if (response.ok || response.status === also) return response;
  if (response.status === 401) throw new NeedsToken();
  if (!(response.headers.get("Content-Type") ?? "").startsWith("application/problem+json")) {
    throw new NoAnswer(`HTTP ${response.status}`); // a proxy's, say
  }
  let problem;
  try {
    problem = await response.json();
  } catch (error) {
    throw new NoAnswer(String(error));
  }
  throw new Refused(response.status, problem);
}
