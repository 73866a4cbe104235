-- What no single row of one side is of the other: several that add up to several, and rows that no name leads to.

-- Captures that one side has in one sum and the other in parts. Under one reference, else under one payment.
CREATE TABLE transactions_side AS
SELECT
    'ledger' AS source, e.entry_id AS row_key, e.gateway, e.kind, e.currency, e.amount_minor, n.level, n.name
FROM transactions_own AS e
JOIN transactions_entry_name AS n ON n.entry_id = e.entry_id
LEFT JOIN transactions_named AS t ON t.entry_id = e.entry_id
WHERE t.entry_id IS NULL AND n.level > 1
UNION
SELECT 'gateway' AS source, m.row_key, m.gateway, m.kind, m.currency, m.amount_minor, n.level, n.name
FROM transactions_life AS m
JOIN transactions_life_name AS n ON n.row_key = m.row_key
LEFT JOIN transactions_named AS t ON t.row_key = m.row_key
WHERE t.row_key IS NULL AND n.level > 1 AND m.amount_minor <> 0;

CREATE TABLE transactions_summed AS
SELECT DISTINCT s.source, s.row_key
FROM transactions_side AS s
JOIN (
    SELECT gateway, kind, currency, level, name
    FROM transactions_side
    GROUP BY gateway, kind, currency, level, name
    HAVING sum(CASE WHEN source = 'ledger' THEN amount_minor ELSE -amount_minor END) = 0
        AND count(CASE WHEN source = 'ledger' THEN 1 END) > 0 AND count(CASE WHEN source = 'gateway' THEN 1 END) > 0
) AS k
    ON k.gateway = s.gateway AND k.kind = s.kind AND k.currency = s.currency AND k.level = s.level AND k.name = s.name;

-- Which reference of ours the rest belongs to. A row without a reference: that of the rows which have a name in common with
-- it, if it is one, or if one of them has its amount. A charge with another reference: that of our charges of the same
-- payment which nothing else answers to, if it is one.
CREATE TABLE transactions_by_payment AS
SELECT
    u.row_key,
    count(DISTINCT l.ref) AS refs,
    min(l.ref) AS ref,
    count(DISTINCT CASE WHEN l.amount_minor = u.amount_minor AND l.currency = u.currency THEN l.ref END) AS equal_refs,
    min(CASE WHEN l.amount_minor = u.amount_minor AND l.currency = u.currency THEN l.ref END) AS equal_ref,
    count(DISTINCT CASE WHEN l.is_free = 1 THEN l.ref END) AS free_refs,
    min(CASE WHEN l.is_free = 1 THEN l.ref END) AS free_ref
FROM transactions_life AS u
JOIN transactions_life_name AS n ON n.row_key = u.row_key AND n.level = 3
JOIN (
    SELECT r.gateway, r.kind, r.ref, r.gateway_payment_id AS name, r.amount_minor, r.currency, 0 AS is_free
    FROM transactions_ledger_row AS r
    WHERE r.reverses_entry_id IS NULL AND r.gateway_payment_id IS NOT NULL
    UNION ALL
    SELECT r.gateway, r.kind, r.ref, r.ref AS name, r.amount_minor, r.currency, 0 AS is_free
    FROM transactions_ledger_row AS r
    WHERE r.reverses_entry_id IS NULL
    UNION ALL
    SELECT e.gateway, e.kind, e.ref, n.name, e.amount_minor, e.currency, 1 AS is_free
    FROM transactions_own AS e
    JOIN transactions_entry_name AS n ON n.entry_id = e.entry_id AND n.level = 3
    LEFT JOIN transactions_named AS t ON t.entry_id = e.entry_id
    WHERE e.kind = 'charge' AND t.entry_id IS NULL
) AS l ON l.gateway = u.gateway AND l.kind = u.kind AND l.name = n.name
GROUP BY u.row_key;

CREATE TABLE transactions_known_reference AS
SELECT
    m.row_key, m.gateway, m.kind,
    CASE
        WHEN e.ref IS NOT NULL THEN e.ref
        WHEN k.ref IS NOT NULL THEN k.ref
        WHEN m.reference IS NULL AND p.refs = 1 THEN p.ref
        WHEN m.reference IS NULL AND p.equal_refs = 1 THEN p.equal_ref
        WHEN p.free_refs = 1 THEN p.free_ref
    END AS ref
FROM transactions_life AS m
LEFT JOIN transactions_named AS t ON t.row_key = m.row_key
LEFT JOIN transactions_own AS e ON e.entry_id = t.entry_id
LEFT JOIN (SELECT DISTINCT gateway, kind, ref FROM transactions_ledger_row) AS k
    ON k.gateway = m.gateway AND k.kind = m.kind AND k.ref = m.reference
LEFT JOIN transactions_by_payment AS p ON p.row_key = m.row_key;

-- Booked, not taken back, and no gateway row names it.
CREATE TABLE transactions_free_ledger AS
SELECT l.*
FROM transactions_own AS l
LEFT JOIN (SELECT DISTINCT gateway, kind, ref FROM transactions_known_reference WHERE ref IS NOT NULL) AS k
    ON k.gateway = l.gateway AND k.kind = l.kind AND k.ref = l.ref
LEFT JOIN transactions_summed AS s ON s.source = 'ledger' AND s.row_key = l.entry_id
WHERE l.state = 'booked' AND k.ref IS NULL AND s.row_key IS NULL;

-- Without any name: equal and near in time. With a reference that was cut: equal, and one begins with the other.
CREATE TABLE transactions_candidate AS
SELECT u.row_key, l.entry_id, l.ref, u.gateway, u.kind, u.currency, u.amount_minor, u.created_at_ms, l.booked_at_ms
FROM transactions_life AS u
CROSS JOIN settings AS s
JOIN transactions_free_ledger AS l
    ON l.gateway = u.gateway AND l.kind = u.kind AND l.currency = u.currency AND l.amount_minor = u.amount_minor
JOIN transactions_known_reference AS k ON k.row_key = u.row_key
LEFT JOIN transactions_summed AS x ON x.source = 'gateway' AND x.row_key = u.row_key
WHERE k.ref IS NULL AND x.row_key IS NULL AND u.alone = 0
    AND ((u.reference IS NULL AND abs(u.created_at_ms - l.booked_at_ms) <= s.in_transit_hours * 3600000)
        OR (length(u.reference) >= 8 AND substr(l.ref, 1, length(u.reference)) = u.reference)
        OR (length(l.ref) >= 8 AND substr(u.reference, 1, length(l.ref)) = l.ref))
    AND coalesce(l.gateway_payment_id, u.gateway_payment_id, '') = coalesce(u.gateway_payment_id, l.gateway_payment_id, '');

CREATE TABLE transactions_only_candidate AS
SELECT c.row_key, c.entry_id, c.ref
FROM transactions_candidate AS c
JOIN (SELECT row_key FROM transactions_candidate GROUP BY row_key HAVING count(*) = 1) AS g ON g.row_key = c.row_key
JOIN (SELECT entry_id FROM transactions_candidate GROUP BY entry_id HAVING count(*) = 1) AS l
    ON l.entry_id = c.entry_id;

-- The rest is ambiguous. Its rows form a group as long as each is within the time of the one before.
CREATE TABLE transactions_ambiguous AS
SELECT
    source, row_key, gateway, kind, currency, amount_minor, at_ms,
    sum(opens) OVER (
        PARTITION BY gateway, kind, currency, amount_minor ORDER BY at_ms, source, row_key
        ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW
    ) AS ordinal
FROM (
    SELECT
        r.*,
        CASE
            WHEN r.at_ms - lag(r.at_ms) OVER (
                PARTITION BY r.gateway, r.kind, r.currency, r.amount_minor ORDER BY r.at_ms, r.source, r.row_key
            ) <= s.in_transit_hours * 3600000 THEN 0
            ELSE 1
        END AS opens
    FROM (
        SELECT DISTINCT
            'gateway' AS source, c.row_key, c.gateway, c.kind, c.currency, c.amount_minor, c.created_at_ms AS at_ms
        FROM transactions_candidate AS c
        LEFT JOIN transactions_only_candidate AS o ON o.row_key = c.row_key
        WHERE o.row_key IS NULL
        UNION ALL
        SELECT DISTINCT
            'ledger' AS source, c.entry_id AS row_key, c.gateway, c.kind, c.currency, c.amount_minor,
            c.booked_at_ms AS at_ms
        FROM transactions_candidate AS c
        LEFT JOIN transactions_only_candidate AS o ON o.entry_id = c.entry_id
        WHERE o.entry_id IS NULL
    ) AS r
    CROSS JOIN settings AS s
) AS sessions;

-- The movements that the rest of the rules is about. One without any reference stands under its own id.
CREATE TABLE transactions_movement AS
SELECT m.*, coalesce(k.ref, o.ref, m.reference, m.transaction_id) AS ref
FROM transactions_life AS m
JOIN transactions_known_reference AS k ON k.row_key = m.row_key
LEFT JOIN transactions_only_candidate AS o ON o.row_key = m.row_key
LEFT JOIN transactions_ambiguous AS a ON a.source = 'gateway' AND a.row_key = m.row_key
WHERE a.row_key IS NULL;

CREATE TABLE transactions_entry AS
SELECT l.*
FROM transactions_own AS l
LEFT JOIN transactions_ambiguous AS a ON a.source = 'ledger' AND a.row_key = l.entry_id
WHERE a.row_key IS NULL;
