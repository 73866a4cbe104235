-- Compiled from the rules in DuckDB's dialect by tools/compile_rules.py. Not edited by hand.
/* The rows of the family, each once: lines and statements that several files tell, and the gateways' payouts. */
/* A statement that came in two formats is told twice. The telling that names most is taken, the other one only counted. */
CREATE TABLE bank_rendition AS
SELECT
  statement_key,
  rendition_key,
  ROW_NUMBER() OVER (PARTITION BY statement_key ORDER BY told DESC, rendition_key NULLS LAST) AS ordinal
FROM (
  SELECT
    statement_key,
    rendition_key,
    CAST(SUM(LENGTH(reference_text) + LENGTH(COALESCE(end_to_end_id, ''))) AS BIGINT) AS told
  FROM (
    SELECT DISTINCT
      statement_key,
      rendition_key,
      line_key,
      reference_text,
      end_to_end_id
    FROM bank_line
  ) AS lines
  GROUP BY
    statement_key,
    rendition_key
) AS renditions;

/* Only a statement with balances can be checked against its neighbours; the others notify of single movements. */
CREATE TABLE bank_balanced AS
SELECT
  statement_key,
  account,
  currency,
  opening_minor,
  closing_minor,
  MIN(sequence) AS sequence,
  MIN(first_day) AS first_day,
  MAX(last_day) AS last_day
FROM bank_statement
WHERE
  NOT opening_minor IS NULL AND NOT closing_minor IS NULL
GROUP BY
  statement_key,
  account,
  currency,
  opening_minor,
  closing_minor;

/* A notification and the statement of its day tell of the same movements in other words: the statement counts. */
CREATE TABLE bank_stated_day AS
SELECT DISTINCT
  l.account,
  l.currency,
  l.booking_day
FROM bank_line AS l
JOIN bank_balanced AS b
  ON b.statement_key = l.statement_key
UNION
SELECT
  account,
  currency,
  last_day AS booking_day
FROM bank_balanced
WHERE
  NOT last_day IS NULL;

CREATE TABLE bank_row AS
SELECT
  l.line_key,
  l.account,
  l.currency,
  l.amount_minor,
  l.booking_day,
  MIN(l.reference_text || COALESCE(l.end_to_end_id, '') || '|') AS names,
  MIN(l.description) AS description,
  MAX(
    CASE
      WHEN r.ordinal = 1 AND (
        NOT b.statement_key IS NULL OR d.booking_day IS NULL
      )
      THEN 1
      ELSE 0
    END
  ) AS counts
FROM bank_line AS l
JOIN bank_rendition AS r
  ON r.statement_key = l.statement_key AND r.rendition_key = l.rendition_key
LEFT JOIN bank_balanced AS b
  ON b.statement_key = l.statement_key
LEFT JOIN bank_stated_day AS d
  ON d.account = l.account
  AND d.currency = l.currency
  AND d.booking_day = l.booking_day
GROUP BY
  l.line_key,
  l.account,
  l.currency,
  l.amount_minor,
  l.booking_day;

/* One id with several contents: the one that the bank agrees with is chosen, else the first by content. The others are */
/* conflicts. */
CREATE TABLE bank_payout_row AS
SELECT
  g.*,
  g.gateway || '|' || g.transaction_id AS row_key,
  ROW_NUMBER() OVER (
    PARTITION BY g.gateway, g.transaction_id
    ORDER BY CASE WHEN l.amount_minor IS NULL THEN 1 ELSE 0 END NULLS LAST, g.payout_id NULLS LAST, g.currency NULLS LAST, g.amount_minor NULLS LAST, g.fee_minor NULLS LAST, g.net_minor NULLS LAST, g.created_at_ms NULLS LAST, COALESCE(g.available_at_ms, -1) NULLS LAST, COALESCE(g.reference, '') NULLS LAST, COALESCE(g.gateway_payment_id, '') NULLS LAST, COALESCE(g.presented_minor, -1) NULLS LAST, COALESCE(g.presented_currency, '') NULLS LAST
  ) AS version
FROM (
  SELECT
    gateway,
    transaction_id,
    CASE WHEN COALESCE(payout_id, '') = '' THEN transaction_id ELSE payout_id END AS payout_id,
    CASE WHEN reference = '' THEN NULL ELSE reference END AS reference,
    gateway_payment_id,
    amount_minor,
    fee_minor,
    net_minor,
    currency,
    created_at_ms,
    available_at_ms,
    presented_minor,
    presented_currency,
    COUNT(*) AS copies
  FROM gateway_row
  WHERE
    kind = 'payout'
  GROUP BY
    gateway,
    transaction_id,
    CASE WHEN COALESCE(payout_id, '') = '' THEN transaction_id ELSE payout_id END,
    CASE WHEN reference = '' THEN NULL ELSE reference END,
    gateway_payment_id,
    amount_minor,
    fee_minor,
    net_minor,
    currency,
    created_at_ms,
    available_at_ms,
    presented_minor,
    presented_currency
) AS g
LEFT JOIN (
  SELECT DISTINCT
    currency,
    amount_minor
  FROM bank_row
  WHERE
    counts = 1
) AS l
  ON l.currency = g.currency AND l.amount_minor = -g.amount_minor;

/* Every row that the family accounts for, counted from the tables. */
CREATE VIEW bank_input AS
SELECT
  source,
  currency,
  CAST(SUM(row_count) AS BIGINT) AS row_count,
  CAST(SUM(amount_minor) AS BIGINT) AS amount_minor
FROM (
  SELECT
    'gateway' AS source,
    currency,
    COUNT(*) AS row_count,
    SUM(amount_minor) AS amount_minor
  FROM gateway_row
  WHERE
    kind = 'payout'
  GROUP BY
    currency
  UNION ALL
  SELECT
    'gateway' AS source,
    currency,
    SUM(1 - copies) AS row_count,
    SUM((
      1 - copies
    ) * amount_minor) AS amount_minor
  FROM bank_payout_row
  GROUP BY
    currency
  UNION ALL
  SELECT
    'bank' AS source,
    currency,
    COUNT(*) AS row_count,
    SUM(amount_minor) AS amount_minor
  FROM (
    SELECT DISTINCT
      line_key,
      currency,
      amount_minor
    FROM bank_line
  ) AS lines
  GROUP BY
    currency
  UNION ALL
  SELECT
    'statement' AS source,
    currency,
    COUNT(*) AS row_count,
    SUM(turnover_minor) AS amount_minor
  FROM (
    SELECT DISTINCT
      statement_key,
      currency,
      COALESCE(closing_minor, 0) - COALESCE(opening_minor, 0) AS turnover_minor
    FROM bank_statement
  ) AS statements
  GROUP BY
    currency
) AS counted
GROUP BY
  source,
  currency;
