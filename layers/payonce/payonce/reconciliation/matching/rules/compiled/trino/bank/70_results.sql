-- Compiled from the rules in DuckDB's dialect by tools/compile_rules.py. Not edited by hand.
/* What the family leaves behind. Amounts come from the rows once more, so that a rule that loses a row or takes one twice */
/* shows in the sums. */
CREATE TABLE bank_verdict AS
SELECT
  'gateway' AS source,
  r.row_key,
  CAST(r.version AS BIGINT) AS version,
  s.break_class,
  s.settled,
  s.subject_1,
  s.subject_2,
  '' AS subject_3,
  s.stake_minor,
  s.gateway,
  s.currency AS stake_currency
FROM bank_payout_row AS r
JOIN bank_payout_subject AS s
  ON s.gateway = r.gateway AND s.payout_id = r.payout_id AND s.currency = r.currency
WHERE
  r.version = 1
UNION ALL
SELECT
  'gateway' AS source,
  row_key,
  CAST(version AS BIGINT) AS version,
  'payload_conflict' AS break_class,
  'excluded' AS settled,
  gateway AS subject_1,
  payout_id AS subject_2,
  transaction_id AS subject_3,
  ABS(amount_minor) AS stake_minor,
  gateway,
  currency AS stake_currency
FROM bank_payout_row
WHERE
  version > 1
UNION ALL
SELECT
  'bank' AS source,
  r.line_key AS row_key,
  CAST(1 AS BIGINT) AS version,
  COALESCE(s.break_class, '') AS break_class,
  COALESCE(s.settled, 'excluded') AS settled,
  COALESCE(s.subject_1, '') AS subject_1,
  COALESCE(s.subject_2, '') AS subject_2,
  COALESCE(s.subject_3, '') AS subject_3,
  COALESCE(s.stake_minor, 0) AS stake_minor,
  s.gateway,
  r.currency AS stake_currency
FROM bank_row AS r
LEFT JOIN bank_line_subject AS s
  ON s.line_key = r.line_key
UNION ALL
SELECT
  'statement' AS source,
  t.statement_key AS row_key,
  CAST(1 AS BIGINT) AS version,
  COALESCE(v.break_class, '') AS break_class,
  COALESCE(v.settled, 'excluded') AS settled,
  t.account AS subject_1,
  COALESCE(v.subject_2, '') AS subject_2,
  COALESCE(v.subject_3, '') AS subject_3,
  COALESCE(v.stake_minor, 0) AS stake_minor,
  CAST(NULL AS VARCHAR) AS gateway,
  t.currency AS stake_currency
FROM (
  SELECT DISTINCT
    statement_key,
    account,
    currency
  FROM bank_statement
) AS t
LEFT JOIN bank_statement_verdict AS v
  ON v.statement_key = t.statement_key;

CREATE TABLE bank_judged AS
SELECT
  v.*,
  g.currency,
  g.amount_minor,
  g.created_at_ms AS at_ms
FROM bank_verdict AS v
JOIN bank_payout_row AS g
  ON g.row_key = v.row_key AND g.version = v.version
WHERE
  v.source = 'gateway'
UNION ALL
SELECT
  v.*,
  l.currency,
  l.amount_minor,
  l.booking_day * 86400000 AS at_ms
FROM bank_verdict AS v
JOIN bank_row AS l
  ON l.line_key = v.row_key
WHERE
  v.source = 'bank'
UNION ALL
SELECT
  v.*,
  t.currency,
  t.turnover_minor AS amount_minor,
  t.last_day * 86400000 AS at_ms
FROM bank_verdict AS v
JOIN (
  SELECT
    statement_key,
    currency,
    MAX(COALESCE(last_day, first_day, 0)) AS last_day,
    COALESCE(closing_minor, 0) - COALESCE(opening_minor, 0) AS turnover_minor
  FROM bank_statement
  GROUP BY
    statement_key,
    currency,
    opening_minor,
    closing_minor
) AS t
  ON t.statement_key = v.row_key
WHERE
  v.source = 'statement';

CREATE VIEW bank_outcome AS
SELECT
  source,
  row_key,
  CASE WHEN break_class = '' THEN settled ELSE 'break' END AS outcome,
  break_class,
  currency,
  amount_minor
FROM bank_judged;

CREATE TABLE bank_found AS
SELECT
  break_class,
  subject_1,
  subject_2,
  subject_3,
  '' AS subject_4,
  CAST(MAX(stake_minor) AS BIGINT) AS amount_minor,
  MAX(stake_currency) AS currency,
  MAX(at_ms) AS occurred_at_ms,
  CAST(NULL AS VARCHAR) AS merchant_id,
  CAST(NULL AS VARCHAR) AS payment_id,
  MAX(gateway) AS gateway,
  CAST(NULL AS VARCHAR) AS surplus_gateway_payment_id
FROM bank_judged
WHERE
  break_class <> ''
GROUP BY
  break_class,
  subject_1,
  subject_2,
  subject_3;

/* A surplus shows only beside what it is too many of. */
CREATE TABLE bank_link AS
SELECT DISTINCT
  break_class,
  subject_1,
  subject_2,
  subject_3,
  '' AS subject_4,
  source,
  row_key
FROM bank_verdict
WHERE
  break_class <> ''
UNION
SELECT
  f.break_class,
  f.subject_1,
  f.subject_2,
  f.subject_3,
  f.subject_4,
  v.source,
  v.row_key
FROM bank_found AS f
JOIN bank_verdict AS v
  ON v.subject_1 = f.subject_1 AND v.subject_2 = f.subject_2
WHERE
  f.subject_3 <> '' AND f.break_class IN ('duplicate_credit', 'payload_conflict');

/* What the keys of the rows that went in add up to, each row once, and what those of the outcomes do. */
CREATE VIEW bank_keys AS
SELECT
  source,
  CAST(SUM(taken) AS BIGINT) AS taken,
  CAST(SUM(given) AS BIGINT) AS given
FROM (
  SELECT
    'gateway' AS source,
    (
      FROM_BIG_ENDIAN_64(
        CONCAT(
          x'00000000',
          REVERSE(
            SUBSTR(
              MD5(
                TO_UTF8(
                  CONCAT(CAST(gateway AS VARCHAR), CAST('|' AS VARCHAR), CAST(transaction_id AS VARCHAR))
                )
              ),
              9,
              4
            )
          )
        )
      ) % 2147483647
    ) AS taken,
    CAST(0 AS BIGINT) AS given
  FROM gateway_row
  WHERE
    kind = 'payout'
  UNION ALL
  SELECT
    'gateway' AS source,
    (
      1 - copies
    ) * (
      FROM_BIG_ENDIAN_64(CONCAT(x'00000000', REVERSE(SUBSTR(MD5(TO_UTF8(row_key)), 9, 4)))) % 2147483647
    ) AS taken,
    CAST(0 AS BIGINT) AS given
  FROM bank_payout_row
  UNION ALL
  SELECT
    'bank' AS source,
    (
      FROM_BIG_ENDIAN_64(CONCAT(x'00000000', REVERSE(SUBSTR(MD5(TO_UTF8(line_key)), 9, 4)))) % 2147483647
    ) AS taken,
    CAST(0 AS BIGINT) AS given
  FROM (
    SELECT DISTINCT
      line_key,
      currency,
      amount_minor
    FROM bank_line
  ) AS lines
  UNION ALL
  SELECT
    'statement' AS source,
    (
      FROM_BIG_ENDIAN_64(CONCAT(x'00000000', REVERSE(SUBSTR(MD5(TO_UTF8(statement_key)), 9, 4)))) % 2147483647
    ) AS taken,
    CAST(0 AS BIGINT) AS given
  FROM (
    SELECT DISTINCT
      statement_key,
      currency,
      COALESCE(closing_minor, 0) - COALESCE(opening_minor, 0) AS turnover_minor
    FROM bank_statement
  ) AS statements
  UNION ALL
  SELECT
    source,
    CAST(0 AS BIGINT) AS taken,
    (
      FROM_BIG_ENDIAN_64(CONCAT(x'00000000', REVERSE(SUBSTR(MD5(TO_UTF8(row_key)), 9, 4)))) % 2147483647
    ) AS given
  FROM bank_outcome
) AS summed
GROUP BY
  source;
