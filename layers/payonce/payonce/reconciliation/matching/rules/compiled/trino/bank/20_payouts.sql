-- Compiled from the rules in DuckDB's dialect by tools/compile_rules.py. Not edited by hand.
/* A payout as one: what the gateway says it sent, and whether the movements that it was made of add up to it. */
/* A payout and its reversal in the report stand under one id; what counts is what is left of them. */
CREATE TABLE bank_payout AS
SELECT
  gateway,
  payout_id,
  currency,
  CAST(SUM(-amount_minor) AS BIGINT) AS expected_minor,
  CAST(SUM(-net_minor) AS BIGINT) AS net_minor,
  MIN(created_at_ms) / 86400000 AS first_day,
  MAX(created_at_ms) / 86400000 AS last_day
FROM bank_payout_row
WHERE
  version = 1
GROUP BY
  gateway,
  payout_id,
  currency;

/* The sums of all members, as they are in the files. Only where they are off, or where files overlap at all, is it worth */
/* taking each row once. */
CREATE TABLE bank_recheck AS
SELECT
  p.gateway,
  p.payout_id,
  p.currency,
  p.net_minor
FROM bank_payout AS p
JOIN (
  SELECT
    gateway,
    payout_id,
    currency,
    CAST(SUM(net_minor) AS BIGINT) AS net_minor
  FROM gateway_row
  WHERE
    kind <> 'payout' AND payout_id <> ''
  GROUP BY
    gateway,
    payout_id,
    currency
) AS m
  ON m.gateway = p.gateway AND m.payout_id = p.payout_id AND m.currency = p.currency
WHERE
  m.net_minor <> p.net_minor
  OR (
    SELECT
      COUNT(*)
    FROM transactions_gateway_row
    WHERE
      copies > 1 OR version > 1
  ) > 0;

CREATE TABLE bank_off AS
SELECT
  r.gateway,
  r.payout_id,
  r.currency,
  CAST(ABS(r.net_minor - SUM(g.net_minor)) AS BIGINT) AS off_minor
FROM bank_recheck AS r
JOIN (
  /* Of an id with two contents one is taken: the other is a conflict of its own. */
  SELECT
    m.gateway,
    m.transaction_id,
    m.payout_id,
    m.currency,
    MIN(m.net_minor) AS net_minor
  FROM gateway_row AS m
  JOIN bank_recheck AS c
    ON c.gateway = m.gateway AND c.payout_id = m.payout_id AND c.currency = m.currency
  WHERE
    m.kind <> 'payout'
  GROUP BY
    m.gateway,
    m.transaction_id,
    m.payout_id,
    m.currency
) AS g
  ON g.gateway = r.gateway AND g.payout_id = r.payout_id AND g.currency = r.currency
GROUP BY
  r.gateway,
  r.payout_id,
  r.currency,
  r.net_minor
HAVING
  SUM(g.net_minor) <> r.net_minor;
