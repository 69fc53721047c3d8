// How numbers, times and spans look. All times are UTC.

const whole = new Intl.NumberFormat("en-US", { maximumFractionDigits: 0 });
const fine = new Intl.NumberFormat("en-US", { maximumFractionDigits: 1 });

/** 12345 is 12,345. */
export const number = (n) => whole.format(n);

/** A rate: with a decimal while it is small. */
export const rate = (n) => (n < 10 ? fine : whole).format(n);

const iso = (ms) => new Date(ms).toISOString();

/** 17:04:09 */
export const clock = (ms) => iso(ms).slice(11, 19);

/** 17:04 */
export const minute = (ms) => iso(ms).slice(11, 16);

/** 2025-01-01 */
export const day = (ms) => iso(ms).slice(0, 10);

/** A moment as short as can be understood now: the day only when it is another. */
export const moment = (ms, now) => (day(ms) === day(now) ? clock(ms) : `${day(ms)} ${minute(ms)}`);

/** A span of windows: 17:00 – 18:00, with days when they are not today. */
export function span(from, to, now) {
  if (day(from) === day(to) && day(to) === day(now)) return `${minute(from)} – ${minute(to)}`;
  return day(from) === day(to) ? `${day(from)}, ${minute(from)} – ${minute(to)}` : `${day(from)} ${minute(from)} – ${day(to)} ${minute(to)}`;
}

/** Whether what is provisional of an answer waits for a correction, and not for clicks: all of its time is complete. */
export const held = (answer) => answer.status !== "final" && Date.parse(answer.to_time) <= Date.parse(answer.complete_until);

/** What an answer is worth, in a word or two. */
export const worth = (answer) => (answer.status === "final" ? "final" : held(answer) ? "provisional: a correction is at work" : "provisional");

/** 95000 is 1 min 35 s. */
export function duration(ms) {
  const s = Math.max(0, Math.round(ms / 1000));
  if (s < 60) return `${s} s`;
  if (s < 3600) return s % 60 ? `${Math.floor(s / 60)} min ${s % 60} s` : `${s / 60} min`;
  if (s < 86400) return `${Math.floor(s / 3600)} h ${Math.floor((s % 3600) / 60)} min`;
  return `${number(Math.floor(s / 86400))} d`;
}
