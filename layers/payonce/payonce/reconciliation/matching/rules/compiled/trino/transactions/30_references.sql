-- Compiled from the rules in DuckDB's dialect by tools/compile_rules.py. Not edited by hand.
/* Which reference a gateway row belongs to: its own; else that of the ledger row of the same payment; else that of the */
/* only ledger row that it can be. Where several fit equally well none is chosen. */
CREATE TABLE transactions_by_payment AS
SELECT
  u.row_key,
  COUNT(DISTINCT l.ref) AS refs,
  MIN(l.ref) AS ref,
  COUNT(
    DISTINCT CASE
      WHEN l.amount_minor = u.amount_minor AND l.currency = u.currency
      THEN l.ref
    END
  ) AS equal_refs,
  MIN(
    CASE
      WHEN l.amount_minor = u.amount_minor AND l.currency = u.currency
      THEN l.ref
    END
  ) AS equal_ref
FROM transactions_gateway_row AS u
JOIN transactions_ledger_row AS l
  ON l.gateway = u.gateway
  AND l.kind = u.kind
  AND l.gateway_payment_id = u.gateway_payment_id
WHERE
  u.version = 1
  AND u.kind IN ('charge', 'refund')
  AND u.reference IS NULL
  AND l.reverses_entry_id IS NULL
GROUP BY
  u.row_key;

CREATE TABLE transactions_known_reference AS
SELECT
  g.row_key,
  g.gateway,
  g.kind,
  g.reference AS ref
FROM transactions_gateway_row AS g
WHERE
  g.version = 1 AND g.kind IN ('charge', 'refund') AND NOT g.reference IS NULL
UNION ALL
SELECT
  g.row_key,
  g.gateway,
  g.kind,
  CASE WHEN p.refs = 1 THEN p.ref ELSE p.equal_ref END AS ref
FROM transactions_gateway_row AS g
JOIN transactions_by_payment AS p
  ON p.row_key = g.row_key
WHERE
  g.version = 1 AND (
    p.refs = 1 OR p.equal_refs = 1
  );

/* Booked, not taken back, and no gateway row names it. */
CREATE TABLE transactions_free_ledger AS
SELECT
  l.*
FROM transactions_ledger_row AS l
LEFT JOIN (
  SELECT DISTINCT
    gateway,
    kind,
    ref
  FROM transactions_known_reference
) AS k
  ON k.gateway = l.gateway AND k.kind = l.kind AND k.ref = l.ref
LEFT JOIN (
  SELECT
    entry_id
  FROM transactions_cancelled
  UNION ALL
  SELECT
    other_entry_id AS entry_id
  FROM transactions_cancelled
) AS c
  ON c.entry_id = l.entry_id
WHERE
  l.state = 'booked' AND k.ref IS NULL AND c.entry_id IS NULL;

CREATE TABLE transactions_candidate AS
SELECT
  u.row_key,
  l.entry_id,
  l.ref,
  u.gateway,
  u.kind,
  u.currency,
  u.amount_minor,
  u.created_at_ms,
  l.booked_at_ms
FROM transactions_gateway_row AS u
CROSS JOIN settings AS s
JOIN transactions_free_ledger AS l
  ON l.gateway = u.gateway
  AND l.kind = u.kind
  AND l.currency = u.currency
  AND l.amount_minor = u.amount_minor
LEFT JOIN transactions_known_reference AS k
  ON k.row_key = u.row_key
WHERE
  u.version = 1
  AND u.kind IN ('charge', 'refund')
  AND k.row_key IS NULL
  AND ABS(u.created_at_ms - l.booked_at_ms) <= s.in_transit_hours * 3600000
  AND COALESCE(l.gateway_payment_id, u.gateway_payment_id, '') = COALESCE(u.gateway_payment_id, l.gateway_payment_id, '');

CREATE TABLE transactions_only_candidate AS
SELECT
  c.row_key,
  c.entry_id,
  c.ref
FROM transactions_candidate AS c
JOIN (
  SELECT
    row_key
  FROM transactions_candidate
  GROUP BY
    row_key
  HAVING
    COUNT(*) = 1
) AS g
  ON g.row_key = c.row_key
JOIN (
  SELECT
    entry_id
  FROM transactions_candidate
  GROUP BY
    entry_id
  HAVING
    COUNT(*) = 1
) AS l
  ON l.entry_id = c.entry_id;

/* The rest is ambiguous. Its rows form a group as long as each is within the time of the one before. */
CREATE TABLE transactions_ambiguous AS
SELECT
  source,
  row_key,
  gateway,
  kind,
  currency,
  amount_minor,
  at_ms,
  SUM(opens) OVER (
    PARTITION BY gateway, kind, currency, amount_minor
    ORDER BY at_ms, source, row_key
    ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW
  ) AS ordinal
FROM (
  SELECT
    r.*,
    CASE
      WHEN r.at_ms - LAG(r.at_ms) OVER (
        PARTITION BY r.gateway, r.kind, r.currency, r.amount_minor
        ORDER BY r.at_ms, r.source, r.row_key
      ) <= s.in_transit_hours * 3600000
      THEN 0
      ELSE 1
    END AS opens
  FROM (
    SELECT DISTINCT
      'gateway' AS source,
      c.row_key,
      c.gateway,
      c.kind,
      c.currency,
      c.amount_minor,
      c.created_at_ms AS at_ms
    FROM transactions_candidate AS c
    LEFT JOIN transactions_only_candidate AS o
      ON o.row_key = c.row_key
    WHERE
      o.row_key IS NULL
    UNION ALL
    SELECT DISTINCT
      'ledger' AS source,
      c.entry_id AS row_key,
      c.gateway,
      c.kind,
      c.currency,
      c.amount_minor,
      c.booked_at_ms AS at_ms
    FROM transactions_candidate AS c
    LEFT JOIN transactions_only_candidate AS o
      ON o.entry_id = c.entry_id
    WHERE
      o.entry_id IS NULL
  ) AS r
  CROSS JOIN settings AS s
) AS sessions;

/* The movements that the rest of the rules is about. A row without any reference stands under its own id. */
CREATE TABLE transactions_movement AS
SELECT
  g.row_key,
  g.gateway,
  g.transaction_id,
  g.kind,
  COALESCE(k.ref, o.ref, g.transaction_id) AS ref,
  g.gateway_payment_id,
  g.amount_minor,
  g.fee_minor,
  g.currency,
  g.created_at_ms,
  g.available_at_ms,
  g.presented_minor,
  g.presented_currency
FROM transactions_gateway_row AS g
LEFT JOIN transactions_known_reference AS k
  ON k.row_key = g.row_key
LEFT JOIN transactions_only_candidate AS o
  ON o.row_key = g.row_key
LEFT JOIN transactions_ambiguous AS a
  ON a.source = 'gateway' AND a.row_key = g.row_key
WHERE
  g.version = 1 AND g.kind IN ('charge', 'refund') AND a.row_key IS NULL;

CREATE TABLE transactions_entry AS
SELECT
  l.entry_id,
  l.merchant_id,
  l.payment_id,
  l.gateway,
  l.kind,
  l.state,
  l.ref,
  l.amount_minor,
  l.currency,
  l.booked_at_ms
FROM transactions_ledger_row AS l
LEFT JOIN transactions_ambiguous AS a
  ON a.source = 'ledger' AND a.row_key = l.entry_id
LEFT JOIN (
  SELECT
    entry_id
  FROM transactions_cancelled
  UNION ALL
  SELECT
    other_entry_id AS entry_id
  FROM transactions_cancelled
) AS c
  ON c.entry_id = l.entry_id
WHERE
  a.row_key IS NULL AND c.entry_id IS NULL;
