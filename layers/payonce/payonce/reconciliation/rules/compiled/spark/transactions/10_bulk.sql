-- Compiled from the rules in DuckDB's dialect by tools/compile_rules.py. Not edited by hand.
/* Nearly every movement is one ledger row and one gateway row that agree. They are settled here, in one pass over both */
/* tables and without keeping a row of them; whatever is not that plain goes through the finer rules, whole groups at once. */
/* Entries that another one takes back. */
CREATE TABLE transactions_reversed AS
SELECT DISTINCT
  reverses_entry_id AS entry_id
FROM ledger
WHERE
  NOT reverses_entry_id IS NULL;

/* Identities that occur twice, as hashes: two files overlap, or one id has two contents. A collision of two hashes only */
/* sends their rows through the finer rules. */
CREATE TABLE transactions_seen_twice AS
SELECT
  'gateway' AS source,
  (
    CAST(CONV(
      CONCAT(
        SUBSTRING(MD5(transaction_id), 23, 2),
        SUBSTRING(MD5(transaction_id), 21, 2),
        SUBSTRING(MD5(transaction_id), 19, 2),
        SUBSTRING(MD5(transaction_id), 17, 2)
      ),
      16,
      10
    ) AS BIGINT) % 2147483647
  ) AS id_hash
FROM gateway_row
WHERE
  kind <> 'payout'
GROUP BY
  (
    CAST(CONV(
      CONCAT(
        SUBSTRING(MD5(transaction_id), 23, 2),
        SUBSTRING(MD5(transaction_id), 21, 2),
        SUBSTRING(MD5(transaction_id), 19, 2),
        SUBSTRING(MD5(transaction_id), 17, 2)
      ),
      16,
      10
    ) AS BIGINT) % 2147483647
  )
HAVING
  COUNT(*) > 1
UNION ALL
SELECT
  'ledger' AS source,
  (
    CAST(CONV(
      CONCAT(
        SUBSTRING(MD5(entry_id), 23, 2),
        SUBSTRING(MD5(entry_id), 21, 2),
        SUBSTRING(MD5(entry_id), 19, 2),
        SUBSTRING(MD5(entry_id), 17, 2)
      ),
      16,
      10
    ) AS BIGINT) % 2147483647
  ) AS id_hash
FROM ledger
GROUP BY
  (
    CAST(CONV(
      CONCAT(
        SUBSTRING(MD5(entry_id), 23, 2),
        SUBSTRING(MD5(entry_id), 21, 2),
        SUBSTRING(MD5(entry_id), 19, 2),
        SUBSTRING(MD5(entry_id), 17, 2)
      ),
      16,
      10
    ) AS BIGINT) % 2147483647
  )
HAVING
  COUNT(*) > 1;

/* Payments of gateway rows that carry no reference: their ledger rows are looked at closely. */
CREATE TABLE transactions_unreferenced AS
SELECT DISTINCT
  gateway,
  kind,
  gateway_payment_id
FROM gateway_row
WHERE
  kind IN ('charge', 'refund')
  AND COALESCE(reference, '') = ''
  AND NOT gateway_payment_id IS NULL;

CREATE TABLE transactions_refunded AS
SELECT
  gateway,
  gateway_payment_id,
  currency,
  CAST(SUM(-amount_minor) AS BIGINT) AS refunded_minor
FROM gateway_row
WHERE
  kind = 'refund' AND NOT gateway_payment_id IS NULL
GROUP BY
  gateway,
  gateway_payment_id,
  currency;

/* Payments that may have been paid back beyond their capture. The smallest charge is compared, so that a row that two */
/* files have in common can't hide one. */
CREATE TABLE transactions_overpaid AS
SELECT
  r.gateway,
  r.gateway_payment_id,
  r.currency
FROM transactions_refunded AS r
JOIN (
  SELECT
    gateway,
    gateway_payment_id,
    currency,
    amount_minor
  FROM gateway_row
  WHERE
    kind = 'charge'
  UNION ALL
  SELECT
    gateway,
    gateway_payment_id,
    currency,
    amount_minor
  FROM ledger
  WHERE
    kind = 'charge' AND state = 'booked'
) AS c
  ON c.gateway = r.gateway
  AND c.gateway_payment_id = r.gateway_payment_id
  AND c.currency = r.currency
GROUP BY
  r.gateway,
  r.gateway_payment_id,
  r.currency,
  r.refunded_minor
HAVING
  r.refunded_minor > MIN(c.amount_minor);

/* One row per (kind, currency) of what is settled, and one per group that is not. 1099511627777 is 2^40 + 1: exactly one */
/* row of either side, whatever the size of the group. */
CREATE TABLE transactions_settled AS
SELECT
  plain,
  CASE WHEN plain = 0 THEN gateway END AS gateway,
  kind,
  CASE WHEN plain = 0 THEN reference END AS reference,
  CASE WHEN plain = 1 THEN currency END AS currency,
  COUNT(*) AS row_count,
  CAST(SUM(amount_minor) AS BIGINT) AS amount_minor,
  CAST(SUM(
    CASE WHEN plain = 1 THEN (
      ledger_hash * gateway_hash
    ) % 2147483647 ELSE 0 END
  ) AS BIGINT) AS pair_hash
FROM (
  SELECT
    gateway,
    kind,
    reference,
    CASE
      WHEN SUM(side) = 1099511627777
      AND MAX(special) = 0
      AND MIN(amount_minor) = MAX(amount_minor)
      AND MIN(currency) = MAX(currency)
      THEN 1
      ELSE 0
    END AS plain,
    MAX(currency) AS currency,
    MAX(amount_minor) AS amount_minor,
    MAX(ledger_hash) AS ledger_hash,
    MAX(gateway_hash) AS gateway_hash
  FROM (
    SELECT
      l.gateway,
      l.kind,
      CASE WHEN l.reference = '' THEN l.entry_id ELSE l.reference END AS reference,
      CAST(1 AS BIGINT) AS side,
      CASE
        WHEN l.state <> 'booked'
        OR NOT l.reverses_entry_id IS NULL
        OR NOT v.entry_id IS NULL
        OR NOT t.id_hash IS NULL
        OR NOT u.gateway_payment_id IS NULL
        THEN 1
        ELSE 0
      END AS special,
      l.amount_minor,
      l.currency,
      l.id_hash AS ledger_hash,
      CAST(0 AS BIGINT) AS gateway_hash
    FROM (
      SELECT
        *,
        (
          CAST(CONV(
            CONCAT(
              SUBSTRING(MD5(entry_id), 23, 2),
              SUBSTRING(MD5(entry_id), 21, 2),
              SUBSTRING(MD5(entry_id), 19, 2),
              SUBSTRING(MD5(entry_id), 17, 2)
            ),
            16,
            10
          ) AS BIGINT) % 2147483647
        ) AS id_hash
      FROM ledger
    ) AS l
    LEFT JOIN transactions_reversed AS v
      ON v.entry_id = l.entry_id
    LEFT JOIN transactions_seen_twice AS t
      ON t.source = 'ledger' AND t.id_hash = l.id_hash
    LEFT JOIN transactions_unreferenced AS u
      ON u.gateway = l.gateway
      AND u.kind = l.kind
      AND u.gateway_payment_id = l.gateway_payment_id
    UNION ALL
    SELECT
      g.gateway,
      g.kind,
      g.reference,
      CAST(1099511627776 AS BIGINT) AS side,
      CASE
        WHEN NOT t.id_hash IS NULL
        OR NOT o.gateway_payment_id IS NULL
        OR COALESCE(g.presented_currency, g.currency) <> g.currency
        OR (
          g.kind = 'charge'
          AND (
            COALESCE(g.available_at_ms - g.created_at_ms, 0) > s.settlement_sla_hours * 3600000
            OR COALESCE(
              ABS(
                g.fee_minor - f.fixed_minor - (
                  ABS(g.amount_minor) * f.basis_points + 5000
                ) DIV 10000
              ) > f.tolerance_minor,
              FALSE
            )
          )
        )
        THEN 1
        ELSE 0
      END AS special,
      g.amount_minor,
      g.currency,
      CAST(0 AS BIGINT) AS ledger_hash,
      g.id_hash AS gateway_hash
    FROM (
      SELECT
        *,
        (
          CAST(CONV(
            CONCAT(
              SUBSTRING(MD5(transaction_id), 23, 2),
              SUBSTRING(MD5(transaction_id), 21, 2),
              SUBSTRING(MD5(transaction_id), 19, 2),
              SUBSTRING(MD5(transaction_id), 17, 2)
            ),
            16,
            10
          ) AS BIGINT) % 2147483647
        ) AS id_hash
      FROM gateway_row
    ) AS g
    CROSS JOIN settings AS s
    LEFT JOIN fee_rule AS f
      ON f.gateway = g.gateway AND f.currency = g.currency
    LEFT JOIN transactions_seen_twice AS t
      ON t.source = 'gateway' AND t.id_hash = g.id_hash
    LEFT JOIN transactions_overpaid AS o
      ON g.kind = 'refund'
      AND o.gateway = g.gateway
      AND o.gateway_payment_id = g.gateway_payment_id
      AND o.currency = g.currency
    WHERE
      g.kind IN ('charge', 'refund') AND COALESCE(g.reference, '') <> ''
  ) AS side_rows
  GROUP BY
    gateway,
    kind,
    reference
) AS keyed
GROUP BY
  plain,
  CASE WHEN plain = 0 THEN gateway END,
  kind,
  CASE WHEN plain = 0 THEN reference END,
  CASE WHEN plain = 1 THEN currency END;
