// The names of ads, out of the catalogue: its first pages at the start and now and then again, single ads as they are needed.

import { ask } from "./api.js";

const pagesMax = 20; // of 100 ads
const againMs = 60_000;

const known = new Map();
let whole = false; // every ad of the catalogue is in `known`

export const nameOf = id => known.get(id)?.title ?? `Ad ${id}`;
export const isKnown = id => known.has(id);
export const isMissing = id => whole && !known.has(id);
export const anyAd = () => known.keys().next().value ?? 1;

async function load() {
  for (let page = 1; ; ++page) {
    const answer = await ask("/api/v1/ads", [
      ["page", page],
      ["limit", 100],
    ]);
    for (const ad of answer.ads) known.set(ad.id, ad);
    whole = page >= answer.pagination.total_pages;
    if (whole || page >= pagesMax) return;
  }
}

// Gives what looks for names at once and from then on, and calls `loaded` whenever there may be new ones. A server that cannot be reached is asked again.
export function followNames(loaded) {
  let timer = 0;
  const round = async () => {
    clearTimeout(timer);
    try {
      await load();
      loaded();
    } catch {
      // The stream says that the server is away or wants a key; the ads' numbers stand in for their names meanwhile.
    }
    timer = setTimeout(round, againMs);
  };
  return round;
}

// One ad that the pages above did not hold. False: there is none, or nobody can say now.
export async function learn(id) {
  if (known.has(id) || whole) return known.has(id);
  try {
    known.set(id, await ask(`/api/v1/ads/${id}`));
    return true;
  } catch {
    return false; // an ad without a name is shown by its number
  }
}
