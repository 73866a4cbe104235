/**
 * What an answer proves about the request, by docs/problems.md.
 *
 * Only what payonce itself says is taken for an end. A page of a portal, half a document or another server's status
 * proves nothing: the request may have been executed behind it.
 */

import type { Problem } from "./errors.js";
import type { Operation } from "./operations.js";

export interface Raw {
  status: number;
  headers: { get(name: string): string | null };
  body: string;
}

export type Verdict =
  | { is: "done"; document: unknown }
  /** The gateway's answer was lost. payonce finds out; the same request gets its end. */
  | { is: "in doubt" }
  /** The final answer of the key, whatever was sent before: 402, or a key that has expired. */
  | { is: "ended"; problem: Problem }
  /** This request was refused before any effect. It says nothing about earlier requests with its key. */
  | { is: "refused"; problem: Problem }
  /** Worth another attempt. `withoutEffect`: this one certainly did nothing. */
  | { is: "again"; reason: string; withoutEffect: boolean; problem?: Problem }
  /** No attempt will get another answer, and none says what the request did. */
  | { is: "hopeless"; reason: string; problem?: Problem };

const PREFIX = "urn:payonce:problem:";
/** Each says of itself that its request had no effect and never will have. */
const WITHOUT_EFFECT = new Set(["throttled", "gateway-unavailable", "store-unavailable", "upstream-unavailable", "overloaded"]);
/** What others than payonce send when the same request may succeed later. */
const WORTH_ANOTHER = new Set([408, 425, 429]);

export function judge(operation: Operation, raw: Raw): Verdict {
  const document = parsed(raw.body);
  if (raw.status >= 200 && raw.status < 300) return success(operation, raw.status, document);
  const problem = problemOf(raw.status, document);
  if (problem !== undefined) return told(raw.status, problem);
  const reason = `status ${raw.status} that payonce did not send`;
  if (WORTH_ANOTHER.has(raw.status) || raw.status < 400 || raw.status >= 500) {
    return { is: "again", reason, withoutEffect: false };
  }
  return { is: "hopeless", reason };
}

/** The last part of a problem's `type`. */
export function slugOf(problem: Problem): string {
  return String(problem.type ?? "").slice(PREFIX.length);
}

function success(operation: Operation, status: number, document: unknown): Verdict {
  if (!isObject(document) || (operation.objects.length > 0 && !operation.objects.includes(String(document["object"])))) {
    const reason = `status ${status} with a body that is no answer to ${operation.name}`;
    return { is: "again", reason, withoutEffect: false };
  }
  if (operation.keyed && status === 202 && document["status"] === "in_doubt") return { is: "in doubt" };
  return { is: "done", document };
}

function told(status: number, problem: Problem): Verdict {
  const slug = slugOf(problem);
  if (problem.retryable) {
    const withoutEffect = WITHOUT_EFFECT.has(slug) && (status === 429 || status === 503);
    return { is: "again", reason: slug, withoutEffect, problem };
  }
  if (status === 402 || slug === "key-expired") return { is: "ended", problem };
  if (status >= 400 && status < 500) return { is: "refused", problem };
  return { is: "hopeless", reason: slug, problem };
}

function problemOf(status: number, document: unknown): Problem | undefined {
  if (!isObject(document) || typeof document["retryable"] !== "boolean" || document["status"] !== status) return undefined;
  return String(document["type"]).startsWith(PREFIX) ? (document as Problem) : undefined;
}

function parsed(body: string): unknown {
  try {
    return JSON.parse(body);
  } catch {
    return undefined;
  }
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
