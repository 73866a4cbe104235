/** Verifies webhooks (Standard Webhooks, https://www.standardwebhooks.com/) with the platform's own cryptography. */

import type { components } from "./schema.js";

type Schemas = components["schemas"];

type Known<Each> = Each extends { type: infer Type } ? (string extends Type ? never : Each) : never;

/** An event, as docs/events.md lists them, or one of the operator's own systems; `type` tells which one. */
export type Event =
  | Known<Schemas["Event"]>
  | (Schemas["CustomEvent"] & { type: `custom.${string}` });

export interface Webhook {
  /** The event's id, equal in every attempt: handle each id once. */
  id: string;
  /** When this attempt was sent. */
  sentAt: Date;
  event: Event;
}

export type Rejection = "header-missing" | "header-malformed" | "timestamp-outside-tolerance" | "body-too-large" | "signature-mismatch" | "body-malformed";

const STATUS: Record<Rejection, number> = {
  "header-missing": 400,
  "header-malformed": 400,
  "timestamp-outside-tolerance": 400,
  "body-too-large": 413,
  "signature-mismatch": 401,
  "body-malformed": 400,
};

/** The only error of `verify`. `status` is what to answer. */
export class WebhookRejected extends Error {
  readonly status: number;

  constructor(
    readonly reason: Rejection,
    detail: string,
  ) {
    super(detail);
    this.name = "WebhookRejected";
    this.status = STATUS[reason];
  }
}

export interface VerifierSettings {
  /** How far the sender's clock may be from ours; five minutes by default. */
  toleranceMs?: number;
  now?: () => number;
}

const MAX_BODY_BYTES = 256 * 1024;
/** Bounds the computation for a request that nobody has authenticated yet. */
const MAX_SIGNATURES = 8;
const KINDS = { whsec_: "v1", whpk_: "v1a" } as const;

interface Key {
  version: "v1" | "v1a";
  matches(signature: Uint8Array<ArrayBuffer>, signed: Uint8Array<ArrayBuffer>): Promise<boolean>;
}

/** Verifies with secrets (`whsec_...`) and public keys (`whpk_...`); with two of them while one is being replaced. */
export class Verifier {
  readonly #keys: Promise<Key[]>;
  readonly #toleranceMs: number;
  readonly #now: () => number;

  /** Throws `TypeError` for what is no such key. */
  constructor(keys: readonly string[], settings: VerifierSettings = {}) {
    if (keys.length === 0) throw new TypeError("A verifier needs at least one key.");
    this.#keys = Promise.all(keys.map(split).map(imported));
    this.#keys.catch(() => undefined); // told by verify
    this.#toleranceMs = settings.toleranceMs ?? 300_000;
    this.#now = settings.now ?? Date.now;
  }

  /** Returns the webhook. `body` is the body as it was received. Throws `WebhookRejected` and nothing else. */
  async verify(headers: Headers | Record<string, string | string[] | undefined>, body: Uint8Array | string): Promise<Webhook> {
    const id = header(headers, "webhook-id");
    const timestamp = header(headers, "webhook-timestamp");
    const signatures = header(headers, "webhook-signature").split(" ");
    if (!/^[!-\-/-~]{1,256}$/.test(id) || !/^(0|[1-9][0-9]{0,11})$/.test(timestamp)) {
      throw new WebhookRejected("header-malformed", "webhook-id or webhook-timestamp is malformed.");
    }
    const sentMs = Number(timestamp) * 1000;
    if (Math.abs(this.#now() - sentMs) > this.#toleranceMs) {
      throw new WebhookRejected("timestamp-outside-tolerance", "The webhook is too old, or a clock is wrong.");
    }
    const bytes = typeof body === "string" ? new TextEncoder().encode(body) : body;
    if (bytes.length > MAX_BODY_BYTES) throw new WebhookRejected("body-too-large", "The body is over 256 KB.");
    const head = new TextEncoder().encode(`${id}.${timestamp}.`);
    const signed = new Uint8Array(head.length + bytes.length);
    signed.set(head);
    signed.set(bytes, head.length);
    if (!(await this.#isSigned(signatures, signed))) {
      throw new WebhookRejected("signature-mismatch", "No signature is one of these bytes by a key of this verifier.");
    }
    return { id, sentAt: new Date(sentMs), event: event(bytes) };
  }

  async #isSigned(signatures: string[], signed: Uint8Array<ArrayBuffer>): Promise<boolean> {
    const keys = await this.#keys;
    for (const text of signatures.slice(0, MAX_SIGNATURES)) {
      const [version, encoded] = text.split(",", 2);
      const signature = decoded(encoded ?? "");
      for (const key of keys) {
        if (signature !== undefined && key.version === version && (await key.matches(signature, signed))) return true;
      }
    }
    return false;
  }
}

function split(text: string): { version: "v1" | "v1a"; bytes: Uint8Array<ArrayBuffer> } {
  for (const [prefix, version] of Object.entries(KINDS)) {
    const bytes = text.startsWith(prefix) ? decoded(text.slice(prefix.length)) : undefined;
    const fits = version === "v1" ? bytes !== undefined && bytes.length >= 24 && bytes.length <= 64 : bytes?.length === 32;
    if (bytes !== undefined && fits) return { version, bytes };
  }
  throw new TypeError("A key looks like whsec_... or whpk_...");
}

async function imported({ version, bytes }: ReturnType<typeof split>): Promise<Key> {
  // WebCrypto compares an HMAC in constant time.
  const algorithm = version === "v1" ? { name: "HMAC", hash: "SHA-256" } : { name: "Ed25519" };
  const key = await crypto.subtle.importKey("raw", bytes, algorithm, false, ["verify"]);
  return { version, matches: (signature, signed) => crypto.subtle.verify(algorithm.name, key, signature, signed) };
}

function header(headers: Headers | Record<string, string | string[] | undefined>, name: string): string {
  let value: unknown;
  if (headers instanceof Headers) value = headers.get(name);
  else value = Object.entries(headers).find(([found]) => found.toLowerCase() === name)?.[1];
  if (value === undefined || value === null || value === "") throw new WebhookRejected("header-missing", `${name} is missing.`);
  if (typeof value !== "string") throw new WebhookRejected("header-malformed", `${name} came more than once.`);
  return value;
}

function decoded(base64: string): Uint8Array<ArrayBuffer> | undefined {
  try {
    return Uint8Array.from(atob(base64), (character) => character.charCodeAt(0));
  } catch {
    return undefined;
  }
}

function event(bytes: Uint8Array): Event {
  try {
    const parsed: unknown = JSON.parse(new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(bytes));
    if (typeof parsed === "object" && parsed !== null && !Array.isArray(parsed)) return parsed as Event;
  } catch {
    // told below
  }
  throw new WebhookRejected("body-malformed", "The body is no JSON object.");
}
