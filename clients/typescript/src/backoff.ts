/**
 * When a request is repeated: exponential backoff with full jitter, and never before `Retry-After`.
 *
 * Full jitter draws each wait from zero to an exponential cap, so that clients that failed together do not come back
 * together (https://aws.amazon.com/blogs/architecture/exponential-backoff-and-jitter/).
 */

export interface Backoff {
  /** The cap of the first wait. */
  baseMs: number;
  /** The cap of every wait. */
  maxMs: number;
}

export const BACKOFF: Backoff = { baseMs: 500, maxMs: 20_000 };
/** A server that names decades must not stop a caller without a deadline for ever. */
const MAX_RETRY_AFTER_MS = 3_600_000;
const MAX_DOUBLINGS = 30;

/**
 * How long to wait after so many `failures` (from 1). The jitter comes on top of `Retry-After`: clients that were sent
 * away together must not return together.
 */
export function waitMs(backoff: Backoff, failures: number, retryAfterMs: number | undefined, random: number): number {
  const cap = Math.min(backoff.maxMs, backoff.baseMs * 2 ** Math.min(failures - 1, MAX_DOUBLINGS));
  return (retryAfterMs ?? 0) + random * cap;
}

/**
 * The milliseconds of `Retry-After`, or undefined where there is none that can be read. Both forms of RFC 9110, 10.2.3
 * are read; a date is compared with the answer's own `Date` where it has one, since the two clocks may differ.
 */
export function retryAfterMs(headers: { get(name: string): string | null }, nowMs: number): number | undefined {
  const text = (headers.get("retry-after") ?? "").trim();
  if (/^[0-9]{1,15}$/.test(text)) return Math.min(Number(text) * 1000, MAX_RETRY_AFTER_MS);
  const at = httpDateMs(text);
  if (at === undefined) return undefined;
  const serverNow = httpDateMs(headers.get("date") ?? "") ?? nowMs;
  return Math.min(Math.max(0, at - serverNow), MAX_RETRY_AFTER_MS);
}

function httpDateMs(text: string): number | undefined {
  // Date.parse reads more than dates of HTTP, such as "1": all three forms of those begin with a day's name.
  const at = /^(Mon|Tue|Wed|Thu|Fri|Sat|Sun)/.test(text) ? Date.parse(/(GMT|UTC)$/.test(text) ? text : `${text} GMT`) : NaN;
  return Number.isNaN(at) ? undefined : at;
}
