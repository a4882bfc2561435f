// What the page is about: its window of time, its ad and the order of its ads. It is kept in the address, so that it can be linked
// and the browser's Back returns to it.

import { zone } from "./format.js";

export const defaultLast = "1h";
export const defaultSort = "-click_count";
let clock = zone; // whose hours and days are asked for
const windows = new Map([
  ["15m", 900],
  ["1h", 3600],
  ["24h", 86400],
  ["7d", 604800],
  ["30d", 2592000],
]);
const sorts = [defaultSort, "-impressions", "-ctr", "-unique_clicks"];
const pointsMax = 10_000; // that the server gives in one answer
const requestsMax = 4; // for one chart

function timeOf(text) {
  const time = new Date(text ?? "");
  return Number.isNaN(time.getTime()) ? null : time;
}

// Whatever stands in the address, the state is one that can be asked for.
export function readState(search) {
  const parameters = new URLSearchParams(search);
  const ad = /^[1-9][0-9]{0,15}$/.test(parameters.get("ad") ?? "") ? Number(parameters.get("ad")) : null;
  const state = {
    ad: ad !== null && ad <= Number.MAX_SAFE_INTEGER ? ad : null,
    last: defaultLast,
    since: null,
    until: null,
    sort: defaultSort,
  };
  if (windows.has(parameters.get("last"))) state.last = parameters.get("last");
  const since = timeOf(parameters.get("since"));
  const until = timeOf(parameters.get("until"));
  if (since !== null && until !== null && since < until) Object.assign(state, { last: null, since, until });
  if (sorts.includes(parameters.get("sort"))) state.sort = parameters.get("sort");
  return state;
}

const seconds = time => time.toISOString().replace(".000Z", "Z");

export function addressOf(state) {
  const parameters = new URLSearchParams();
  if (state.ad !== null) parameters.set("ad", state.ad);
  if (state.last !== null) parameters.set("last", state.last);
  else {
    parameters.set("since", seconds(state.since));
    parameters.set("until", seconds(state.until));
  }
  if (state.sort !== defaultSort) parameters.set("sort", state.sort);
  return `/?${parameters}`;
}

const windowOf = state =>
  state.last !== null
    ? [["last", state.last]]
    : [
        ["since", seconds(state.since)],
        ["until", seconds(state.until)],
      ];

// The server does not know the reader's time zone. False: it was asked for UTC already.
export function fallBackToUtc() {
  if (clock === "UTC") return false;
  clock = "UTC";
  return true;
}

// The parameters that all questions of the state have.
export function question(state) {
  const parameters = [...windowOf(state), ["tz", clock]];
  if (state.ad !== null) parameters.push(["ad_id", state.ad]);
  return parameters;
}

// How the chart's numbers are asked for: steps to try, the finest first, each with the questions that bring the series of the
// first `covered` ads. An answer holds at most so many points, so many ads are asked for in parts.
export function seriesPlans(state, ads) {
  const span = state.last !== null ? windows.get(state.last) : (state.until - state.since) / 1000;
  const plans = [];
  for (const [step, length] of [
    ["minute", 60],
    ["hour", 3600],
    ["day", 86400],
  ]) {
    const points = Math.ceil(span / length) + 2;
    const each = Math.min(Math.floor(pointsMax / points), 500); // ads of one question: its address must not grow too long
    if (each === 0 || (points > 180 && step !== "day")) continue;
    const covered = Math.min(ads.length, each * requestsMax);
    const parts = [];
    for (let at = 0; at < covered; at += each) parts.push(ads.slice(at, Math.min(at + each, covered)));
    plans.push({ step, covered, points, questions: parts.map(part => seriesQuestion(state, step, part)) });
  }
  // A coarser step that takes in all ads is better than a finer one that does not, while it still is a chart.
  const whole = plans.findIndex(plan => plan.covered === ads.length && plan.points >= 8);
  return whole > 0 ? plans.slice(whole) : plans;
}

function seriesQuestion(state, step, ads) {
  return [...windowOf(state), ["tz", clock], ["granularity", step], ["limit", ads.length], ...ads.map(ad => ["ad_id", ad])];
}
