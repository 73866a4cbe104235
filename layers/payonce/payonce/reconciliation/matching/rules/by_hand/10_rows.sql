-- Rows that a person said belong together, and rows that a rule of the operator's own names. They are settled first, and
-- the other families look at what is left.

CREATE TABLE by_hand_wanted AS
SELECT source, row_key FROM matched_row
UNION
SELECT source, row_key FROM labelled_row;

-- side: how far the money has come: 1 our ledger, 2 the gateway's report, 3 its payout, 4 the bank. value_minor: what the row
-- says came to us; a payout leaves the gateway's balance, and comes. contents: how many rows have this key.
CREATE TABLE by_hand_content AS
SELECT
    c.source, c.row_key, c.side, c.gateway, c.transaction_id, c.kind, c.category, c.currency, c.amount_minor, c.value_minor,
    c.fee_minor, c.at_ms, c.merchant_id, c.payment_id, c.label, c.copies,
    count(*) OVER (PARTITION BY c.source, c.row_key) AS contents
FROM (
    SELECT
        'ledger' AS source, l.entry_id AS row_key, 1 AS side, l.gateway, '' AS transaction_id, l.kind, l.kind AS category,
        l.currency, l.amount_minor, l.amount_minor AS value_minor, CAST(0 AS BIGINT) AS fee_minor,
        max(l.booked_at_ms) AS at_ms, max(l.merchant_id) AS merchant_id, max(l.payment_id) AS payment_id,
        max(l.reference) AS label, count(*) AS copies
    FROM ledger AS l
    JOIN by_hand_wanted AS w ON w.source = 'ledger' AND w.row_key = l.entry_id
    GROUP BY l.entry_id, l.gateway, l.kind, l.currency, l.amount_minor
    UNION ALL
    SELECT
        'gateway' AS source, w.row_key, CASE WHEN g.kind = 'payout' THEN 3 ELSE 2 END AS side, g.gateway,
        g.transaction_id, g.kind, coalesce(g.category, g.kind) AS category, g.currency, g.amount_minor,
        CASE WHEN g.kind = 'payout' THEN -g.amount_minor ELSE g.amount_minor END AS value_minor, g.fee_minor,
        max(g.created_at_ms) AS at_ms, CAST(NULL AS VARCHAR) AS merchant_id, CAST(NULL AS VARCHAR) AS payment_id,
        max(coalesce(g.reference, g.category, g.kind)) AS label, count(*) AS copies
    FROM gateway_row AS g
    JOIN by_hand_wanted AS w ON w.source = 'gateway' AND w.row_key = g.gateway || '|' || g.transaction_id
    GROUP BY
        w.row_key, g.gateway, g.transaction_id, g.kind, coalesce(g.category, g.kind), g.currency, g.amount_minor, g.fee_minor
    UNION ALL
    SELECT
        'bank' AS source, l.line_key AS row_key, 4 AS side, CAST(NULL AS VARCHAR) AS gateway, '' AS transaction_id,
        'line' AS kind, 'line' AS category, l.currency, l.amount_minor, l.amount_minor AS value_minor,
        CAST(0 AS BIGINT) AS fee_minor, max(l.booking_day) * 86400000 AS at_ms, CAST(NULL AS VARCHAR) AS merchant_id,
        CAST(NULL AS VARCHAR) AS payment_id,
        max(coalesce(l.counterparty || ' ', '') || coalesce(l.description, '')) AS label,
        -- The family of the bank counts each line once.
        CAST(1 AS BIGINT) AS copies
    FROM bank_line AS l
    JOIN by_hand_wanted AS w ON w.source = 'bank' AND w.row_key = l.line_key
    GROUP BY l.line_key, l.currency, l.amount_minor
    UNION ALL
    -- A payout that the report has no row of, only those that it is made of: it is their sum, and no row of its own.
    SELECT
        'gateway' AS source, d.row_key, 3 AS side, d.gateway, '' AS transaction_id, 'sum' AS kind, 'sum' AS category,
        d.currency, CAST(-sum(d.net_minor) AS BIGINT) AS amount_minor, CAST(sum(d.net_minor) AS BIGINT) AS value_minor,
        CAST(0 AS BIGINT) AS fee_minor,
        max(d.at_ms) AS at_ms, CAST(NULL AS VARCHAR) AS merchant_id, CAST(NULL AS VARCHAR) AS payment_id,
        max(d.payout_id) AS label, CAST(0 AS BIGINT) AS copies
    FROM (
        SELECT
            w.row_key, g.gateway, g.payout_id, g.currency, min(g.net_minor) AS net_minor,
            max(coalesce(g.payout_at_ms, g.available_at_ms, g.created_at_ms)) AS at_ms
        FROM gateway_row AS g
        JOIN by_hand_wanted AS w ON w.source = 'gateway' AND w.row_key = g.gateway || '|' || g.payout_id
        LEFT JOIN (SELECT DISTINCT gateway FROM gateway_row WHERE kind = 'payout' AND amount_minor < 0) AS p
            ON p.gateway = g.gateway
        WHERE g.kind <> 'payout' AND g.payout_id <> '' AND p.gateway IS NULL
        GROUP BY w.row_key, g.gateway, g.transaction_id, g.payout_id, g.currency
    ) AS d
    GROUP BY d.row_key, d.gateway, d.currency
) AS c;

-- A match is applied if the run has each of its rows, tells each in one way, and they are of two sides at most: then it can
-- be said what they differ by. Of several currencies that can't be judged, only accepted.
CREATE TABLE by_hand_match AS
SELECT
    match_id, accepts, wanted, found, gateway, first_side, last_side, merchant_id, payment_id,
    CASE
        WHEN contents > 1 THEN 'told_differently'
        WHEN found < wanted THEN 'rows_missing'
        WHEN sides > 2 THEN 'too_many_sides'
        WHEN currencies > 1 AND accepts = 0 THEN 'several_currencies'
        ELSE ''
    END AS not_applied
FROM (
    SELECT
        m.match_id, max(m.accepts) AS accepts, count(*) AS wanted, count(c.row_key) AS found,
        max(coalesce(c.contents, 0)) AS contents, count(DISTINCT c.side) AS sides,
        count(DISTINCT c.currency) AS currencies, max(c.gateway) AS gateway, min(c.side) AS first_side,
        max(c.side) AS last_side, max(c.merchant_id) AS merchant_id, max(c.payment_id) AS payment_id
    FROM matched_row AS m
    LEFT JOIN by_hand_content AS c ON c.source = m.source AND c.row_key = m.row_key
    GROUP BY m.match_id
) AS counted;

-- What the further side has beyond the nearer one; rows of one side make up for each other. base_minor: what it is off from.
CREATE TABLE by_hand_sum AS
SELECT
    m.match_id, c.currency,
    CAST(sum(CASE WHEN c.side = m.last_side THEN c.value_minor ELSE -c.value_minor END) AS BIGINT) AS difference_minor,
    CAST(CASE
        WHEN min(m.first_side) = min(m.last_side) THEN sum(CASE WHEN c.value_minor > 0 THEN c.value_minor ELSE 0 END)
        ELSE abs(sum(CASE WHEN c.side = m.first_side THEN c.value_minor ELSE 0 END))
    END AS BIGINT) AS base_minor,
    max(c.at_ms) AS at_ms
FROM by_hand_match AS m
JOIN matched_row AS w ON w.match_id = m.match_id
JOIN by_hand_content AS c ON c.source = w.source AND c.row_key = w.row_key
WHERE m.not_applied = ''
GROUP BY m.match_id, c.currency;

CREATE TABLE by_hand_verdict AS
SELECT
    m.match_id, m.gateway, m.last_side, m.merchant_id, m.payment_id, s.currency, s.base_minor, s.difference_minor, s.at_ms,
    CASE
        WHEN s.difference_minor = 0 THEN 'matched'
        WHEN m.accepts = 1 THEN 'accepted'
        WHEN abs(s.difference_minor) <= least(
            t.amount_minor,
            coalesce(
                s.base_minor // 10000 * t.basis_points + s.base_minor % 10000 * t.basis_points // 10000, t.amount_minor
            )
        ) THEN 'tolerated'
        ELSE 'different'
    END AS state
FROM by_hand_match AS m
JOIN by_hand_sum AS s ON s.match_id = m.match_id
LEFT JOIN tolerance AS t
    ON t.gateway = m.gateway AND t.currency = s.currency
    AND t.is_payout = CASE WHEN m.last_side >= 3 THEN 1 ELSE 0 END;

-- Each row that is taken out of what follows. A match goes before a rule.
CREATE TABLE by_hand_taken AS
SELECT
    c.source, c.row_key, c.side, c.gateway, c.transaction_id, c.kind, c.category, c.currency, c.amount_minor, c.fee_minor,
    c.at_ms, c.copies, c.label, m.match_id, '' AS reason,
    CASE WHEN d.match_id IS NULL THEN 'matched' ELSE 'break' END AS outcome
FROM matched_row AS w
JOIN by_hand_match AS m ON m.match_id = w.match_id AND m.not_applied = ''
JOIN by_hand_content AS c ON c.source = w.source AND c.row_key = w.row_key
LEFT JOIN (SELECT DISTINCT match_id FROM by_hand_verdict WHERE state = 'different') AS d ON d.match_id = w.match_id
UNION ALL
SELECT
    c.source, c.row_key, c.side, c.gateway, c.transaction_id, c.kind, c.category, c.currency, c.amount_minor, c.fee_minor,
    c.at_ms, c.copies, c.label, '' AS match_id, 'rule: ' || r.label AS reason, 'excluded' AS outcome
FROM labelled_row AS r
JOIN by_hand_content AS c ON c.source = r.source AND c.row_key = r.row_key AND c.contents = 1
LEFT JOIN (
    SELECT w.source, w.row_key
    FROM matched_row AS w
    JOIN by_hand_match AS m ON m.match_id = w.match_id AND m.not_applied = ''
) AS t ON t.source = r.source AND t.row_key = r.row_key
WHERE t.row_key IS NULL;
