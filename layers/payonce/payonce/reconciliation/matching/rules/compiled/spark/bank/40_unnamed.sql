-- Compiled from the rules in DuckDB's dialect by tools/compile_rules.py. Not edited by hand.
/* Payouts that no line names: by amount, currency and day, where exactly one fits on either side. */
CREATE TABLE bank_candidate AS
SELECT
  p.gateway,
  p.payout_id,
  p.currency,
  p.expected_minor,
  p.last_day,
  l.line_key,
  l.booking_day
FROM bank_payout AS p
CROSS JOIN settings AS s
/* A bank's day may begin before the gateway's: clocks differ, and a payout at midnight is booked where it is evening. */
JOIN bank_row AS l
  ON l.currency = p.currency
  AND l.amount_minor = p.expected_minor
  AND l.booking_day BETWEEN p.first_day - 1 AND p.last_day + s.payout_sla_days
LEFT JOIN (
  SELECT DISTINCT
    gateway,
    payout_id,
    currency
  FROM bank_named
) AS n
  ON n.gateway = p.gateway AND n.payout_id = p.payout_id AND n.currency = p.currency
LEFT JOIN (
  SELECT
    line_key
  FROM bank_named
  UNION
  SELECT
    line_key
  FROM bank_converted
) AS m
  ON m.line_key = l.line_key
WHERE
  p.expected_minor <> 0
  AND l.counts = 1
  AND n.payout_id IS NULL
  AND m.line_key IS NULL;

CREATE TABLE bank_only_candidate AS
SELECT
  c.gateway,
  c.payout_id,
  c.currency,
  c.line_key
FROM bank_candidate AS c
JOIN (
  SELECT
    gateway,
    payout_id,
    currency
  FROM bank_candidate
  GROUP BY
    gateway,
    payout_id,
    currency
  HAVING
    COUNT(*) = 1
) AS p
  ON p.gateway = c.gateway AND p.payout_id = c.payout_id AND p.currency = c.currency
JOIN (
  SELECT
    line_key
  FROM bank_candidate
  GROUP BY
    line_key
  HAVING
    COUNT(*) = 1
) AS l
  ON l.line_key = c.line_key;

/* The rest is ambiguous. Payouts and lines form a group as long as each is within the time of the one before. */
CREATE TABLE bank_ambiguous AS
SELECT
  source,
  row_key,
  gateway,
  payout_id,
  currency,
  expected_minor,
  SUM(opens) OVER (
    PARTITION BY currency, expected_minor
    ORDER BY at_day NULLS LAST, source NULLS LAST, row_key NULLS LAST
    ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW
  ) AS ordinal
FROM (
  SELECT
    r.*,
    CASE
      WHEN r.at_day - LAG(r.at_day) OVER (
        PARTITION BY r.currency, r.expected_minor
        ORDER BY r.at_day NULLS LAST, r.source NULLS LAST, r.row_key NULLS LAST
      ) <= s.payout_sla_days + 1
      THEN 0
      ELSE 1
    END AS opens
  FROM (
    SELECT DISTINCT
      'bank' AS source,
      c.line_key AS row_key,
      CAST(NULL AS STRING) AS gateway,
      CAST(NULL AS STRING) AS payout_id,
      c.currency,
      c.expected_minor,
      c.booking_day AS at_day
    FROM bank_candidate AS c
    LEFT JOIN bank_only_candidate AS o
      ON o.line_key = c.line_key
    WHERE
      o.line_key IS NULL
    UNION ALL
    SELECT DISTINCT
      'gateway' AS source,
      c.gateway || '|' || c.payout_id AS row_key,
      c.gateway,
      c.payout_id,
      c.currency,
      c.expected_minor,
      c.last_day AS at_day
    FROM bank_candidate AS c
    LEFT JOIN bank_only_candidate AS o
      ON o.gateway = c.gateway AND o.payout_id = c.payout_id AND o.currency = c.currency
    WHERE
      o.payout_id IS NULL
  ) AS r
  CROSS JOIN settings AS s
) AS sessions;
