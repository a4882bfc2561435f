// How numbers and times are written, and elements made. Data becomes text only, never markup.

const whole = new Intl.NumberFormat("en", { maximumFractionDigits: 0 });
const fine = new Intl.NumberFormat("en", { maximumSignificantDigits: 3 });
const compact = new Intl.NumberFormat("en", { notation: "compact", maximumSignificantDigits: 3 });
const shares = new Intl.NumberFormat("en", { style: "percent", maximumFractionDigits: 1 });
const rates = new Intl.NumberFormat("en", { style: "percent", minimumFractionDigits: 2, maximumFractionDigits: 2 });

export const count = value => whole.format(value);
export const decimal = value => (Math.abs(value) >= 100 ? whole : fine).format(value);
export const short = value => compact.format(value);
export const share = value => shares.format(value);
export const rate = value => (value === null ? "–" : rates.format(value)); // of clicks through

export const zone = Intl.DateTimeFormat().resolvedOptions().timeZone || "UTC";

const writers = new Map();
function written(date, options) {
  const key = JSON.stringify(options);
  if (!writers.has(key)) writers.set(key, new Intl.DateTimeFormat("en-GB", { hourCycle: "h23", timeZone: zone, ...options }));
  return writers.get(key).format(date);
}

export const clock = date => written(date, { hour: "2-digit", minute: "2-digit" });
export const clockSeconds = date => written(date, { hour: "2-digit", minute: "2-digit", second: "2-digit" });
export const day = date => written(date, { day: "numeric", month: "short" });
export const moment = date => `${day(date)}, ${clock(date)}`;

// "12 s", "3 min": how long ago, or how far behind.
export function duration(seconds) {
  if (seconds > 0 && seconds < 1) return `${whole.format(seconds * 1000)} ms`;
  if (seconds < 120) return `${whole.format(seconds)} s`;
  if (seconds < 7200) return `${whole.format(seconds / 60)} min`;
  if (seconds < 172800) return `${whole.format(seconds / 3600)} h`;
  return `${whole.format(seconds / 86400)} d`;
}

// "1 click", "2 clicks"
export const counted = (value, word) => `${count(value)} ${word}${value === 1 ? "" : "s"}`;

export function element(tag, attributes = {}, ...children) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
  made.append(...children); // strings become text nodes
  return made;
}

export function svg(tag, attributes = {}, text = "") {
  const made = document.createElementNS("http://www.w3.org/2000/svg", tag);
  for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
  if (text) made.textContent = text;
  return made;
}

export const byId = id => document.getElementById(id);

// Only what is new is written, so that a reader's place in the page is kept.
export function say(id, text) {
  const at = byId(id);
  if (at.textContent !== text) at.textContent = text;
}

const drawn = new Map();
// True when `value` is another one than the last time that `key` was asked.
export function changed(key, value) {
  const text = JSON.stringify(value);
  if (drawn.get(key) === text) return false;
  drawn.set(key, text);
  return true;
}
