-- Compiled from the rules in DuckDB's dialect by tools/compile_rules.py. Not edited by hand.
/* Conversion rates in millionths; the day's median, the lower of the two middle ones, is what a rate is held against. */
CREATE TABLE transactions_rate AS
SELECT
  row_key,
  gateway,
  currency,
  presented_currency,
  day_number,
  ABS(presented_minor) AS presented_minor,
  ABS(amount_minor) * 1000000 / ABS(presented_minor) AS rate_millionths
FROM (
  SELECT
    m.*,
    m.created_at_ms / 86400000 AS day_number
  FROM transactions_movement AS m
  WHERE
    m.presented_minor <> 0 AND m.presented_currency <> m.currency
) AS converted;

CREATE TABLE transactions_median_rate AS
SELECT
  gateway,
  currency,
  presented_currency,
  day_number,
  rate_millionths
FROM (
  SELECT
    r.*,
    ROW_NUMBER() OVER (
      PARTITION BY gateway, currency, presented_currency, day_number
      ORDER BY rate_millionths, row_key
    ) AS ordinal,
    COUNT(*) OVER (PARTITION BY gateway, currency, presented_currency, day_number) AS rates
  FROM transactions_rate AS r
) AS ranked
WHERE
  ordinal = (
    rates + 1
  ) / 2;

CREATE TABLE transactions_rate_off AS
SELECT
  r.row_key,
  ABS(r.rate_millionths - d.rate_millionths) * r.presented_minor / 1000000 AS stake_minor
FROM transactions_rate AS r
JOIN transactions_median_rate AS d
  ON d.gateway = r.gateway
  AND d.currency = r.currency
  AND d.presented_currency = r.presented_currency
  AND d.day_number = r.day_number
CROSS JOIN settings AS s
WHERE
  ABS(r.rate_millionths - d.rate_millionths) * 10000 > s.fx_tolerance_basis_points * d.rate_millionths;

/* What was captured of the payments that may be overpaid: by the gateway's word, else by ours. */
CREATE TABLE transactions_captured AS
SELECT
  o.gateway,
  o.gateway_payment_id,
  o.currency,
  COALESCE(MAX(g.captured_minor), MAX(l.captured_minor)) AS captured_minor
FROM transactions_overpaid AS o
LEFT JOIN (
  SELECT
    gateway,
    gateway_payment_id,
    currency,
    CAST(SUM(amount_minor) AS BIGINT) AS captured_minor
  FROM (
    SELECT DISTINCT
      r.gateway,
      r.transaction_id,
      r.gateway_payment_id,
      r.currency,
      r.amount_minor
    FROM gateway_row AS r
    JOIN transactions_overpaid AS p
      ON p.gateway = r.gateway
      AND p.gateway_payment_id = r.gateway_payment_id
      AND p.currency = r.currency
    WHERE
      r.kind = 'charge'
  ) AS charges
  GROUP BY
    gateway,
    gateway_payment_id,
    currency
) AS g
  ON g.gateway = o.gateway
  AND g.gateway_payment_id = o.gateway_payment_id
  AND g.currency = o.currency
LEFT JOIN (
  SELECT
    gateway,
    gateway_payment_id,
    currency,
    CAST(SUM(amount_minor) AS BIGINT) AS captured_minor
  FROM (
    SELECT DISTINCT
      r.entry_id,
      r.gateway,
      r.gateway_payment_id,
      r.currency,
      r.amount_minor
    FROM ledger AS r
    JOIN transactions_overpaid AS p
      ON p.gateway = r.gateway
      AND p.gateway_payment_id = r.gateway_payment_id
      AND p.currency = r.currency
    WHERE
      r.kind = 'charge' AND r.state = 'booked'
  ) AS entries
  GROUP BY
    gateway,
    gateway_payment_id,
    currency
) AS l
  ON l.gateway = o.gateway
  AND l.gateway_payment_id = o.gateway_payment_id
  AND l.currency = o.currency
GROUP BY
  o.gateway,
  o.gateway_payment_id,
  o.currency;

/* Refunds beyond what was captured. Those we know of are counted first, so that the unknown one is the one too many. */
CREATE TABLE transactions_excess AS
SELECT
  row_key,
  LEAST(refund_minor, refunded_minor - captured_minor) AS stake_minor
FROM (
  SELECT
    m.row_key,
    -m.amount_minor AS refund_minor,
    c.captured_minor,
    SUM(-m.amount_minor) OVER (
      PARTITION BY m.gateway, m.gateway_payment_id, m.currency
      ORDER BY CASE WHEN p.row_key IS NULL THEN 1 ELSE 0 END, m.created_at_ms, m.transaction_id
      ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW
    ) AS refunded_minor
  FROM transactions_movement AS m
  JOIN transactions_captured AS c
    ON c.gateway = m.gateway
    AND c.gateway_payment_id = m.gateway_payment_id
    AND c.currency = m.currency
  LEFT JOIN transactions_pair AS p
    ON p.row_key = m.row_key
  WHERE
    m.kind = 'refund'
) AS running
WHERE
  refunded_minor > captured_minor;
