// Brings the answers to the page: when the API's stream tells of changes, and where there
// is no stream every two seconds. It rests while nobody sees the page.

import { ask, events, Refused, send } from "./ask.js";
import { grain, grains, span } from "./question.js";

const pollMS = 2000;
const streamMS = 1000; // least time between questions when a stream tells of changes
const restMS = 15_000; // between attempts to reach a stream that was not there

/** Waits so long, or until the page is seen again or the signal says that the question has changed. */
function pause(ms, signal) {
  return new Promise((resolve) => {
    const end = () => {
      clearTimeout(timer);
      signal.removeEventListener("abort", end);
      resolve();
    };
    const timer = setTimeout(end, ms);
    signal.addEventListener("abort", end);
  });
}

/** Waits until the page is seen. */
function seen() {
  if (!document.hidden) return Promise.resolve();
  return new Promise((resolve) => {
    document.addEventListener("visibilitychange", function look() {
      if (document.hidden) return;
      document.removeEventListener("visibilitychange", look);
      resolve();
    });
  });
}

/** A signal that comes when the page is not seen any more. */
function unseen() {
  const hidden = new AbortController();
  document.addEventListener("visibilitychange", () => hidden.abort(), { once: true });
  return hidden.signal;
}

/**
 * A feed answers one question at a time. The listeners on.status, on.top, on.ad and
 * on.link are told what came; on.fault(part, error) what was refused.
 */
export class Feed {
  #on;
  #stop = new AbortController();
  #skew = 0; // how far the server's clock is ahead of ours
  #streams = false;
  #met = Promise.withResolvers(); // done when the server's clock was asked for
  #least = 0; // the finest of grains that the windows of this installation can be put together to

  constructor(on) {
    this.#on = on;
  }

  /** The server's time in Unix ms. */
  now() {
    return Date.now() + this.#skew;
  }

  /** Asks another question from now on. */
  start(question) {
    this.#stop.abort();
    this.#stop = new AbortController();
    this.#streams = false;
    const { signal } = this.#stop;
    this.#states(signal);
    this.#answers(question, signal);
  }

  /** Asks nothing any more. */
  stop() {
    this.#stop.abort();
  }

  async #states(signal) {
    while (!signal.aborted) {
      await this.#status(signal);
      this.#met.resolve();
      await pause(pollMS, signal);
      await seen();
    }
  }

  async #status(signal) {
    try {
      const status = await ask("/v1/status", {}, signal);
      if (signal.aborted) return;
      this.#skew = Date.parse(status.at) - Date.now();
      this.#on.link(this.#streams ? "live" : "polling");
      this.#on.status(status);
    } catch (e) {
      this.#fault("status", e, signal);
    }
  }

  #fault(part, e, signal) {
    if (signal.aborted) return;
    if (!(e instanceof Refused)) e = new Refused(0, { title: e.message });
    if (e.status === 0) this.#on.link("away");
    this.#on.fault(part, e);
  }

  /** Follows the stream while it lasts; asks for everything in between. */
  async #answers(question, signal) {
    await this.#met.promise; // ranges are in the server's time
    let streamAt = 0;
    while (!signal.aborted) {
      const fresh = await this.#poll(question, signal);
      if (signal.aborted) return;
      if (fresh && question.range !== "fixed" && Date.now() >= streamAt) {
        const was = await this.#follow(question, signal);
        streamAt = was ? 0 : Date.now() + restMS;
      }
      // A range in the past changes by corrections only.
      await pause(question.range === "fixed" && fresh ? restMS : pollMS, signal);
      await seen();
    }
  }

  /** Asks once for the ranking and the ad; tells whether the API is there. */
  async #poll(question, signal) {
    const both = await Promise.all([this.#top(question, signal), this.#ad(question, signal)]);
    return both.every(Boolean);
  }

  async #top(question, signal) {
    const { from, to } = span(question, this.now());
    try {
      const top = await ask("/v1/ads/top_clicked_ads", { ...frame(from, to, question), n: question.n }, signal);
      if (!signal.aborted) this.#on.top(top);
      return true;
    } catch (e) {
      this.#fault("top", e, signal);
      return false;
    }
  }

  async #ad(question, signal) {
    if (!question.ad) return true;
    const { from, to } = span(question, this.now());
    const step = grain(from, to, this.#least);
    const path = `/v1/ads/${encodeURIComponent(question.ad)}/aggregated_count`;
    try {
      const ad = await ask(path, { ...frame(from, to, question), granularity: step.name }, signal);
      if (!signal.aborted) this.#on.ad({ ...ad, grain: step });
      return true;
    } catch (e) {
      if (e.parameter === "granularity" && this.#least < grains.length - 1) {
        this.#least++;
        return this.#ad(question, signal);
      }
      this.#fault("ad", e, signal);
      return false;
    }
  }

  /**
   * Follows the stream, and tells whether there was one. It says when something has
   * changed; what, the page asks for, because its ranges end with the running minute and
   * those of the stream before it. Nothing changes, nothing is asked.
   */
  async #follow(question, signal) {
    const closed = new AbortController();
    // A page that is not seen gives its connection back: browsers allow a few only.
    const until = AbortSignal.any([signal, unseen(), closed.signal]);
    let was = false, changed = false;
    const askOn = async () => {
      while (!until.aborted) {
        await pause(streamMS, until);
        if (!changed) continue;
        changed = false;
        await this.#poll(question, signal);
      }
    };
    try {
      const r = await send("/v1/stream", { n: 1, filter_identifier: question.filter }, { signal: until });
      this.#streams = was = Boolean(r.headers.get("Content-Type")?.startsWith("text/event-stream"));
      if (!was) return false;
      askOn();
      for await (const event of events(r.body)) changed ||= event.name !== "problem";
    } catch {
      // Asking goes on without a stream, and tells if the API is away as well.
    } finally {
      closed.abort();
      if (!signal.aborted) this.#streams = false;
    }
    return was;
  }
}

const frame = (from, to, question) => ({
  start_time: new Date(from).toISOString(), to_time: new Date(to).toISOString(), filter_identifier: question.filter,
});
