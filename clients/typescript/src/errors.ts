/**
 * What a call can end with, other than its result. Each class says what is certain:
 *
 *     ClientError
 *     ├── Misused              found before a byte was sent: the call itself is wrong
 *     ├── NothingExecuted      certain: the call had no effect
 *     │   ├── Declined         402: final; a new attempt needs a new key
 *     │   ├── NotExecuted      402: the gateway did not execute it, and it is not sent again
 *     │   ├── Refused          the API refuses the request; `problem` says what to correct
 *     │   │   ├── NotFound
 *     │   │   └── KeyReused    the key belongs to another request
 *     │   └── NotBegun         time is up, and no attempt was begun; the same call may be repeated
 *     ├── AlreadyExecuted      executed earlier; its answer is no longer kept; `resource` is what it made
 *     ├── OutcomeUnknown       it may have been executed, or may be yet: repeat with the same key
 *     └── ReadFailed           a read got no usable answer in time
 */

import type { components } from "./schema.js";

type Schemas = components["schemas"];

/**
 * A problem document (RFC 9457). Its `type` tells which of this version's it is; a later version of the API may send
 * others, with the members that all of them have.
 */
export type Problem = Extract<Schemas[keyof Schemas], { type: `urn:payonce:problem:${string}` }>;

export interface About {
  operation?: string;
  problem?: Problem | undefined;
  /** The idempotency key of the call; empty for a read. */
  key?: string;
  resource?: string | undefined;
  cause?: unknown;
}

/** Base class. Neither its text nor a member holds the API key. */
export class ClientError extends Error {
  /** The API's name of the operation, such as `create_payment`. */
  readonly operation: string;
  /** The problem document that came last, if any. */
  readonly problem: Problem | undefined;
  /** The idempotency key of the call; empty for a read. Go on with it after `OutcomeUnknown`. */
  readonly key: string;
  /** The path of what the key made, where it is known. */
  readonly resource: string | undefined;

  constructor(message: string, about: About = {}) {
    super(message, about.cause === undefined ? undefined : { cause: about.cause });
    this.name = new.target.name;
    this.operation = about.operation ?? "";
    this.problem = about.problem;
    this.key = about.key ?? "";
    this.resource = about.resource;
  }

  /** The last part of the problem's `type`, such as `declined`; empty without a problem. */
  get type(): string {
    return String(this.problem?.type ?? "").split(":").at(-1) ?? "";
  }
}

/** The call is wrong. Nothing was sent. */
export class Misused extends ClientError {}

/** The call had no effect, and never will have: none of its attempts. */
export class NothingExecuted extends ClientError {}

/** The payment or operation was declined (402). It is final, and is replayed. */
export class Declined extends NothingExecuted {
  /** Why, such as `insufficient_funds`. */
  get code(): string | undefined {
    const code = (this.problem as { code?: unknown } | undefined)?.code;
    return typeof code === "string" ? code : undefined;
  }
}

/** The gateway did not execute the operation, and it is not sent again (402). */
export class NotExecuted extends NothingExecuted {}

/** The API refuses the request: `problem` says what to correct. */
export class Refused extends NothingExecuted {}

/** There is no such resource (404). */
export class NotFound extends Refused {}

/** The key belongs to another request (422). `resource` leads to what that one made, where it is known. */
export class KeyReused extends Refused {}

/** Time is up, and every attempt was certainly without effect. The same call may be repeated later. */
export class NotBegun extends NothingExecuted {}

/** An earlier request with this key was executed, and its answer is no longer kept: read `resource`. */
export class AlreadyExecuted extends ClientError {}

/** It may have been executed, or may be yet. Repeat the same call with `key`; another key could execute it twice. */
export class OutcomeUnknown extends ClientError {}

/** A read got no usable answer in time. It changed nothing, and may be repeated. */
export class ReadFailed extends ClientError {}
