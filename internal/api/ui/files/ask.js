// Asks the API. A token, once given, is sent with every question; it lives in this tab only.

const stored = "clickagg.token";

/** What the API refused, or that it could not be reached: status is then 0. */
export class Refused extends Error {
  constructor(status, problem) {
    super(problem.detail || problem.title || `status ${status}`);
    this.status = status;
    this.parameter = problem.parameter ?? "";
  }
}

/** Remembers a token for this tab. */
export const setToken = (token) => sessionStorage.setItem(stored, token);

/** Whether a token was given already. */
export const hasToken = () => sessionStorage.getItem(stored) !== null;

/** Sends a question; the answer's body is the caller's to read. */
export async function send(path, params, options = {}) {
  const token = sessionStorage.getItem(stored);
  const query = new URLSearchParams(params);
  let r;
  try {
    r = await fetch(query.size ? `${path}?${query}` : path, {
      ...options,
      headers: token ? { Authorization: `Bearer ${token}` } : {},
    });
  } catch (e) {
    if (options.signal?.aborted) throw e;
    throw new Refused(0, { title: "the API cannot be reached" });
  }
  if (!r.ok) throw new Refused(r.status, await r.json().catch(() => ({})));
  return r;
}

/** Asks for JSON. */
export async function ask(path, params = {}, signal = undefined) {
  const limit = AbortSignal.timeout(10_000);
  const r = await send(path, params, { signal: signal ? AbortSignal.any([signal, limit]) : limit });
  return r.json();
}

/** Reads server-sent events, as text/event-stream is defined, from the body of an answer. */
export async function* events(body) {
  const reader = body.pipeThrough(new TextDecoderStream()).getReader();
  let rest = "", name = "", data = [];
  for (;;) {
    const { value, done } = await reader.read();
    if (done) return;
    const lines = (rest + value).split(/\r\n|\n|\r(?!$)/);
    rest = lines.pop();
    for (const line of lines) {
      if (line === "") {
        if (data.length) yield { name: name || "message", data: data.join("\n") };
        name = "";
        data = [];
        continue;
      }
      const colon = line.indexOf(":");
      const field = colon < 0 ? line : line.slice(0, colon);
      const text = colon < 0 ? "" : line.slice(colon + 1).replace(/^ /, "");
      if (field === "event") name = text;
      if (field === "data") data.push(text);
    }
  }
}
