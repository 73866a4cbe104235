/** The attempts of one call, without any input or output: when to send again, and what the call ends with. */

import { judge, slugOf, type Raw } from "./answers.js";
import { retryAfterMs, waitMs, type Backoff } from "./backoff.js";
import {
  AlreadyExecuted,
  Declined,
  type ClientError,
  KeyReused,
  NotBegun,
  NotExecuted,
  NotFound,
  OutcomeUnknown,
  type Problem,
  ReadFailed,
  Refused,
} from "./errors.js";
import type { Operation } from "./operations.js";

/** What the client measures and waits with. */
export interface Timing {
  /** A clock that only goes forward, in milliseconds. */
  monotonicMs(): number;
  /** The time since the epoch. */
  wallMs(): number;
  /** A number from 0 up to 1. */
  random(): number;
  sleep(ms: number, signal: AbortSignal | undefined): Promise<void>;
}

/** An attempt that is cut off at once would only turn "certainly nothing" into "unknown". */
const MIN_ATTEMPT_MS = 1000;

export type Step = { result: unknown; raw: Raw } | { waitMs: number };

export class Attempts {
  resource: string | undefined;
  #endsMs: number;
  #unknown = false;
  #failures = 0;
  #problem: Problem | undefined;

  /** `key` is empty for a read. `timeoutMs` is of all attempts; Infinity is for ever. */
  constructor(
    readonly operation: Operation,
    readonly key: string,
    private readonly timing: Timing,
    private readonly backoff: Backoff,
    timeoutMs: number,
    private readonly attemptTimeoutMs: number,
  ) {
    this.#endsMs = timing.monotonicMs() + timeoutMs;
  }

  /** How long the next attempt may take. */
  timeoutMs(): number {
    return Math.max(1, Math.min(this.attemptTimeoutMs, this.#endsMs - this.timing.monotonicMs()));
  }

  /** The result, or how long to wait before the next attempt. Throws a `ClientError` at the end. */
  answered(raw: Raw): Step {
    // A redirect's Location is where somebody else wants the request to go.
    if (raw.status < 300 || raw.status >= 400) this.resource = raw.headers.get("location") ?? this.resource;
    const verdict = judge(this.operation, raw);
    switch (verdict.is) {
      case "done":
        return { result: verdict.document, raw };
      case "in doubt":
        return this.#again("it is in doubt", raw, true);
      case "ended":
        throw this.#ended(verdict.problem);
      case "refused":
        throw this.#refused(verdict.problem);
      case "again":
        this.#problem = verdict.problem;
        return this.#again(verdict.reason, raw, !verdict.withoutEffect);
      case "hopeless":
        this.#problem = verdict.problem;
        this.#unknown = true;
        throw this.#atTheEnd(verdict.reason);
    }
  }

  /** How long to wait after an attempt without an answer. `sent`: whether it may have arrived. Throws at the end. */
  failed(reason: string, sent: boolean, cause?: unknown): Step {
    return this.#again(reason, undefined, sent, cause);
  }

  /** What the call ends with when its caller gives up. `sent`: whether an attempt was under way. */
  abandoned(sent: boolean, cause: unknown): ClientError {
    this.#unknown ||= sent;
    return this.#atTheEnd("the caller gave up", cause);
  }

  #again(reason: string, raw: Raw | undefined, unknown: boolean, cause?: unknown): Step {
    this.#unknown ||= unknown;
    this.#failures += 1;
    const asked = raw === undefined ? undefined : retryAfterMs(raw.headers, this.timing.wallMs());
    const wait = waitMs(this.backoff, this.#failures, asked, this.timing.random());
    if (this.timing.monotonicMs() + wait + MIN_ATTEMPT_MS > this.#endsMs) throw this.#atTheEnd(reason, cause);
    return { waitMs: wait };
  }

  #atTheEnd(reason: string, cause?: unknown): ClientError {
    const name = this.operation.name;
    if (this.key === "") return this.#error(ReadFailed, `${name} got no answer: ${reason}.`, cause);
    if (!this.#unknown) {
      return this.#error(NotBegun, `${name} was not begun: ${reason}. The same call may be repeated.`, cause);
    }
    const text = `${name} may have been executed, or may be yet: ${reason}. ${GO_ON}`;
    return this.#error(OutcomeUnknown, text, cause);
  }

  #ended(problem: Problem): ClientError {
    this.#problem = problem;
    const slug = slugOf(problem);
    if (slug === "key-expired") return this.#error(AlreadyExecuted, problem.detail);
    return this.#error(slug === "not-executed" ? NotExecuted : Declined, problem.detail);
  }

  #refused(problem: Problem): ClientError {
    this.#problem = problem;
    if (this.#unknown && this.key !== "") {
      // An earlier attempt's answer was lost. That this one is refused says nothing about it.
      const text =
        `An earlier attempt of ${this.operation.name} may have been executed; this one was refused: ` +
        `${problem.detail} Mend that, then go on. ${GO_ON}`;
      return this.#error(OutcomeUnknown, text);
    }
    if (slugOf(problem) === "key-reused") return this.#error(KeyReused, problem.detail);
    return this.#error(problem.status === 404 ? NotFound : Refused, problem.detail);
  }

  #error(kind: typeof ClientError, message: string, cause?: unknown): ClientError {
    const named = (this.#problem as { resource?: unknown } | undefined)?.resource;
    return new kind(message, {
      operation: this.operation.name,
      problem: this.#problem,
      key: this.key,
      resource: typeof named === "string" ? named : this.resource,
      cause,
    });
  }
}

const GO_ON = "Repeat the same call with the same key; another key could execute it twice.";
