/** The API that the tests talk to: its own handlers behind HTTP, started by tests/contract/clients of the repository. */

import { Client, type Settings, type Timing } from "../src/index.js";

export interface Server {
  url: string;
  api_key: string;
}

/** The server: `python -m tests.support.api_in_memory` prints what this variable holds. */
export function running(): Server {
  return JSON.parse(process.env["PAYONCE_API"] ?? "{}") as Server;
}

/** Tells the server something, or asks it. */
export async function control<Told = unknown>(server: Server, path: string, words?: unknown): Promise<Told> {
  const init = words === undefined ? {} : { method: "POST", body: JSON.stringify(words) };
  return (await (await fetch(server.url + path, init)).json()) as Told;
}

/** A clock that tests own: waiting takes no time, and is written down. */
export class Waits implements Timing {
  readonly waited: number[] = [];
  #ms = 0;

  constructor(private readonly drawn = 1) {}

  monotonicMs(): number {
    return this.#ms;
  }

  wallMs(): number {
    return Date.now();
  }

  random(): number {
    return this.drawn;
  }

  async sleep(ms: number): Promise<void> {
    this.waited.push(ms);
    this.#ms += ms;
  }
}

export function client(server: Server, settings: Partial<Settings> = {}): Client {
  return new Client({ baseUrl: server.url, apiKey: server.api_key, ...settings });
}

let number = 0;
/** A payment with a method of its own, by which its executions are counted. */
export function payment(): { amount_minor: number; currency: "EUR"; payment_method: string } {
  number += 1;
  return { amount_minor: 1050, currency: "EUR", payment_method: `pm_${process.pid}_${number}` };
}

/** How often the gateway has executed something with the payment's method. */
export async function executions(server: Server, body: { payment_method: string }): Promise<number> {
  const counted = await control<Record<string, number>>(server, "/_executions");
  return counted[body.payment_method] ?? 0;
}
