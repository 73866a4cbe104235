-- What the family leaves behind. Amounts and times come from the rows once more, so that a rule that loses a row or takes
-- one twice shows in the sums.

-- Gateways that only one side names: a report's name that the ledger does not know beside a name in the ledger that has no
-- report is most likely one gateway under two names. Nothing of either can be compared, and that is said once.
CREATE TABLE transactions_uncompared AS
SELECT side.source, side.gateway, side.reason
FROM (
    SELECT
        CASE WHEN sum(own_rows) = 0 THEN 'gateway' ELSE 'ledger' END AS source, gateway,
        CASE WHEN sum(own_rows) = 0 THEN 'gateway_not_in_ledger' ELSE 'no_report' END AS reason
    FROM transactions_lane
    GROUP BY gateway
    HAVING sum(own_rows) = 0 OR sum(reported_rows) = 0
) AS side
CROSS JOIN (
    SELECT
        sum(CASE WHEN own_rows = 0 THEN 1 ELSE 0 END) AS misnamed,
        sum(CASE WHEN own_rows = 0 THEN 0 ELSE 1 END) AS unreported
    FROM (
        SELECT sum(own_rows) AS own_rows
        FROM transactions_lane
        GROUP BY gateway
        HAVING sum(own_rows) = 0 OR sum(reported_rows) = 0
    ) AS one_sided
) AS sides
WHERE sides.misnamed > 0 AND sides.unreported > 0;

CREATE TABLE transactions_judged AS
SELECT
    v.source, v.row_key, v.version, CASE WHEN u.gateway IS NULL THEN v.break_class ELSE '' END AS break_class,
    CASE WHEN u.gateway IS NULL THEN v.settled ELSE 'excluded' END AS settled,
    CASE WHEN u.gateway IS NULL THEN v.reason ELSE u.reason END AS reason, v.gateway, v.subject_2, v.subject_3,
    v.stake_minor, v.stake_currency, v.merchant_id, v.payment_id, v.surplus_gateway_payment_id, l.currency,
    l.amount_minor, l.booked_at_ms AS at_ms, l.gateway AS row_gateway, l.ref AS label
FROM transactions_verdict AS v
JOIN transactions_ledger_row AS l ON l.entry_id = v.row_key
LEFT JOIN transactions_uncompared AS u ON u.source = 'ledger' AND u.gateway = l.gateway
WHERE v.source = 'ledger'
UNION ALL
SELECT
    v.source, v.row_key, v.version, CASE WHEN u.gateway IS NULL THEN v.break_class ELSE '' END AS break_class,
    CASE WHEN u.gateway IS NULL THEN v.settled ELSE 'excluded' END AS settled,
    CASE WHEN u.gateway IS NULL THEN v.reason ELSE u.reason END AS reason, v.gateway, v.subject_2, v.subject_3,
    v.stake_minor, v.stake_currency, v.merchant_id, v.payment_id, v.surplus_gateway_payment_id, g.currency,
    g.amount_minor, g.created_at_ms AS at_ms, g.gateway AS row_gateway,
    coalesce(g.category, g.reference, g.kind) AS label
FROM transactions_verdict AS v
JOIN transactions_gateway_row AS g ON g.row_key = v.row_key AND g.version = v.version
LEFT JOIN transactions_uncompared AS u ON u.source = 'gateway' AND u.gateway = g.gateway AND g.kind <> 'payout'
WHERE v.source = 'gateway';

CREATE VIEW transactions_outcome AS
SELECT
    source, row_key, CASE WHEN break_class = '' THEN settled ELSE 'break' END AS outcome, break_class, currency,
    amount_minor
FROM transactions_judged;

-- Each row that is neither matched nor a break, with the reason.
CREATE VIEW transactions_open_item AS
SELECT source, row_key, reason, currency, amount_minor, at_ms, row_gateway AS gateway, label
FROM transactions_judged
WHERE break_class = '' AND settled = 'excluded';

-- What moved each gateway's balance, by the gateway's own words; a row that two files have in common counts once.
CREATE VIEW transactions_balance AS
SELECT
    gateway, kind, category, currency, CAST(sum(row_count) AS BIGINT) AS row_count,
    CAST(sum(amount_minor) AS BIGINT) AS amount_minor, CAST(sum(fee_minor) AS BIGINT) AS fee_minor
FROM (
    SELECT
        gateway, kind, coalesce(category, kind) AS category, currency, count(*) AS row_count,
        sum(amount_minor) AS amount_minor, sum(fee_minor) AS fee_minor
    FROM gateway_row
    WHERE kind <> 'payout'
    GROUP BY gateway, kind, coalesce(category, kind), currency
    UNION ALL
    SELECT
        gateway, kind, coalesce(category, kind) AS category, currency, count(*) AS row_count,
        sum(amount_minor) AS amount_minor, sum(fee_minor) AS fee_minor
    FROM (
        SELECT DISTINCT gateway, transaction_id, kind, category, currency, amount_minor, fee_minor
        FROM gateway_row
        WHERE kind = 'payout'
    ) AS payouts
    GROUP BY gateway, kind, coalesce(category, kind), currency
    UNION ALL
    SELECT
        gateway, kind, coalesce(category, kind) AS category, currency, sum(1 - copies) AS row_count,
        sum((1 - copies) * amount_minor) AS amount_minor, sum((1 - copies) * fee_minor) AS fee_minor
    FROM transactions_gateway_row
    GROUP BY gateway, kind, coalesce(category, kind), currency
    UNION ALL
    SELECT
        gateway, kind, category, currency, sum(1 - copies) AS row_count, sum((1 - copies) * amount_minor) AS amount_minor,
        sum((1 - copies) * fee_minor) AS fee_minor
    FROM by_hand_taken
    WHERE side = 2
    GROUP BY gateway, kind, category, currency
) AS counted
GROUP BY gateway, kind, category, currency;

-- How much of either side found its other, per gateway.
CREATE VIEW transactions_coverage AS
SELECT
    source, gateway, CAST(sum(row_count) AS BIGINT) AS row_count, CAST(sum(paired) AS BIGINT) AS paired,
    min(first_ms) AS first_ms, max(last_ms) AS last_ms
FROM (
    SELECT
        'ledger' AS source, gateway, own_rows AS row_count, 0 AS paired, first_own_ms AS first_ms,
        last_own_ms AS last_ms
    FROM transactions_lane
    UNION ALL
    SELECT
        'gateway' AS source, gateway, reported_rows AS row_count, 0 AS paired, first_reported_ms AS first_ms,
        last_reported_ms AS last_ms
    FROM transactions_lane
    UNION ALL
    SELECT
        s.source, b.gateway, 0 AS row_count, k.row_count AS paired, CAST(NULL AS BIGINT) AS first_ms,
        CAST(NULL AS BIGINT) AS last_ms
    FROM transactions_settled AS k
    JOIN transactions_lane AS b ON b.lane = k.lane
    CROSS JOIN (SELECT 'ledger' AS source UNION ALL SELECT 'gateway' AS source) AS s
    WHERE k.plain = 1
    UNION ALL
    SELECT
        source, row_gateway AS gateway, 0 AS row_count, count(*) AS paired, CAST(NULL AS BIGINT) AS first_ms,
        CAST(NULL AS BIGINT) AS last_ms
    FROM transactions_judged
    WHERE (break_class = '' AND (settled = 'matched' OR reason IN ('taken_back', 'given_back')))
        OR break_class NOT IN ('', 'missing_in_gateway', 'missing_in_ledger', 'orphan_refund', 'ambiguous')
    GROUP BY source, row_gateway
) AS counted
GROUP BY source, gateway;

-- Whose a row is that only the gateway has: by its reference, or by the payment that it belongs to.
CREATE TABLE transactions_unowned AS
SELECT DISTINCT v.row_key, g.gateway, g.reference, g.gateway_payment_id
FROM transactions_judged AS v
JOIN transactions_gateway_row AS g ON g.row_key = v.row_key AND g.version = v.version
WHERE v.source = 'gateway' AND v.break_class <> '' AND v.merchant_id IS NULL;

CREATE TABLE transactions_owner AS
SELECT row_key, max(merchant_id) AS merchant_id, max(payment_id) AS payment_id
FROM (
    SELECT u.row_key, l.merchant_id, l.payment_id
    FROM ledger AS l
    JOIN transactions_unowned AS u ON u.gateway = l.gateway AND u.reference = l.reference
    UNION ALL
    SELECT u.row_key, l.merchant_id, l.payment_id
    FROM ledger AS l
    JOIN transactions_unowned AS u ON u.gateway = l.gateway AND u.gateway_payment_id = l.gateway_payment_id
) AS owners
GROUP BY row_key;

CREATE TABLE transactions_found AS
SELECT
    v.break_class, v.gateway AS subject_1, v.subject_2, v.subject_3, '' AS subject_4,
    CAST(sum(v.stake_minor) AS BIGINT) AS amount_minor,
    max(v.stake_currency) AS currency, max(v.at_ms) AS occurred_at_ms,
    max(coalesce(v.merchant_id, o.merchant_id)) AS merchant_id, max(coalesce(v.payment_id, o.payment_id)) AS payment_id,
    v.gateway, max(v.surplus_gateway_payment_id) AS surplus_gateway_payment_id
FROM transactions_judged AS v
LEFT JOIN transactions_owner AS o ON v.source = 'gateway' AND o.row_key = v.row_key
WHERE v.break_class <> ''
GROUP BY v.break_class, v.gateway, v.subject_2, v.subject_3;

-- A surplus shows only beside what it is too many of.
CREATE TABLE transactions_link AS
SELECT DISTINCT break_class, gateway AS subject_1, subject_2, subject_3, '' AS subject_4, source, row_key
FROM transactions_judged
WHERE break_class <> ''
UNION
SELECT f.break_class, f.subject_1, f.subject_2, f.subject_3, f.subject_4, v.source, v.row_key
FROM transactions_found AS f
JOIN transactions_judged AS v ON v.gateway = f.subject_1 AND v.subject_2 = f.subject_2
WHERE f.subject_3 <> '';

-- What was settled in bulk. The matched pairs of the finer rules add their hashes (and no rows, which are among the
-- outcomes): a pair has the same hash whichever way it went.
CREATE VIEW transactions_bulk AS
SELECT
    source, 'matched' AS outcome, currency, CAST(sum(row_count) AS BIGINT) AS row_count,
    CAST(sum(amount_minor) AS BIGINT) AS amount_minor,
    CAST(sum(CASE WHEN source = 'ledger' THEN pair_hash ELSE 0 END) AS BIGINT) AS pair_hash
FROM (
    SELECT b.currency, k.row_count, k.amount_minor, k.pair_hash
    FROM transactions_settled AS k
    JOIN transactions_lane AS b ON b.lane = k.lane
    WHERE k.plain = 1
    UNION ALL
    SELECT
        m.currency, CAST(0 AS BIGINT) AS row_count, CAST(0 AS BIGINT) AS amount_minor,
        (row_hash(p.entry_id) * row_hash(m.row_key)) % 2147483647 AS pair_hash
    FROM transactions_pair_verdict AS p
    JOIN transactions_movement AS m ON m.row_key = p.row_key
    LEFT JOIN transactions_uncompared AS u ON u.source = 'gateway' AND u.gateway = m.gateway
    WHERE p.break_class = '' AND u.gateway IS NULL
) AS pairs
CROSS JOIN (SELECT 'ledger' AS source UNION ALL SELECT 'gateway' AS source) AS sources
GROUP BY source, currency;

-- What the keys of the rows that went in add up to, each row once, and what those of the outcomes do: equal counts could
-- hide a row that ended twice in place of another one.
CREATE VIEW transactions_keys AS
SELECT source, CAST(sum(taken) AS BIGINT) AS taken, CAST(sum(given) AS BIGINT) AS given
FROM (
    SELECT source, key_hash AS taken, CAST(0 AS BIGINT) AS given
    FROM transactions_identity
    UNION ALL
    SELECT 'ledger' AS source, (1 - copies) * row_hash(entry_id) AS taken, CAST(0 AS BIGINT) AS given
    FROM transactions_ledger_row
    UNION ALL
    SELECT 'gateway' AS source, (1 - copies) * row_hash(row_key) AS taken, CAST(0 AS BIGINT) AS given
    FROM transactions_gateway_row
    UNION ALL
    SELECT source, -copies * row_hash(row_key) AS taken, CAST(0 AS BIGINT) AS given
    FROM by_hand_taken
    WHERE side < 3
    UNION ALL
    SELECT 'ledger' AS source, CAST(0 AS BIGINT) AS taken, ledger_hash AS given
    FROM transactions_settled
    WHERE plain = 1
    UNION ALL
    SELECT 'gateway' AS source, CAST(0 AS BIGINT) AS taken, gateway_hash AS given
    FROM transactions_settled
    WHERE plain = 1
    UNION ALL
    SELECT source, CAST(0 AS BIGINT) AS taken, row_hash(row_key) AS given
    FROM transactions_outcome
) AS summed
GROUP BY source;
