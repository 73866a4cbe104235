/** The client: one method for each operation of the API. */

import type { Raw } from "./answers.js";
import { Attempts, type Timing } from "./attempts.js";
import { BACKOFF, type Backoff } from "./backoff.js";
import { Misused } from "./errors.js";
import { OPERATIONS, type Operation } from "./operations.js";
import type { operations } from "./schema.js";

type Name = keyof typeof OPERATIONS;
type Camel<Text extends string> = Text extends `${infer Head}_${infer Tail}` ? `${Head}${Capitalize<Camel<Tail>>}` : Text;
type Required_<Member extends string, Value> = [Value] extends [never]
  ? unknown
  : undefined extends Value
    ? { [Key in Member]?: Exclude<Value, undefined> }
    : { [Key in Member]: Value };
type PathOf<Of extends Name> = operations[Of]["parameters"] extends { path: infer Path } ? Path : never;
type QueryOf<Of extends Name> = Exclude<operations[Of]["parameters"]["query"], undefined>;
type BodyOf<Of extends Name> = operations[Of] extends { requestBody: { content: { "application/json": infer Body } } }
  ? Body
  : operations[Of] extends { requestBody?: { content: { "application/json": infer Body } } }
    ? Body | undefined
    : never;

/** What a call of an operation takes: the names in its path, its query and its body, where it has them. */
export type RequestOf<Of extends Name> = Required_<"path", PathOf<Of>> &
  ([QueryOf<Of>] extends [never] ? unknown : { query?: QueryOf<Of> }) &
  Required_<"body", BodyOf<Of>>;

type Content<Response> = Response extends { content: { "application/json": infer Body } } ? Body : never;
type Responses<Of extends Name> = operations[Of]["responses"];

/** The document that an operation answers with. */
export type DataOf<Of extends Name> = {
  [Status in keyof Responses<Of>]: Status extends 200 | 201 | 202 ? Content<Responses<Of>[Status]> : never;
}[keyof Responses<Of>];

/** What a call that changes something has made. */
export interface Answer<Data> {
  data: Data;
  /** The idempotency key of all attempts. */
  key: string;
  /** Whether an earlier request with the key has made it. */
  replayed: boolean;
  /** The path of the resource. */
  resource: string | undefined;
  /** The payment's status now, where `data` is a replay from before the payment's end. */
  standing: string | undefined;
  /** Until when the key is replayed (RFC 3339). */
  expiresAt: string | undefined;
}

export interface ReadOptions {
  /** How long the call may take with all its attempts; Infinity is for ever. */
  timeoutMs?: number;
  /** Ends the call early. What it then says of the outcome is as certain as ever. */
  signal?: AbortSignal;
}

export interface WriteOptions extends ReadOptions {
  /** A key that you keep yourself, so that it outlives this process. Without it, it lives as long as the call. */
  key?: string;
  /** Members of the body that hold references of your own which only look like card numbers. */
  notCardNumbers?: readonly string[];
  /** 0 to 7 (RFC 9218), 3 by default. Above 3 the payment can wait. */
  priority?: number;
}

type Empty<Request> = unknown extends Request ? true : {} extends Request ? true : false;
type Method<Of extends Name> = (typeof OPERATIONS)[Of]["keyed"] extends true
  ? Empty<RequestOf<Of>> extends true
    ? (request?: RequestOf<Of>, options?: WriteOptions) => Promise<Answer<DataOf<Of>>>
    : (request: RequestOf<Of>, options?: WriteOptions) => Promise<Answer<DataOf<Of>>>
  : Empty<RequestOf<Of>> extends true
    ? (request?: RequestOf<Of>, options?: ReadOptions) => Promise<DataOf<Of>>
    : (request: RequestOf<Of>, options?: ReadOptions) => Promise<DataOf<Of>>;

/** The operations whose list has pages. */
export type ListName = {
  [Of in Name]: QueryOf<Of> extends { cursor?: unknown } | { after?: unknown }
    ? DataOf<Of> extends { data: unknown[] }
      ? [QueryOf<Of>] extends [never]
        ? never
        : Of
      : never
    : never;
}[Name];
type ItemOf<Of extends ListName> = DataOf<Of> extends { data: (infer Item)[] } ? Item : never;
type Lists = { [Of in ListName as Camel<Of>]: Of };

export type Calls = { readonly [Of in Name as Camel<Of>]: Method<Of> };

export interface Settings {
  /** The stack's output `ApiUrl`. */
  baseUrl: string;
  /** `po_...` */
  apiKey: string;
  /** How long a call may take with all its attempts; two minutes by default. */
  timeoutMs?: number;
  /** How long one attempt may take. API Gateway answers within 29 s, whatever happens behind it. */
  attemptTimeoutMs?: number;
  backoff?: Backoff;
  /** Yours may repeat requests by itself: a connection that failed then does not prove that nothing was sent. */
  fetch?: typeof fetch;
  timing?: Timing;
}

const TIMING: Timing = {
  monotonicMs: () => performance.now(),
  wallMs: () => Date.now(),
  random: () => Math.random(),
  sleep: (ms, signal) =>
    new Promise((resolve, reject) => {
      const timer = setTimeout(done, ms);
      function done(): void {
        signal?.removeEventListener("abort", aborted);
        resolve();
      }
      function aborted(): void {
        clearTimeout(timer);
        reject(signal?.reason);
      }
      signal?.addEventListener("abort", aborted, { once: true });
    }),
};
const TIMEOUT_MS = 120_000;
const ATTEMPT_TIMEOUT_MS = 35_000;
/** The longest that the API lets a copy of a request wait for the first one's answer. */
const MAX_WAIT_SECONDS = 20;
const MAX_ANSWER_BYTES = 16 * 1024 * 1024;
const KEY = /^[!-~]{16,255}$/;
/** No byte of the request has left when the platform's own fetch fails with one of these. */
const NEVER_SENT = new Set(["ECONNREFUSED", "ENOTFOUND", "EAI_AGAIN", "EHOSTUNREACH", "ENETUNREACH", "UND_ERR_CONNECT_TIMEOUT"]);

interface Request_ {
  path?: Record<string, string>;
  query?: Record<string, unknown>;
  body?: unknown;
}

class Payonce {
  readonly #settings: Required<Settings>;
  readonly #ownFetch: boolean;

  constructor(settings: Settings) {
    this.#settings = {
      timeoutMs: TIMEOUT_MS,
      attemptTimeoutMs: ATTEMPT_TIMEOUT_MS,
      backoff: BACKOFF,
      fetch: (...all) => fetch(...all),
      timing: TIMING,
      ...settings,
      baseUrl: checkedBaseUrl(settings.baseUrl),
    };
    this.#ownFetch = settings.fetch === undefined;
    if (!/^[!-~]+$/.test(settings.apiKey)) throw new Misused("The API key is visible ASCII without spaces; it looks like po_...");
    for (const operation of Object.values(OPERATIONS)) {
      const name = operation.name.replace(/_(.)/g, (_, letter: string) => letter.toUpperCase());
      const method = (request: Request_ = {}, options: WriteOptions = {}): Promise<unknown> =>
        this.#call(operation, request, options);
      Object.defineProperty(this, name, { value: method, enumerable: true });
    }
  }

  /** Yields every entry of a list, and reads a page only when the entries before it have been taken. */
  async *each<Called extends keyof Lists>(
    name: Called,
    request: RequestOf<Lists[Called]>,
    options: ReadOptions = {},
  ): AsyncGenerator<ItemOf<Lists[Called]>, void, undefined> {
    const read = (this as unknown as Record<string, (request: Request_, options: ReadOptions) => Promise<Page>>)[name];
    if (read === undefined) throw new Misused(`There is no operation ${name}.`);
    let asked = request as Request_;
    for (;;) {
      const page = await read(asked, options);
      yield* page.data as ItemOf<Lists[Called]>[];
      const next = page.next_cursor ? { cursor: page.next_cursor } : page.has_more ? { after: page.next_after } : undefined;
      if (next === undefined) return;
      asked = { ...asked, query: { ...asked.query, ...next } };
    }
  }

  async #call(operation: Operation, request: Request_, options: WriteOptions): Promise<unknown> {
    const key = operation.keyed ? checkedKey(options.key ?? crypto.randomUUID(), operation) : "";
    const { timing, backoff, attemptTimeoutMs } = this.#settings;
    const timeoutMs = options.timeoutMs ?? this.#settings.timeoutMs;
    if (!(timeoutMs > 0)) throw new Misused("timeoutMs is a number above 0.", { operation: operation.name });
    const attempts = new Attempts(operation, key, timing, backoff, timeoutMs, attemptTimeoutMs);
    const url = this.#settings.baseUrl + target(operation, request);
    // The same bytes in every attempt.
    const body = operation.keyed ? JSON.stringify(request.body ?? {}) : undefined;
    const headers = this.#headers(key, options);
    for (;;) {
      const step = await this.#attempt(attempts, url, { method: operation.method, headers, ...(body === undefined ? {} : { body }) }, options);
      if ("result" in step) return operation.keyed ? answer(step.result, step.raw, attempts) : step.result;
      try {
        await timing.sleep(step.waitMs, options.signal);
      } catch (error) {
        throw attempts.abandoned(false, error);
      }
    }
  }

  async #attempt(attempts: Attempts, url: string, init: RequestInit, options: ReadOptions) {
    if (options.signal?.aborted) throw attempts.abandoned(false, options.signal.reason);
    const timeout = new AbortController();
    const timer = setTimeout(() => timeout.abort(), attempts.timeoutMs());
    const stop = () => timeout.abort();
    options.signal?.addEventListener("abort", stop, { once: true });
    let raw: Raw;
    try {
      // A redirect would repeat the request at an address that is not the API's, or turn it into a read.
      const response = await this.#settings.fetch(url, { ...init, redirect: "manual", signal: timeout.signal });
      raw = { status: response.status, headers: response.headers, body: await text(response) };
    } catch (error) {
      if (options.signal?.aborted) throw attempts.abandoned(true, error);
      const reason = timeout.signal.aborted ? "no answer in time" : `the connection failed: ${codeOf(error) || String(error)}`;
      return attempts.failed(reason, !(this.#ownFetch && NEVER_SENT.has(codeOf(error))), error);
    } finally {
      clearTimeout(timer);
      options.signal?.removeEventListener("abort", stop);
    }
    return attempts.answered(raw);
  }

  #headers(key: string, options: WriteOptions): Record<string, string> {
    const headers: Record<string, string> = { Accept: "application/json", Authorization: `Bearer ${this.#settings.apiKey}` };
    if (key === "") return headers;
    headers["Content-Type"] = "application/json";
    headers["X-Idempotency-Key"] = key;
    // A copy waits at the API instead of being refused, and still answers before this attempt is given up.
    const waitSeconds = Math.min(MAX_WAIT_SECONDS, Math.floor(this.#settings.attemptTimeoutMs / 2000));
    headers["Prefer"] = `wait=${waitSeconds}`;
    if (options.notCardNumbers?.length) headers["Payonce-Not-Card-Numbers"] = options.notCardNumbers.join(", ");
    if (options.priority !== undefined) headers["Priority"] = `u=${options.priority}`;
    return headers;
  }
}

interface Page {
  data: unknown[];
  next_cursor?: string | null;
  next_after?: string | null;
  has_more?: boolean;
}

/** Calls payonce. Each operation of the API is a method: `create_payment` is `createPayment`. */
export type Client = Payonce & Calls;
export const Client = Payonce as unknown as new (settings: Settings) => Client;

function answer(data: unknown, raw: Raw, attempts: Attempts): Answer<unknown> {
  return {
    data,
    key: attempts.key,
    replayed: raw.headers.get("idempotency-replayed") === "true",
    resource: attempts.resource,
    standing: raw.headers.get("payment-status") ?? undefined,
    expiresAt: raw.headers.get("idempotency-expires") ?? undefined,
  };
}

function target(operation: Operation, request: Request_): string {
  const path = operation.path.replace(/{(\w+)}/g, (_, name: string) => {
    const value = request.path?.[name];
    // An empty or dotted part would lead to another resource.
    if (typeof value !== "string" || /^\.{0,2}$/.test(value)) {
      throw new Misused(`${operation.name} needs path.${name}.`, { operation: operation.name });
    }
    return encodeURIComponent(value);
  });
  const given = Object.entries(request.query ?? {}).filter(([, value]) => value !== undefined && value !== null);
  const query = new URLSearchParams(given.map(([name, value]) => [name, String(value)])).toString();
  return query === "" ? path : `${path}?${query}`;
}

function checkedKey(key: string, operation: Operation): string {
  if (!KEY.test(key)) {
    throw new Misused("An idempotency key has 16 to 255 visible ASCII characters.", { operation: operation.name });
  }
  return key;
}

function checkedBaseUrl(text: string): string {
  let url: URL;
  try {
    url = new URL(text);
  } catch {
    throw new Misused("baseUrl is an https:// address.");
  }
  if (url.username || url.password || url.search || url.hash) {
    throw new Misused("baseUrl holds an address only: no credentials, query or fragment.");
  }
  const isThisMachine = url.hostname === "localhost" || url.hostname === "[::1]" || /^127\./.test(url.hostname);
  if (url.protocol !== "https:" && !(url.protocol === "http:" && isThisMachine)) {
    throw new Misused("baseUrl must be https://: over http:// anybody on the way could read the API key.");
  }
  return text.replace(/\/+$/, "");
}

async function text(response: Response): Promise<string> {
  const decoder = new TextDecoder();
  let [read, length] = ["", 0];
  for await (const chunk of response.body ?? []) {
    length += chunk.length;
    if (length > MAX_ANSWER_BYTES) throw new Error("the answer is too long");
    read += decoder.decode(chunk, { stream: true });
  }
  return read + decoder.decode();
}

function codeOf(error: unknown): string {
  const cause = (error as { cause?: { code?: unknown } } | undefined)?.cause;
  return typeof cause?.code === "string" ? cause.code : "";
}
