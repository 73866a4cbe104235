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

/* Every row's key as a hash, counted: one row per source with what all keys add up to, and one per key that occurs twice */
/* (two files overlap, or one id has two contents). A collision of two hashes only sends their rows through the finer rules. */
CREATE TABLE transactions_identity AS
SELECT
  source,
  CASE WHEN row_count > 1 THEN id_hash END AS repeated_hash,
  CAST(SUM(row_count * id_hash) AS BIGINT) AS key_hash
FROM (
  SELECT
    'gateway' AS source,
    id_hash,
    COUNT(*) AS row_count
  FROM (
    SELECT
      (
        CAST(CONV(
          CONCAT(
            SUBSTRING(MD5(gateway || '|' || transaction_id), 23, 2),
            SUBSTRING(MD5(gateway || '|' || transaction_id), 21, 2),
            SUBSTRING(MD5(gateway || '|' || transaction_id), 19, 2),
            SUBSTRING(MD5(gateway || '|' || transaction_id), 17, 2)
          ),
          16,
          10
        ) AS BIGINT) % 2147483647
      ) AS id_hash
    FROM gateway_row
    WHERE
      kind <> 'payout'
  ) AS ids
  GROUP BY
    id_hash
  UNION ALL
  SELECT
    'ledger' AS source,
    id_hash,
    COUNT(*) AS row_count
  FROM (
    SELECT
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
  ) AS ids
  GROUP BY
    id_hash
) AS counted
GROUP BY
  source,
  CASE WHEN row_count > 1 THEN id_hash END;

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

/* Gateway, kind and currency as one small number each way, so that the pass below carries numbers and not texts: */
/* book is (gateway, kind), lane (gateway, kind, currency). A lane has the terms that its rows are judged by. */
CREATE TABLE transactions_lane AS
SELECT
  c.gateway,
  c.kind,
  c.currency,
  CAST(DENSE_RANK() OVER (ORDER BY c.gateway NULLS LAST, c.kind NULLS LAST) AS BIGINT) AS book,
  CAST(ROW_NUMBER() OVER (ORDER BY c.gateway NULLS LAST, c.kind NULLS LAST, c.currency NULLS LAST) AS BIGINT) AS lane,
  f.fixed_minor,
  f.basis_points,
  f.tolerance_minor,
  CASE WHEN c.kind = 'charge' THEN s.settlement_sla_hours * 3600000 END AS settlement_sla_ms
FROM (
  SELECT
    gateway,
    kind,
    currency
  FROM ledger
  UNION
  SELECT
    gateway,
    kind,
    currency
  FROM gateway_row
  WHERE
    kind IN ('charge', 'refund')
) AS c
CROSS JOIN settings AS s
LEFT JOIN fee_rule AS f
  ON c.kind = 'charge' AND f.gateway = c.gateway AND f.currency = c.currency;

/* One row per lane of what is settled, and one per group that is not. A group is plain if it is exactly two rows, one of */
/* either side, nothing special about them, and equal in amount and currency. What that takes is packed into two numbers, */
/* since the pass keeps them for every group at once: */
/*   content: (amount_minor + 2^45) * 2^16 + lane, equal on both sides. 2^45 is 35 times the largest amount there is. */
/*   hashes:  ledger hash + 1, or (gateway hash + 1) * 2^31, and 2^62 where the row is special. A hash is below 2^31 - 1. */
/* A row that does not fit is special: the finer rules take any amount. */
CREATE TABLE transactions_settled AS
SELECT
  plain,
  CASE WHEN plain = 0 THEN book END AS book,
  CASE WHEN plain = 0 THEN reference END AS reference,
  CASE WHEN plain = 1 THEN content % 65536 END AS lane,
  COUNT(*) AS row_count,
  CAST(SUM(content DIV 65536 - 35184372088832) AS BIGINT) AS amount_minor,
  CAST(SUM(hashes % 2147483648 - 1) AS BIGINT) AS ledger_hash,
  CAST(SUM(hashes DIV 2147483648 - 1) AS BIGINT) AS gateway_hash,
  CAST(SUM(
    (
      (
        hashes % 2147483648 - 1
      ) * (
        hashes DIV 2147483648 - 1
      )
    ) % 2147483647
  ) AS BIGINT) AS pair_hash
FROM (
  SELECT
    book,
    reference,
    CASE
      WHEN COUNT(*) = 2
      AND MIN(content) = MAX(content)
      AND BIT_OR(hashes) < 4611686018427387904
      AND BIT_OR(hashes) % 2147483648 > 0
      AND BIT_OR(hashes) DIV 2147483648 > 0
      THEN 1
      ELSE 0
    END AS plain,
    CASE
      WHEN COUNT(*) = 2
      AND MIN(content) = MAX(content)
      AND BIT_OR(hashes) < 4611686018427387904
      AND BIT_OR(hashes) % 2147483648 > 0
      AND BIT_OR(hashes) DIV 2147483648 > 0
      THEN BIT_OR(hashes)
      ELSE 2147483649 /* no hash on either side */
    END AS hashes,
    MAX(content) AS content
  FROM (
    SELECT
      b.book,
      CASE WHEN l.reference = '' THEN l.entry_id ELSE l.reference END AS reference,
      CASE
        WHEN l.amount_minor BETWEEN -35184372088831 AND 35184372088831 AND b.lane < 65536
        THEN (
          l.amount_minor + 35184372088832
        ) * 65536 + b.lane
        ELSE 0
      END AS content,
      l.id_hash + 1 + CASE
        WHEN l.state <> 'booked'
        OR NOT l.reverses_entry_id IS NULL
        OR NOT v.entry_id IS NULL
        OR NOT t.repeated_hash IS NULL
        OR NOT u.gateway_payment_id IS NULL
        OR b.lane >= 65536
        OR NOT l.amount_minor BETWEEN -35184372088831 AND 35184372088831
        THEN 4611686018427387904
        ELSE 0
      END AS hashes
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
    JOIN transactions_lane AS b
      ON b.gateway = l.gateway AND b.kind = l.kind AND b.currency = l.currency
    LEFT JOIN transactions_reversed AS v
      ON v.entry_id = l.entry_id
    LEFT JOIN transactions_identity AS t
      ON t.source = 'ledger' AND t.repeated_hash = l.id_hash
    LEFT JOIN transactions_unreferenced AS u
      ON u.gateway = l.gateway
      AND u.kind = l.kind
      AND u.gateway_payment_id = l.gateway_payment_id
    UNION ALL
    SELECT
      b.book,
      g.reference,
      CASE
        WHEN g.amount_minor BETWEEN -35184372088831 AND 35184372088831 AND b.lane < 65536
        THEN (
          g.amount_minor + 35184372088832
        ) * 65536 + b.lane
        ELSE 0
      END AS content,
      (
        g.id_hash + 1
      ) * 2147483648 + CASE
        WHEN NOT t.repeated_hash IS NULL
        OR NOT o.gateway_payment_id IS NULL
        OR COALESCE(g.presented_currency, g.currency) <> g.currency
        OR b.lane >= 65536
        OR NOT g.amount_minor BETWEEN -35184372088831 AND 35184372088831
        OR COALESCE(g.available_at_ms - g.created_at_ms > b.settlement_sla_ms, FALSE)
        OR COALESCE(
          ABS(
            g.fee_minor - b.fixed_minor - (
              ABS(g.amount_minor) * b.basis_points + 5000
            ) DIV 10000
          ) > b.tolerance_minor,
          FALSE
        )
        THEN 4611686018427387904
        ELSE 0
      END AS hashes
    FROM (
      SELECT
        *,
        (
          CAST(CONV(
            CONCAT(
              SUBSTRING(MD5(gateway || '|' || transaction_id), 23, 2),
              SUBSTRING(MD5(gateway || '|' || transaction_id), 21, 2),
              SUBSTRING(MD5(gateway || '|' || transaction_id), 19, 2),
              SUBSTRING(MD5(gateway || '|' || transaction_id), 17, 2)
            ),
            16,
            10
          ) AS BIGINT) % 2147483647
        ) AS id_hash
      FROM gateway_row
    ) AS g
    JOIN transactions_lane AS b
      ON b.gateway = g.gateway AND b.kind = g.kind AND b.currency = g.currency
    LEFT JOIN transactions_identity AS t
      ON t.source = 'gateway' AND t.repeated_hash = g.id_hash
    LEFT JOIN transactions_overpaid AS o
      ON g.kind = 'refund'
      AND o.gateway = g.gateway
      AND o.gateway_payment_id = g.gateway_payment_id
      AND o.currency = g.currency
    WHERE
      g.kind IN ('charge', 'refund') AND COALESCE(g.reference, '') <> ''
  ) AS side_rows
  GROUP BY
    book,
    reference
) AS keyed
GROUP BY
  plain,
  CASE WHEN plain = 0 THEN book END,
  CASE WHEN plain = 0 THEN reference END,
  CASE WHEN plain = 1 THEN content % 65536 END;

/* The groups that are left to the finer rules. */
CREATE TABLE transactions_open AS
SELECT
  b.gateway,
  b.kind,
  k.reference
FROM transactions_settled AS k
JOIN (
  SELECT DISTINCT
    book,
    gateway,
    kind
  FROM transactions_lane
) AS b
  ON b.book = k.book
WHERE
  k.plain = 0;
