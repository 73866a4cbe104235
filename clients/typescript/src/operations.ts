// Generated from openapi.json by `make openapi`.

export interface Operation {
  readonly name: string;
  readonly method: string;
  readonly path: string;
  /** Whether it takes an idempotency key. */
  readonly keyed: boolean;
  /** Which `object` an answer to it has; empty where answers name none. */
  readonly objects: readonly string[];
}

export const OPERATIONS = {
  create_payment: {"name": "create_payment", "method": "POST", "path": "/payments", "keyed": true, "objects": ["payment"]},
  list_payments: {"name": "list_payments", "method": "GET", "path": "/payments", "keyed": false, "objects": ["list"]},
  capture_payment: {"name": "capture_payment", "method": "POST", "path": "/payments/{payment_id}/captures", "keyed": true, "objects": ["cancellation", "capture", "refund"]},
  confirm_payment: {"name": "confirm_payment", "method": "POST", "path": "/payments/{payment_id}/confirmations", "keyed": true, "objects": ["payment"]},
  cancel_payment: {"name": "cancel_payment", "method": "POST", "path": "/payments/{payment_id}/cancellations", "keyed": true, "objects": ["cancellation", "capture", "refund"]},
  refund_payment: {"name": "refund_payment", "method": "POST", "path": "/payments/{payment_id}/refunds", "keyed": true, "objects": ["cancellation", "capture", "refund"]},
  get_payment: {"name": "get_payment", "method": "GET", "path": "/payments/{payment_id}", "keyed": false, "objects": ["payment"]},
  get_payment_history: {"name": "get_payment_history", "method": "GET", "path": "/payments/{payment_id}/history", "keyed": false, "objects": ["list"]},
  get_balances: {"name": "get_balances", "method": "GET", "path": "/balances", "keyed": false, "objects": ["list"]},
  list_disputes: {"name": "list_disputes", "method": "GET", "path": "/disputes", "keyed": false, "objects": ["list"]},
  get_dispute: {"name": "get_dispute", "method": "GET", "path": "/disputes/{dispute_id}", "keyed": false, "objects": ["dispute"]},
  list_payment_disputes: {"name": "list_payment_disputes", "method": "GET", "path": "/payments/{payment_id}/disputes", "keyed": false, "objects": ["list"]},
  create_webhook_endpoint: {"name": "create_webhook_endpoint", "method": "POST", "path": "/webhook_endpoints", "keyed": true, "objects": ["webhook_endpoint"]},
  list_webhook_endpoints: {"name": "list_webhook_endpoints", "method": "GET", "path": "/webhook_endpoints", "keyed": false, "objects": ["list"]},
  get_webhook_endpoint: {"name": "get_webhook_endpoint", "method": "GET", "path": "/webhook_endpoints/{endpoint_id}", "keyed": false, "objects": ["webhook_endpoint"]},
  update_webhook_endpoint: {"name": "update_webhook_endpoint", "method": "PATCH", "path": "/webhook_endpoints/{endpoint_id}", "keyed": true, "objects": ["webhook_endpoint"]},
  delete_webhook_endpoint: {"name": "delete_webhook_endpoint", "method": "DELETE", "path": "/webhook_endpoints/{endpoint_id}", "keyed": true, "objects": ["webhook_endpoint"]},
  rotate_webhook_secret: {"name": "rotate_webhook_secret", "method": "POST", "path": "/webhook_endpoints/{endpoint_id}/secret_rotations", "keyed": true, "objects": ["webhook_endpoint"]},
  test_webhook_endpoint: {"name": "test_webhook_endpoint", "method": "POST", "path": "/webhook_endpoints/{endpoint_id}/test_events", "keyed": true, "objects": ["test_event"]},
  list_webhook_deliveries: {"name": "list_webhook_deliveries", "method": "GET", "path": "/webhook_endpoints/{endpoint_id}/deliveries", "keyed": false, "objects": ["list"]},
  get_webhook_delivery: {"name": "get_webhook_delivery", "method": "GET", "path": "/webhook_endpoints/{endpoint_id}/deliveries/{delivery_id}", "keyed": false, "objects": ["webhook_delivery"]},
  redeliver_webhook: {"name": "redeliver_webhook", "method": "POST", "path": "/webhook_endpoints/{endpoint_id}/deliveries/{delivery_id}/redeliveries", "keyed": true, "objects": ["webhook_delivery"]},
  replay_webhooks: {"name": "replay_webhooks", "method": "POST", "path": "/webhook_endpoints/{endpoint_id}/replays", "keyed": true, "objects": ["webhook_replay"]},
  get_webhook_replay: {"name": "get_webhook_replay", "method": "GET", "path": "/webhook_endpoints/{endpoint_id}/replays/{replay_id}", "keyed": false, "objects": ["webhook_replay"]},
  list_events: {"name": "list_events", "method": "GET", "path": "/events", "keyed": false, "objects": ["list"]},
  get_event: {"name": "get_event", "method": "GET", "path": "/events/{event_id}", "keyed": false, "objects": []},
  list_breaks: {"name": "list_breaks", "method": "GET", "path": "/breaks", "keyed": false, "objects": ["list"]},
  get_break: {"name": "get_break", "method": "GET", "path": "/breaks/{break_id}", "keyed": false, "objects": ["break"]},
  get_break_history: {"name": "get_break_history", "method": "GET", "path": "/breaks/{break_id}/history", "keyed": false, "objects": ["list"]},
  comment_on_break: {"name": "comment_on_break", "method": "POST", "path": "/breaks/{break_id}/comments", "keyed": true, "objects": ["comment"]},
  assign_break: {"name": "assign_break", "method": "POST", "path": "/breaks/{break_id}/assignments", "keyed": true, "objects": ["break"]},
  get_correction: {"name": "get_correction", "method": "GET", "path": "/breaks/{break_id}/correction", "keyed": false, "objects": ["correction"]},
  propose_correction: {"name": "propose_correction", "method": "POST", "path": "/breaks/{break_id}/correction/proposals", "keyed": true, "objects": ["correction"]},
  approve_correction: {"name": "approve_correction", "method": "POST", "path": "/breaks/{break_id}/correction/approvals", "keyed": true, "objects": ["correction"]},
  reject_correction: {"name": "reject_correction", "method": "POST", "path": "/breaks/{break_id}/correction/rejections", "keyed": true, "objects": ["correction"]},
  list_break_matches: {"name": "list_break_matches", "method": "GET", "path": "/breaks/{break_id}/matches", "keyed": false, "objects": ["list"]},
  match_breaks: {"name": "match_breaks", "method": "POST", "path": "/breaks/{break_id}/matches", "keyed": true, "objects": ["match"]},
  unmatch_breaks: {"name": "unmatch_breaks", "method": "POST", "path": "/breaks/{break_id}/matches/{match_id}/reversals", "keyed": true, "objects": ["match"]},
  get_idempotency_key: {"name": "get_idempotency_key", "method": "GET", "path": "/idempotency-keys/{idempotency_key}", "keyed": false, "objects": ["list"]},
} as const satisfies Record<string, Operation>;
