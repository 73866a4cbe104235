-- What agrees, what is left, and the first of either side of what is left.
-- basis: 'exact' (amount and currency agree), 'presented' (what the payer saw agrees), 'reversed' (it agreed until it came
-- back), 'first' (nothing agrees), 'state' (our ledger holds that nothing moved).

CREATE TABLE transactions_agreed AS
SELECT entry_id, row_key, basis FROM transactions_named
UNION ALL
SELECT entry_id, row_key, 'exact' AS basis FROM transactions_only_candidate;

-- What is left of either side, in order of time, beside how many of the group agreed.
CREATE TABLE transactions_left_entry AS
SELECT
    e.*,
    row_number() OVER (
        PARTITION BY e.gateway, e.kind, e.ref, CASE WHEN e.state = 'booked' THEN 1 ELSE 0 END
        ORDER BY e.booked_at_ms, e.entry_id
    ) AS ordinal
FROM transactions_entry AS e
LEFT JOIN transactions_agreed AS a ON a.entry_id = e.entry_id
LEFT JOIN transactions_summed AS s ON s.source = 'ledger' AND s.row_key = e.entry_id
WHERE a.entry_id IS NULL AND s.row_key IS NULL;

CREATE TABLE transactions_left_movement AS
SELECT
    m.*,
    row_number() OVER (
        PARTITION BY m.gateway, m.kind, m.ref
        ORDER BY CASE WHEN m.amount_minor = 0 THEN 1 ELSE 0 END, m.created_at_ms, m.transaction_id
    ) AS ordinal
FROM transactions_movement AS m
LEFT JOIN transactions_agreed AS a ON a.row_key = m.row_key
LEFT JOIN transactions_summed AS s ON s.source = 'gateway' AND s.row_key = m.row_key
WHERE a.row_key IS NULL AND s.row_key IS NULL;

CREATE TABLE transactions_group AS
SELECT
    gateway, kind, ref,
    CAST(sum(agreed) AS BIGINT) AS agreed, CAST(sum(booked) AS BIGINT) AS booked,
    CAST(sum(unbooked) AS BIGINT) AS unbooked, CAST(sum(moved) AS BIGINT) AS moved,
    max(merchant_id) AS merchant_id, max(payment_id) AS payment_id
FROM (
    SELECT
        e.gateway, e.kind, e.ref,
        CASE WHEN a.entry_id IS NOT NULL OR s.row_key IS NOT NULL THEN 1 ELSE 0 END AS agreed,
        CASE WHEN a.entry_id IS NULL AND s.row_key IS NULL AND e.state = 'booked' THEN 1 ELSE 0 END AS booked,
        CASE WHEN e.state <> 'booked' THEN 1 ELSE 0 END AS unbooked, 0 AS moved, e.merchant_id, e.payment_id
    FROM transactions_entry AS e
    LEFT JOIN transactions_agreed AS a ON a.entry_id = e.entry_id
    LEFT JOIN transactions_summed AS s ON s.source = 'ledger' AND s.row_key = e.entry_id
    UNION ALL
    SELECT
        gateway, kind, ref, 0 AS agreed, 0 AS booked, 0 AS unbooked, 1 AS moved,
        CAST(NULL AS VARCHAR) AS merchant_id, CAST(NULL AS VARCHAR) AS payment_id
    FROM transactions_left_movement
) AS members
GROUP BY gateway, kind, ref;

-- The first of either side where nothing agreed: the same movement with another amount, currency or state.
CREATE TABLE transactions_pair AS
SELECT entry_id, row_key, basis FROM transactions_agreed
UNION ALL
SELECT e.entry_id, m.row_key, CASE WHEN e.state = 'booked' THEN 'first' ELSE 'state' END AS basis
FROM transactions_left_entry AS e
JOIN transactions_group AS k ON k.gateway = e.gateway AND k.kind = e.kind AND k.ref = e.ref
JOIN transactions_left_movement AS m
    ON m.gateway = e.gateway AND m.kind = e.kind AND m.ref = e.ref AND m.ordinal = e.ordinal
WHERE k.agreed = 0
    AND ((e.state = 'booked' AND e.ordinal = 1) OR (e.state <> 'booked' AND k.booked = 0));
