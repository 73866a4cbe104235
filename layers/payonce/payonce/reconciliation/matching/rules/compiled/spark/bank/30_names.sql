-- Compiled from the rules in DuckDB's dialect by tools/compile_rules.py. Not edited by hand.
/* Which lines name which payout. A whole reference is compared, for po_1 is a part of po_12. */
/* Of texts the words, of references the words, too: banks write around an id what they like. */
CREATE TABLE bank_word AS
SELECT DISTINCT
  r.line_key,
  w.token
FROM (
  SELECT
    line_key,
    TRANSLATE(names || ' ' || COALESCE(description, ''), '|,;:/()+?"', '          ') AS words
  FROM bank_row
  WHERE
    counts = 1
) AS r
LATERAL VIEW
EXPLODE(SPLIT(r.words, CONCAT('\\Q', ' ', '\\E'))) w AS token
/* A word is a name only if it is as long as no word of a language should be by chance. */
WHERE
  LENGTH(w.token) >= 10;

CREATE TABLE bank_token AS
SELECT
  line_key,
  token
FROM bank_word
UNION
SELECT
  r.line_key,
  n.token
FROM bank_row AS r
LATERAL VIEW
EXPLODE(SPLIT(r.names, CONCAT('\\Q', '|', '\\E'))) n AS token
WHERE
  r.counts = 1 AND n.token <> '';

CREATE TABLE bank_payout_name AS
SELECT DISTINCT
  gateway,
  payout_id,
  currency,
  payout_id AS token
FROM bank_payout_row
WHERE
  version = 1
UNION
SELECT DISTINCT
  gateway,
  payout_id,
  currency,
  transaction_id AS token
FROM bank_payout_row
WHERE
  version = 1;

/* A short id, such as the number of a batch, may stand in any reference: it counts beside the right amount alone, unless */
/* it has letters and digits. Banks put references into capitals and drop what is neither letter nor digit: a long one is */
/* known without them, too. A short one is not, for po_1_12 and po_11_2 would be the same. */
CREATE TABLE bank_named_whole AS
SELECT
  l.line_key,
  p.gateway,
  p.payout_id,
  p.currency
FROM bank_payout_name AS n
JOIN bank_token AS t
  ON t.token = n.token
JOIN bank_row AS l
  ON l.line_key = t.line_key AND l.currency = n.currency
JOIN bank_payout AS p
  ON p.gateway = n.gateway AND p.payout_id = n.payout_id AND p.currency = n.currency
WHERE
  LENGTH(n.token) >= 6
  OR l.amount_minor = p.expected_minor
  OR (
    LENGTH(n.token) >= 4
    AND UPPER(n.token) <> LOWER(n.token)
    AND TRANSLATE(n.token, '0123456789', '') <> n.token
  )
UNION
SELECT
  l.line_key,
  n.gateway,
  n.payout_id,
  n.currency
FROM (
  SELECT
    gateway,
    payout_id,
    currency,
    TRANSLATE(UPPER(token), ' _-./:', '') AS plain
  FROM bank_payout_name
) AS n
JOIN (
  SELECT
    line_key,
    TRANSLATE(UPPER(token), ' _-./:', '') AS plain
  FROM bank_token
) AS t
  ON t.plain = n.plain
JOIN bank_row AS l
  ON l.line_key = t.line_key AND l.currency = n.currency
WHERE
  LENGTH(n.plain) >= 10;

/* Banks cut references at the length of their field, 16 characters at the least. The beginning of a name is one if nothing */
/* in the line is a whole name; a shorter one counts beside the right amount alone. */
CREATE TABLE bank_cut AS
SELECT
  t.line_key,
  n.gateway,
  n.payout_id,
  n.currency,
  MAX(CASE WHEN LENGTH(t.token) >= 16 THEN 1 ELSE 0 END) AS is_long,
  MAX(CASE WHEN l.amount_minor = p.expected_minor THEN 1 ELSE 0 END) AS is_equal
FROM (
  SELECT
    line_key,
    token,
    TRANSLATE(UPPER(token), ' _-./:', '') AS plain
  FROM bank_token
) AS t
JOIN (
  SELECT
    gateway,
    payout_id,
    currency,
    TRANSLATE(UPPER(token), ' _-./:', '') AS plain
  FROM bank_payout_name
) AS n
  ON SUBSTRING(n.plain, 1, 8) = SUBSTRING(t.plain, 1, 8)
JOIN bank_row AS l
  ON l.line_key = t.line_key AND l.currency = n.currency
JOIN bank_payout AS p
  ON p.gateway = n.gateway AND p.payout_id = n.payout_id AND p.currency = n.currency
LEFT JOIN (
  SELECT DISTINCT
    line_key
  FROM bank_named_whole
) AS w
  ON w.line_key = t.line_key
WHERE
  w.line_key IS NULL
  AND LENGTH(t.token) >= 10
  AND LENGTH(t.plain) >= 8
  AND LENGTH(t.plain) < LENGTH(n.plain)
  AND SUBSTRING(n.plain, 1, LENGTH(t.plain)) = t.plain
GROUP BY
  t.line_key,
  n.gateway,
  n.payout_id,
  n.currency;

CREATE TABLE bank_named AS
SELECT
  line_key,
  gateway,
  payout_id,
  currency
FROM bank_named_whole
UNION
/* What fits one payout alone; of several, the one that has the amount. */
SELECT
  c.line_key,
  c.gateway,
  c.payout_id,
  c.currency
FROM bank_cut AS c
JOIN (
  SELECT
    line_key,
    COUNT(*) AS payouts,
    SUM(is_equal) AS equals
  FROM bank_cut
  GROUP BY
    line_key
) AS s
  ON s.line_key = c.line_key
WHERE
  (
    s.equals = 1 AND c.is_equal = 1
  ) OR (
    s.payouts = 1 AND c.is_long = 1
  );

/* A line that names a payout of another currency was converted by the bank. It is nobody else's, whatever its amount. */
CREATE TABLE bank_converted AS
SELECT DISTINCT
  t.line_key
FROM (
  SELECT
    line_key,
    TRANSLATE(UPPER(token), ' _-./:', '') AS plain
  FROM bank_token
) AS t
JOIN (
  SELECT
    currency,
    TRANSLATE(UPPER(token), ' _-./:', '') AS plain
  FROM bank_payout_name
) AS n
  ON n.plain = t.plain
JOIN bank_row AS l
  ON l.line_key = t.line_key AND l.currency <> n.currency
WHERE
  LENGTH(n.plain) >= 10;

/* Lines that name one payout, and whether they are all of it. */
CREATE TABLE bank_single AS
SELECT
  n.line_key,
  n.gateway,
  n.payout_id,
  n.currency
FROM bank_named AS n
JOIN (
  SELECT
    line_key
  FROM bank_named
  GROUP BY
    line_key
  HAVING
    COUNT(*) = 1
) AS s
  ON s.line_key = n.line_key;

CREATE TABLE bank_paid_alone AS
SELECT
  s.gateway,
  s.payout_id,
  s.currency
FROM bank_single AS s
JOIN bank_row AS l
  ON l.line_key = s.line_key
JOIN bank_payout AS p
  ON p.gateway = s.gateway AND p.payout_id = s.payout_id AND p.currency = s.currency
GROUP BY
  s.gateway,
  s.payout_id,
  s.currency,
  p.expected_minor
HAVING
  SUM(l.amount_minor) = p.expected_minor;

/* A line that names several: those that came by themselves need it no more. */
CREATE TABLE bank_several AS
SELECT
  n.line_key,
  n.gateway,
  n.payout_id,
  n.currency,
  p.expected_minor
FROM bank_named AS n
JOIN (
  SELECT
    line_key
  FROM bank_named
  GROUP BY
    line_key
  HAVING
    COUNT(*) > 1
) AS m
  ON m.line_key = n.line_key
JOIN bank_payout AS p
  ON p.gateway = n.gateway AND p.payout_id = n.payout_id AND p.currency = n.currency
LEFT JOIN bank_paid_alone AS a
  ON a.gateway = n.gateway AND a.payout_id = n.payout_id AND a.currency = n.currency
WHERE
  a.payout_id IS NULL;

CREATE TABLE bank_several_line AS
SELECT
  l.line_key,
  l.account,
  l.currency,
  COUNT(s.payout_id) AS payouts,
  CASE
    WHEN COALESCE(SUM(s.expected_minor), 0) = l.amount_minor
    AND MAX(COALESCE(o.others, 0)) = 0
    THEN 1
    ELSE 0
  END AS adds_up
FROM (
  SELECT
    line_key
  FROM bank_named
  GROUP BY
    line_key
  HAVING
    COUNT(*) > 1
) AS m
JOIN bank_row AS l
  ON l.line_key = m.line_key
LEFT JOIN bank_several AS s
  ON s.line_key = m.line_key
LEFT JOIN (
  SELECT
    gateway,
    payout_id,
    currency,
    COUNT(*) - 1 AS others
  FROM (
    SELECT
      gateway,
      payout_id,
      currency,
      line_key
    FROM bank_single
    UNION
    SELECT
      gateway,
      payout_id,
      currency,
      line_key
    FROM bank_several
  ) AS lines
  GROUP BY
    gateway,
    payout_id,
    currency
) AS o
  ON o.gateway = s.gateway AND o.payout_id = s.payout_id AND o.currency = s.currency
GROUP BY
  l.line_key,
  l.account,
  l.currency,
  l.amount_minor;

/* The lines of each payout alone. */
CREATE TABLE bank_own AS
SELECT
  line_key,
  gateway,
  payout_id,
  currency
FROM bank_single
UNION
SELECT
  s.line_key,
  s.gateway,
  s.payout_id,
  s.currency
FROM bank_several AS s
JOIN bank_several_line AS m
  ON m.line_key = s.line_key AND m.payouts = 1;

/* One credit for several payouts that is exactly their sum. */
CREATE TABLE bank_batch AS
SELECT
  s.line_key,
  s.gateway,
  s.payout_id,
  s.currency
FROM bank_several AS s
JOIN bank_several_line AS m
  ON m.line_key = s.line_key AND m.payouts > 1 AND m.adds_up = 1;

/* Anything else that names several can be read in more than one way. A payout goes with the first of its lines. */
CREATE TABLE bank_unclear AS
SELECT
  s.gateway,
  s.payout_id,
  s.currency,
  MIN(s.line_key) AS line_key
FROM bank_several AS s
JOIN bank_several_line AS m
  ON m.line_key = s.line_key AND m.payouts > 1 AND m.adds_up = 0
GROUP BY
  s.gateway,
  s.payout_id,
  s.currency;
