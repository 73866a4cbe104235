-- A payout as one: what the gateway says it sent, and whether the movements that it was made of add up to it.

-- A gateway whose reports have no row of a payout, as Stripe's payout reconciliation, names each in the rows that it is
-- made of: it is their sum.
CREATE TABLE bank_itemised AS
SELECT DISTINCT g.gateway
FROM (SELECT DISTINCT gateway FROM gateway_row WHERE kind <> 'payout' AND payout_id <> '') AS g
LEFT JOIN (SELECT DISTINCT gateway FROM bank_payout_content WHERE amount_minor < 0 OR is_back = 0) AS p
    ON p.gateway = g.gateway
WHERE p.gateway IS NULL;

-- Where files overlap, each row is taken once; else the sums are those of the files.
CREATE TABLE bank_repeated AS
SELECT count(*) AS row_count FROM transactions_gateway_row WHERE copies > 1 OR version > 1;

CREATE TABLE bank_derived AS
SELECT
    members.gateway, members.payout_id, members.currency, CAST(sum(members.net_minor) AS BIGINT) AS expected_minor,
    min(members.at_ms) AS first_ms, max(members.at_ms) AS last_ms, max(members.payout_reference) AS payout_reference,
    CAST(sum(members.row_count) AS BIGINT) AS row_count
FROM (
    SELECT
        g.gateway, g.payout_id, g.currency, sum(g.net_minor) AS net_minor, count(*) AS row_count,
        max(coalesce(g.payout_at_ms, g.available_at_ms, g.created_at_ms)) AS at_ms,
        max(g.payout_reference) AS payout_reference
    FROM gateway_row AS g
    JOIN bank_itemised AS i ON i.gateway = g.gateway
    CROSS JOIN bank_repeated AS r
    WHERE g.payout_id <> '' AND r.row_count = 0
    GROUP BY g.gateway, g.payout_id, g.currency
    UNION ALL
    SELECT
        m.gateway, m.payout_id, m.currency, m.net_minor, 1 AS row_count, m.at_ms, m.payout_reference
    FROM (
        SELECT
            g.gateway, g.transaction_id, g.payout_id, g.currency, min(g.net_minor) AS net_minor,
            max(coalesce(g.payout_at_ms, g.available_at_ms, g.created_at_ms)) AS at_ms,
            max(g.payout_reference) AS payout_reference
        FROM gateway_row AS g
        JOIN bank_itemised AS i ON i.gateway = g.gateway
        CROSS JOIN bank_repeated AS r
        WHERE g.payout_id <> '' AND r.row_count > 0
        GROUP BY g.gateway, g.transaction_id, g.payout_id, g.currency
    ) AS m
) AS members
LEFT JOIN by_hand_taken AS y
    ON y.kind = 'sum' AND y.row_key = members.gateway || '|' || members.payout_id AND y.currency = members.currency
WHERE y.row_key IS NULL
GROUP BY members.gateway, members.payout_id, members.currency;

-- A payout and its reversal in the report stand under one id; what counts is what is left of them. net_minor is of the
-- rows that were paid out alone, is_told says that the report has a row of it.
CREATE TABLE bank_payout AS
SELECT
    gateway, payout_id, currency, CAST(sum(expected_minor) AS BIGINT) AS expected_minor,
    CAST(sum(net_minor) AS BIGINT) AS net_minor, min(at_day) AS first_day, max(at_day) AS last_day,
    max(is_told) AS is_told, max(is_derived) AS is_derived
FROM (
    SELECT
        gateway, payout_id, currency, -amount_minor AS expected_minor,
        CASE WHEN is_back = 1 THEN 0 ELSE -net_minor END AS net_minor, created_at_ms // 86400000 AS at_day,
        1 AS is_told, 0 AS is_derived
    FROM bank_payout_row
    WHERE version = 1
    UNION ALL
    SELECT
        gateway, payout_id, currency, expected_minor, expected_minor AS net_minor, last_ms // 86400000 AS at_day,
        0 AS is_told, 1 AS is_derived
    FROM bank_derived
) AS told
GROUP BY gateway, payout_id, currency;

-- The sums of all members, as they are in the files. Only where they are off, or where files overlap at all, is it worth
-- taking each row once. A payout that came back is a member of the one with which it is paid again. more_minor: by how much
-- the members are more than their payout.
CREATE TABLE bank_made_of AS
SELECT gateway, payout_id, currency, CAST(sum(net_minor) AS BIGINT) AS net_minor
FROM gateway_row
WHERE payout_id <> '' AND (kind <> 'payout' OR (gateway_object_id <> '' AND gateway_object_id <> payout_id))
GROUP BY gateway, payout_id, currency;

CREATE TABLE bank_recheck AS
SELECT p.gateway, p.payout_id, p.currency, p.net_minor
FROM bank_payout AS p
JOIN bank_made_of AS m ON m.gateway = p.gateway AND m.payout_id = p.payout_id AND m.currency = p.currency
CROSS JOIN bank_repeated AS r
WHERE p.is_derived = 0 AND p.net_minor <> 0 AND (m.net_minor <> p.net_minor OR r.row_count > 0);

CREATE TABLE bank_off AS
SELECT
    r.gateway, r.payout_id, r.currency, CAST(abs(r.net_minor - sum(g.net_minor)) AS BIGINT) AS off_minor,
    CAST(sum(g.net_minor) - r.net_minor AS BIGINT) AS more_minor
FROM bank_recheck AS r
JOIN (
    -- Of an id with two contents one is taken: the other is a conflict of its own.
    SELECT m.gateway, m.transaction_id, m.payout_id, m.currency, min(m.net_minor) AS net_minor
    FROM gateway_row AS m
    JOIN bank_recheck AS c ON c.gateway = m.gateway AND c.payout_id = m.payout_id AND c.currency = m.currency
    WHERE m.kind <> 'payout' OR (m.gateway_object_id <> '' AND m.gateway_object_id <> m.payout_id)
    GROUP BY m.gateway, m.transaction_id, m.payout_id, m.currency
) AS g ON g.gateway = r.gateway AND g.payout_id = r.payout_id AND g.currency = r.currency
GROUP BY r.gateway, r.payout_id, r.currency, r.net_minor
HAVING sum(g.net_minor) <> r.net_minor;

-- What can't be checked is said: payouts of which the report names no movement.
CREATE VIEW bank_memberless AS
SELECT p.gateway, p.currency, count(*) AS row_count, CAST(sum(abs(p.expected_minor)) AS BIGINT) AS amount_minor
FROM bank_payout AS p
LEFT JOIN bank_made_of AS m ON m.gateway = p.gateway AND m.payout_id = p.payout_id AND m.currency = p.currency
WHERE p.is_derived = 0 AND p.expected_minor <> 0 AND m.payout_id IS NULL
GROUP BY p.gateway, p.currency;
