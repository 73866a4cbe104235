export { Client } from "./client.js";
export type { Answer, Calls, DataOf, ListName, ReadOptions, RequestOf, Settings, WriteOptions } from "./client.js";
export type { Timing } from "./attempts.js";
export type { Backoff } from "./backoff.js";
export * from "./errors.js";
export type { components, operations, paths, webhooks } from "./schema.js";
export { Verifier, WebhookRejected } from "./webhooks.js";
export type { Event, Rejection, VerifierSettings, Webhook } from "./webhooks.js";
