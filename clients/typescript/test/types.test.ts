/** The types say what the API says: these lines do not compile otherwise. */

import type { ClientError, Client, components, DataOf, Event, RequestOf } from "../src/index.js";

type Equal<A, B> = (<T>() => T extends A ? 1 : 2) extends <T>() => T extends B ? 1 : 2 ? true : false;
type Is<T extends true> = T;
type Schemas = components["schemas"];

export type Checked = [
  Is<Equal<DataOf<"create_payment">, Schemas["Payment"]>>,
  Is<Equal<DataOf<"list_payments">["data"], Schemas["Payment"][]>>,
  Is<Equal<DataOf<"get_payment_history">["data"], Schemas["PaymentChange"][]>>,
  Is<Equal<DataOf<"redeliver_webhook">, Schemas["WebhookDeliverySummary"]>>,
  Is<Equal<RequestOf<"capture_payment">["path"], { payment_id: string }>>,
  Is<Equal<Schemas["Payment"]["next_action"], Schemas["NextAction"] | null>>,
];

export function narrowed(event: Event, error: ClientError, api: Client): string {
  // @ts-expect-error: a path is needed
  void api.getPayment({});
  // @ts-expect-error: no such currency
  void api.createPayment({ body: { amount_minor: 1, currency: "EUX", payment_method: "pm_1" } });
  // @ts-expect-error: a read takes no key
  void api.getBalances({}, { key: "0123456789abcdef" });
  // @ts-expect-error: balances have no pages
  void api.each("getBalances", {});
  if (error.problem?.type === "urn:payonce:problem:declined") return String(error.problem.code);
  if (event.type === "payment.captured") return event.data.currency;
  if (event.type === "refund.succeeded") return event.data.payment.currency;
  return "";
}
