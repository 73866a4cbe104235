-- What the family leaves behind. Amounts come from the rows once more, so that a rule that loses a row or takes one twice
-- shows in the sums.

-- The lines that only some of the contents of a statement have. is_taken: they are of the one that counts.
CREATE TABLE bank_conflict_line AS
SELECT l.line_key, min(s.subject_1) AS subject_1, min(s.subject_2) AS subject_2, min(s.subject_3) AS subject_3,
    max(s.stake_minor) AS stake_minor, l.counts AS is_taken
FROM bank_row AS l
JOIN (SELECT DISTINCT statement_key, line_key FROM bank_line) AS m ON m.line_key = l.line_key
JOIN bank_conflict_subject AS s ON s.statement_key = m.statement_key
JOIN (
    SELECT account, currency, last_day, identity, count(*) AS contents
    FROM bank_conflict
    GROUP BY account, currency, last_day, identity
) AS c
    ON c.account = s.account AND c.currency = s.currency AND c.last_day = s.last_day AND c.identity = s.identity
WHERE l.is_conflict = 1 OR l.counts = 1
GROUP BY l.line_key, l.counts, c.contents
HAVING count(*) < c.contents;

CREATE TABLE bank_verdict AS
SELECT
    'gateway' AS source, r.row_key, CAST(r.version AS BIGINT) AS version, s.break_class, s.settled, s.reason, s.subject_1, s.subject_2, '' AS subject_3,
    s.stake_minor, s.gateway, s.currency AS stake_currency
FROM bank_payout_row AS r
JOIN bank_payout_subject AS s ON s.gateway = r.gateway AND s.payout_id = r.payout_id AND s.currency = r.currency
WHERE r.version = 1
UNION ALL
SELECT
    'gateway' AS source, row_key, CAST(version AS BIGINT) AS version, 'payload_conflict' AS break_class, 'excluded' AS settled,
    '' AS reason,
    gateway AS subject_1, payout_id AS subject_2, transaction_id AS subject_3, abs(amount_minor) AS stake_minor,
    gateway, currency AS stake_currency
FROM bank_payout_row
WHERE version > 1
UNION ALL
SELECT
    'bank' AS source, r.line_key AS row_key, CAST(1 AS BIGINT) AS version,
    CASE WHEN c.line_key IS NOT NULL THEN 'statement_conflict' ELSE coalesce(s.break_class, '') END AS break_class,
    coalesce(s.settled, 'excluded') AS settled,
    CASE
        WHEN r.counts = 0 THEN 'told_again'
        WHEN x.line_key IS NOT NULL THEN 'converted'
        WHEN b.line_key IS NOT NULL THEN 'came_back'
        WHEN g.line_key IS NOT NULL THEN 'no_payout'
        ELSE 'other_movement'
    END AS reason,
    coalesce(c.subject_1, s.subject_1, '') AS subject_1, coalesce(c.subject_2, s.subject_2, '') AS subject_2,
    coalesce(c.subject_3, s.subject_3, '') AS subject_3, coalesce(c.stake_minor, s.stake_minor, 0) AS stake_minor,
    coalesce(s.gateway, g.gateway) AS gateway, r.currency AS stake_currency
FROM bank_row AS r
LEFT JOIN bank_line_subject AS s ON s.line_key = r.line_key
LEFT JOIN bank_conflict_line AS c ON c.line_key = r.line_key AND c.is_taken = 0
LEFT JOIN (SELECT DISTINCT line_key FROM bank_converted WHERE is_rated = 0) AS x ON x.line_key = r.line_key
LEFT JOIN (SELECT line_key FROM bank_back UNION SELECT back_key AS line_key FROM bank_back) AS b
    ON b.line_key = r.line_key
LEFT JOIN (SELECT line_key, min(gateway) AS gateway FROM bank_said GROUP BY line_key) AS g ON g.line_key = r.line_key
UNION ALL
SELECT
    'statement' AS source, t.statement_key AS row_key, CAST(1 AS BIGINT) AS version,
    CASE WHEN c.statement_key IS NOT NULL THEN 'statement_conflict' ELSE coalesce(v.break_class, '') END AS break_class,
    coalesce(v.settled, 'excluded') AS settled,
    CASE WHEN v.statement_key IS NULL THEN 'not_comparable' ELSE 'first_statement' END AS reason,
    t.account AS subject_1, coalesce(c.subject_2, v.subject_2, '') AS subject_2,
    coalesce(c.subject_3, v.subject_3, '') AS subject_3, coalesce(c.stake_minor, v.stake_minor, 0) AS stake_minor,
    CAST(NULL AS VARCHAR) AS gateway, t.currency AS stake_currency
FROM (SELECT DISTINCT statement_key, account, currency FROM bank_statement) AS t
LEFT JOIN bank_statement_verdict AS v ON v.statement_key = t.statement_key
LEFT JOIN bank_conflict_subject AS c ON c.statement_key = t.statement_key AND c.ordinal > 1;

CREATE TABLE bank_judged AS
SELECT v.*, g.currency, g.amount_minor, g.created_at_ms AS at_ms, coalesce(g.payout_reference, g.payout_id) AS label
FROM bank_verdict AS v
JOIN bank_payout_row AS g ON g.row_key = v.row_key AND g.version = v.version
WHERE v.source = 'gateway'
UNION ALL
SELECT
    v.*, l.currency, l.amount_minor, l.booking_day * 86400000 AS at_ms,
    coalesce(l.counterparty || ' ', '') || coalesce(l.description, '') AS label
FROM bank_verdict AS v
JOIN bank_row AS l ON l.line_key = v.row_key
WHERE v.source = 'bank'
UNION ALL
SELECT v.*, t.currency, t.turnover_minor AS amount_minor, t.last_day * 86400000 AS at_ms, v.subject_1 AS label
FROM bank_verdict AS v
JOIN (
    SELECT
        statement_key, currency, max(coalesce(last_day, first_day, 0)) AS last_day,
        coalesce(closing_minor, 0) - coalesce(opening_minor, 0) AS turnover_minor
    FROM bank_statement
    GROUP BY statement_key, currency, opening_minor, closing_minor
) AS t ON t.statement_key = v.row_key
WHERE v.source = 'statement';

CREATE VIEW bank_outcome AS
SELECT
    source, row_key, CASE WHEN break_class = '' THEN settled ELSE 'break' END AS outcome, break_class, currency,
    amount_minor
FROM bank_judged;

-- Each row that is neither matched nor a break, with the reason.
CREATE VIEW bank_open_item AS
SELECT source, row_key, reason, currency, amount_minor, at_ms, gateway, label
FROM bank_judged
WHERE break_class = '' AND settled = 'excluded';

-- A payout that no row of the report is of, only its members: what it stands for in a break.
CREATE TABLE bank_unreported AS
SELECT
    s.gateway, s.payout_id, s.gateway || '|' || s.payout_id AS row_key, s.break_class, s.subject_1, s.subject_2,
    s.stake_minor, s.currency, s.last_day * 86400000 AS at_ms
FROM bank_payout_subject AS s
WHERE s.is_told = 0 AND s.break_class <> '';

CREATE TABLE bank_found AS
SELECT
    break_class, subject_1, subject_2, subject_3, '' AS subject_4, CAST(max(stake_minor) AS BIGINT) AS amount_minor,
    max(stake_currency) AS currency, max(at_ms) AS occurred_at_ms, CAST(NULL AS VARCHAR) AS merchant_id,
    CAST(NULL AS VARCHAR) AS payment_id, max(gateway) AS gateway,
    CAST(NULL AS VARCHAR) AS surplus_gateway_payment_id
FROM (
    SELECT break_class, subject_1, subject_2, subject_3, stake_minor, stake_currency, at_ms, gateway
    FROM bank_judged
    WHERE break_class <> ''
    UNION ALL
    SELECT
        break_class, subject_1, subject_2, '' AS subject_3, stake_minor, currency AS stake_currency, at_ms, gateway
    FROM bank_unreported
) AS judged
GROUP BY break_class, subject_1, subject_2, subject_3;

-- A surplus shows only beside what it is too many of.
CREATE TABLE bank_link AS
SELECT DISTINCT break_class, subject_1, subject_2, subject_3, '' AS subject_4, source, row_key
FROM bank_verdict
WHERE break_class <> ''
UNION
SELECT break_class, subject_1, subject_2, '' AS subject_3, '' AS subject_4, 'gateway' AS source, row_key
FROM bank_unreported
UNION
SELECT f.break_class, f.subject_1, f.subject_2, f.subject_3, '' AS subject_4, 'gateway' AS source,
    d.gateway || '|' || d.payout_id AS row_key
FROM bank_found AS f
JOIN bank_derived AS d ON d.gateway = f.subject_1 AND d.payout_id = f.subject_2 AND d.currency = f.currency
WHERE f.break_class = 'duplicate_credit'
UNION
SELECT
    'statement_conflict' AS break_class, subject_1, subject_2, subject_3, '' AS subject_4, 'statement' AS source,
    statement_key AS row_key
FROM bank_conflict_subject
UNION
SELECT
    'statement_conflict' AS break_class, subject_1, subject_2, subject_3, '' AS subject_4, 'bank' AS source,
    line_key AS row_key
FROM bank_conflict_line
UNION
SELECT f.break_class, f.subject_1, f.subject_2, f.subject_3, f.subject_4, v.source, v.row_key
FROM bank_found AS f
JOIN bank_verdict AS v ON v.subject_1 = f.subject_1 AND v.subject_2 = f.subject_2
WHERE f.subject_3 <> '' AND f.break_class IN ('duplicate_credit', 'payload_conflict');

-- What the keys of the rows that went in add up to, each row once, and what those of the outcomes do.
CREATE VIEW bank_keys AS
SELECT source, CAST(sum(taken) AS BIGINT) AS taken, CAST(sum(given) AS BIGINT) AS given
FROM (
    SELECT 'gateway' AS source, row_hash(gateway || '|' || transaction_id) AS taken, CAST(0 AS BIGINT) AS given
    FROM gateway_row
    WHERE kind = 'payout'
    UNION ALL
    SELECT 'gateway' AS source, (1 - copies) * row_hash(row_key) AS taken, CAST(0 AS BIGINT) AS given
    FROM bank_payout_row
    UNION ALL
    SELECT 'bank' AS source, row_hash(line_key) AS taken, CAST(0 AS BIGINT) AS given
    FROM (SELECT DISTINCT line_key, currency, amount_minor FROM bank_line) AS lines
    UNION ALL
    SELECT source, -copies * row_hash(row_key) AS taken, CAST(0 AS BIGINT) AS given
    FROM by_hand_taken
    WHERE side >= 3
    UNION ALL
    SELECT 'statement' AS source, row_hash(statement_key) AS taken, CAST(0 AS BIGINT) AS given
    FROM (
        SELECT DISTINCT
            statement_key, currency, coalesce(closing_minor, 0) - coalesce(opening_minor, 0) AS turnover_minor
        FROM bank_statement
    ) AS statements
    UNION ALL
    SELECT source, CAST(0 AS BIGINT) AS taken, row_hash(row_key) AS given
    FROM bank_outcome
) AS summed
GROUP BY source;
