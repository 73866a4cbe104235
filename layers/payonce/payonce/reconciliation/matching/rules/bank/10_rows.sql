-- The rows of the family, each once: lines and statements that several files tell, and the gateways' payouts.

-- A statement that came in two formats is told twice. The telling that names most is taken, the other one only counted.
CREATE TABLE bank_rendition AS
SELECT
    statement_key, rendition_key,
    row_number() OVER (PARTITION BY statement_key ORDER BY told DESC, rendition_key) AS ordinal
FROM (
    SELECT
        statement_key, rendition_key,
        CAST(sum(length(reference_text) + length(coalesce(end_to_end_id, ''))) AS BIGINT) AS told
    FROM (
        SELECT DISTINCT statement_key, rendition_key, line_key, reference_text, end_to_end_id FROM bank_line
    ) AS lines
    GROUP BY statement_key, rendition_key
) AS renditions;

-- Only a statement that its balances prove can be checked against its neighbours; the others tell of movements alone.
CREATE TABLE bank_balanced AS
SELECT
    statement_key, account, currency, opening_minor, closing_minor, min(sequence) AS sequence,
    min(first_day) AS first_day, max(last_day) AS last_day
FROM bank_statement
WHERE proved = 1
GROUP BY statement_key, account, currency, opening_minor, closing_minor;

-- A notification and the statement of its day tell of the same movements in other words: the statement counts.
CREATE TABLE bank_stated_day AS
SELECT DISTINCT l.account, l.currency, l.booking_day
FROM bank_line AS l
JOIN bank_balanced AS b ON b.statement_key = l.statement_key
UNION
SELECT account, currency, last_day AS booking_day
FROM bank_balanced
WHERE last_day IS NOT NULL;

-- One id with several contents: the one that the bank agrees with is chosen, else the first by content. The others are
-- conflicts. payout_id: the payout that the row is, or takes back (is_back). member_of: the payout that it is paid out in.
CREATE TABLE bank_payout_content AS
SELECT
    gateway, transaction_id,
    CASE
        WHEN coalesce(gateway_object_id, '') <> '' THEN gateway_object_id
        WHEN coalesce(payout_id, '') <> '' THEN payout_id
        ELSE transaction_id
    END AS payout_id,
    CASE
        WHEN amount_minor > 0 AND coalesce(gateway_object_id, '') <> '' AND gateway_object_id <> coalesce(payout_id, '')
            THEN 1
        ELSE 0
    END AS is_back,
    CASE WHEN reference = '' THEN NULL ELSE reference END AS reference,
    gateway_payment_id, amount_minor, fee_minor, net_minor, currency, created_at_ms, available_at_ms, presented_minor,
    presented_currency, payout_reference, count(*) AS copies
FROM gateway_row
WHERE kind = 'payout'
GROUP BY
    gateway, transaction_id, gateway_object_id, payout_id, CASE WHEN reference = '' THEN NULL ELSE reference END,
    gateway_payment_id, amount_minor, fee_minor, net_minor, currency, created_at_ms, available_at_ms, presented_minor,
    presented_currency, payout_reference;

-- What lines say that they moved, in any currency: their own amount, and what was sent where they state it.
CREATE TABLE bank_amount AS
SELECT DISTINCT currency, amount_minor
FROM bank_line
UNION
SELECT DISTINCT sent_currency AS currency, sent_minor AS amount_minor
FROM bank_line
WHERE sent_currency IS NOT NULL;

CREATE TABLE bank_payout_row AS
SELECT
    g.*,
    g.gateway || '|' || g.transaction_id AS row_key,
    row_number() OVER (
        PARTITION BY g.gateway, g.transaction_id
        ORDER BY
            CASE WHEN l.amount_minor IS NULL THEN 1 ELSE 0 END, g.payout_id, g.currency, g.amount_minor, g.fee_minor,
            g.net_minor, g.created_at_ms, coalesce(g.available_at_ms, -1), coalesce(g.reference, ''),
            coalesce(g.gateway_payment_id, ''), coalesce(g.presented_minor, -1), coalesce(g.presented_currency, ''),
            coalesce(g.payout_reference, ''), g.is_back
    ) AS version
FROM bank_payout_content AS g
LEFT JOIN bank_amount AS l ON l.currency = g.currency AND l.amount_minor = -g.amount_minor
LEFT JOIN by_hand_taken AS y
    ON y.source = 'gateway' AND y.gateway = g.gateway AND y.transaction_id = g.transaction_id
WHERE y.row_key IS NULL;

-- Every row that the family accounts for, counted from the tables.
CREATE VIEW bank_input AS
SELECT
    source, currency, CAST(sum(row_count) AS BIGINT) AS row_count, CAST(sum(amount_minor) AS BIGINT) AS amount_minor
FROM (
    SELECT 'gateway' AS source, currency, count(*) AS row_count, sum(amount_minor) AS amount_minor
    FROM gateway_row
    WHERE kind = 'payout'
    GROUP BY currency
    UNION ALL
    SELECT 'gateway' AS source, currency, sum(1 - copies) AS row_count, sum((1 - copies) * amount_minor) AS amount_minor
    FROM bank_payout_row
    GROUP BY currency
    UNION ALL
    SELECT 'bank' AS source, currency, count(*) AS row_count, sum(amount_minor) AS amount_minor
    FROM (SELECT DISTINCT line_key, currency, amount_minor FROM bank_line) AS lines
    GROUP BY currency
    UNION ALL
    SELECT 'statement' AS source, currency, count(*) AS row_count, sum(turnover_minor) AS amount_minor
    FROM (
        SELECT DISTINCT
            statement_key, currency, coalesce(closing_minor, 0) - coalesce(opening_minor, 0) AS turnover_minor
        FROM bank_statement
    ) AS statements
    GROUP BY currency
    UNION ALL
    -- What was settled by hand is another family's.
    SELECT source, currency, -sum(copies) AS row_count, -sum(copies * amount_minor) AS amount_minor
    FROM by_hand_taken
    WHERE side >= 3
    GROUP BY source, currency
) AS counted
GROUP BY source, currency;
