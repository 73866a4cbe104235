-- Consuming pairs, in stages: each takes the first of one side with the first of the other of equal name and amount, so
-- that a second copy stays over. A stage sees what the stages before have left.

-- level 1: our reference and the payment's id; 2: our reference; 3: any id or reference of the payment, the narrowest
-- first, since a reference may be cut, swapped or missing, and a ledger may hold whichever id of the gateway it got.
CREATE TABLE transactions_entry_name AS
SELECT entry_id, 1 AS level, 1 AS choice, ref || '|' || gateway_payment_id AS name
FROM transactions_own
WHERE gateway_payment_id IS NOT NULL AND state = 'booked'
UNION ALL
SELECT entry_id, 2 AS level, 1 AS choice, ref AS name
FROM transactions_own
WHERE state = 'booked'
UNION ALL
SELECT entry_id, 3 AS level, 1 AS choice, gateway_payment_id AS name
FROM transactions_own
WHERE gateway_payment_id IS NOT NULL AND state = 'booked'
UNION ALL
SELECT entry_id, 3 AS level, 2 AS choice, ref AS name
FROM transactions_own
WHERE state = 'booked' AND ref <> coalesce(gateway_payment_id, '');

CREATE TABLE transactions_life_name AS
SELECT row_key, 1 AS level, 1 AS choice, reference || '|' || gateway_payment_id AS name
FROM transactions_life
WHERE reference IS NOT NULL AND gateway_payment_id IS NOT NULL
UNION ALL
SELECT row_key, 1 AS level, 2 AS choice, reference || '|' || gateway_charge_id AS name
FROM transactions_life
WHERE reference IS NOT NULL AND gateway_charge_id IS NOT NULL
UNION ALL
SELECT row_key, 2 AS level, 1 AS choice, reference AS name
FROM transactions_life
WHERE reference IS NOT NULL
UNION ALL
SELECT row_key, 3 AS level, 1 AS choice, gateway_object_id AS name
FROM transactions_life
WHERE gateway_object_id IS NOT NULL
UNION ALL
SELECT row_key, 3 AS level, 2 AS choice, gateway_charge_id AS name
FROM transactions_life
WHERE gateway_charge_id IS NOT NULL AND gateway_charge_id <> coalesce(gateway_object_id, '')
UNION ALL
SELECT row_key, 3 AS level, 3 AS choice, gateway_payment_id AS name
FROM transactions_life
WHERE gateway_payment_id IS NOT NULL AND gateway_payment_id <> coalesce(gateway_object_id, '')
UNION ALL
SELECT row_key, 3 AS level, 4 AS choice, payment_reference AS name
FROM transactions_life
WHERE payment_reference IS NOT NULL;

-- Lives that came back and that our ledger took back, too. Nothing is left of either, so that nothing else is either's
-- other: a second refund after a failed one is of its own.
CREATE TABLE transactions_undone AS
SELECT DISTINCT m.row_key
FROM transactions_life AS m
JOIN transactions_cancelled AS c ON m.amount_minor = 0 AND m.reversed_minor <> 0
JOIN transactions_ledger_row AS l
    ON l.entry_id = c.other_entry_id AND l.gateway = m.gateway AND l.kind = m.kind
    AND ((l.currency = m.currency AND l.amount_minor = m.gross_minor)
        OR (l.currency = m.presented_currency AND abs(l.amount_minor) = m.presented_minor))
    AND CASE
        WHEN m.reference IS NOT NULL THEN l.ref = m.reference
        ELSE l.gateway_payment_id IN (m.gateway_object_id, m.gateway_charge_id, m.gateway_payment_id)
    END;

-- The amounts that a life may stand for in our ledger. exact: what is left of it, presented: what the payer saw,
-- reversed: what there was before something came back.
CREATE TABLE transactions_form AS
SELECT row_key, 1 AS form, 'exact' AS basis, currency, amount_minor
FROM transactions_life
UNION ALL
SELECT
    row_key, 2 AS form, 'presented' AS basis, presented_currency AS currency,
    CASE WHEN amount_minor < 0 THEN -presented_minor ELSE presented_minor END AS amount_minor
FROM transactions_life
WHERE presented_minor IS NOT NULL AND reversed_minor = 0
UNION ALL
SELECT m.row_key, 3 AS form, 'reversed' AS basis, m.currency, m.gross_minor AS amount_minor
FROM transactions_life AS m
LEFT JOIN transactions_undone AS u ON u.row_key = m.row_key
WHERE m.reversed_minor <> 0 AND m.row_kind <> 'uncaptured' AND u.row_key IS NULL
UNION ALL
SELECT
    m.row_key, 3 AS form, 'reversed' AS basis, m.presented_currency AS currency,
    CASE WHEN m.gross_minor < 0 THEN -m.presented_minor ELSE m.presented_minor END AS amount_minor
FROM transactions_life AS m
LEFT JOIN transactions_undone AS u ON u.row_key = m.row_key
WHERE m.presented_minor IS NOT NULL AND m.reversed_minor <> 0 AND m.row_kind <> 'uncaptured' AND u.row_key IS NULL;

CREATE TABLE transactions_by_both AS
SELECT entry_id, row_key, basis
FROM (
    SELECT
        l.entry_id, g.row_key, g.basis,
        row_number() OVER (PARTITION BY l.entry_id ORDER BY g.form, g.level, g.choice, l.choice, g.row_key) AS of_entry,
        row_number() OVER (PARTITION BY g.row_key ORDER BY g.form, g.level, g.choice, l.choice, l.entry_id) AS of_life
    FROM (
        SELECT
            e.entry_id, e.gateway, e.kind, e.currency, e.amount_minor, n.level, n.choice, n.name,
            row_number() OVER (
                PARTITION BY e.gateway, e.kind, e.currency, e.amount_minor, n.level, n.choice, n.name
                ORDER BY e.booked_at_ms, e.entry_id
            ) AS ordinal
        FROM transactions_own AS e
        JOIN transactions_entry_name AS n ON n.entry_id = e.entry_id
        WHERE n.level = 1
    ) AS l
    JOIN (
        SELECT
            m.row_key, m.gateway, m.kind, f.form, f.basis, f.currency, f.amount_minor, n.level, n.choice, n.name,
            row_number() OVER (
                PARTITION BY m.gateway, m.kind, f.form, f.currency, f.amount_minor, n.level, n.choice, n.name
                ORDER BY m.created_at_ms, m.transaction_id
            ) AS ordinal
        FROM transactions_life AS m
        JOIN transactions_form AS f ON f.row_key = m.row_key
        JOIN transactions_life_name AS n ON n.row_key = m.row_key
        WHERE f.form = 1 AND n.level = 1
    ) AS g
        ON g.gateway = l.gateway AND g.kind = l.kind AND g.currency = l.currency AND g.amount_minor = l.amount_minor
        AND g.level = l.level AND g.name = l.name AND g.ordinal = l.ordinal
) AS edges
WHERE of_entry = 1 AND of_life = 1;

CREATE TABLE transactions_by_reference AS
SELECT entry_id, row_key, basis
FROM (
    SELECT
        l.entry_id, g.row_key, g.basis,
        row_number() OVER (PARTITION BY l.entry_id ORDER BY g.form, g.level, g.choice, l.choice, g.row_key) AS of_entry,
        row_number() OVER (PARTITION BY g.row_key ORDER BY g.form, g.level, g.choice, l.choice, l.entry_id) AS of_life
    FROM (
        SELECT
            e.entry_id, e.gateway, e.kind, e.currency, e.amount_minor, n.level, n.choice, n.name,
            row_number() OVER (
                PARTITION BY e.gateway, e.kind, e.currency, e.amount_minor, n.level, n.choice, n.name
                ORDER BY e.booked_at_ms, e.entry_id
            ) AS ordinal
        FROM transactions_own AS e
        JOIN transactions_entry_name AS n ON n.entry_id = e.entry_id
        LEFT JOIN (
            SELECT entry_id FROM transactions_by_both
        ) AS t ON t.entry_id = e.entry_id
        WHERE n.level = 2 AND t.entry_id IS NULL
    ) AS l
    JOIN (
        SELECT
            m.row_key, m.gateway, m.kind, f.form, f.basis, f.currency, f.amount_minor, n.level, n.choice, n.name,
            row_number() OVER (
                PARTITION BY m.gateway, m.kind, f.form, f.currency, f.amount_minor, n.level, n.choice, n.name
                ORDER BY m.created_at_ms, m.transaction_id
            ) AS ordinal
        FROM transactions_life AS m
        JOIN transactions_form AS f ON f.row_key = m.row_key
        JOIN transactions_life_name AS n ON n.row_key = m.row_key
        LEFT JOIN (
            SELECT row_key FROM transactions_by_both
        ) AS t ON t.row_key = m.row_key
        WHERE f.form = 1 AND n.level = 2 AND t.row_key IS NULL
    ) AS g
        ON g.gateway = l.gateway AND g.kind = l.kind AND g.currency = l.currency AND g.amount_minor = l.amount_minor
        AND g.level = l.level AND g.name = l.name AND g.ordinal = l.ordinal
) AS edges
WHERE of_entry = 1 AND of_life = 1;

CREATE TABLE transactions_by_id AS
SELECT entry_id, row_key, basis
FROM (
    SELECT
        l.entry_id, g.row_key, g.basis,
        row_number() OVER (PARTITION BY l.entry_id ORDER BY g.form, g.level, g.choice, l.choice, g.row_key) AS of_entry,
        row_number() OVER (PARTITION BY g.row_key ORDER BY g.form, g.level, g.choice, l.choice, l.entry_id) AS of_life
    FROM (
        SELECT
            e.entry_id, e.gateway, e.kind, e.currency, e.amount_minor, n.level, n.choice, n.name,
            row_number() OVER (
                PARTITION BY e.gateway, e.kind, e.currency, e.amount_minor, n.level, n.choice, n.name
                ORDER BY e.booked_at_ms, e.entry_id
            ) AS ordinal
        FROM transactions_own AS e
        JOIN transactions_entry_name AS n ON n.entry_id = e.entry_id
        LEFT JOIN (
            SELECT entry_id FROM transactions_by_both UNION ALL SELECT entry_id FROM transactions_by_reference
        ) AS t ON t.entry_id = e.entry_id
        WHERE n.level = 3 AND t.entry_id IS NULL
    ) AS l
    JOIN (
        SELECT
            m.row_key, m.gateway, m.kind, f.form, f.basis, f.currency, f.amount_minor, n.level, n.choice, n.name,
            row_number() OVER (
                PARTITION BY m.gateway, m.kind, f.form, f.currency, f.amount_minor, n.level, n.choice, n.name
                ORDER BY m.created_at_ms, m.transaction_id
            ) AS ordinal
        FROM transactions_life AS m
        JOIN transactions_form AS f ON f.row_key = m.row_key
        JOIN transactions_life_name AS n ON n.row_key = m.row_key
        LEFT JOIN (
            SELECT row_key FROM transactions_by_both UNION ALL SELECT row_key FROM transactions_by_reference
        ) AS t ON t.row_key = m.row_key
        WHERE f.form = 1 AND n.level = 3 AND t.row_key IS NULL
    ) AS g
        ON g.gateway = l.gateway AND g.kind = l.kind AND g.currency = l.currency AND g.amount_minor = l.amount_minor
        AND g.level = l.level AND g.name = l.name AND g.ordinal = l.ordinal
) AS edges
WHERE of_entry = 1 AND of_life = 1;

CREATE TABLE transactions_by_other_amount AS
SELECT entry_id, row_key, basis
FROM (
    SELECT
        l.entry_id, g.row_key, g.basis,
        row_number() OVER (PARTITION BY l.entry_id ORDER BY g.form, g.level, g.choice, l.choice, g.row_key) AS of_entry,
        row_number() OVER (PARTITION BY g.row_key ORDER BY g.form, g.level, g.choice, l.choice, l.entry_id) AS of_life
    FROM (
        SELECT
            e.entry_id, e.gateway, e.kind, e.currency, e.amount_minor, n.level, n.choice, n.name,
            row_number() OVER (
                PARTITION BY e.gateway, e.kind, e.currency, e.amount_minor, n.level, n.choice, n.name
                ORDER BY e.booked_at_ms, e.entry_id
            ) AS ordinal
        FROM transactions_own AS e
        JOIN transactions_entry_name AS n ON n.entry_id = e.entry_id
        LEFT JOIN (
            SELECT entry_id FROM transactions_by_both UNION ALL SELECT entry_id FROM transactions_by_reference UNION ALL SELECT entry_id FROM transactions_by_id
        ) AS t ON t.entry_id = e.entry_id
        WHERE n.level < 3 AND t.entry_id IS NULL
    ) AS l
    JOIN (
        SELECT
            m.row_key, m.gateway, m.kind, f.form, f.basis, f.currency, f.amount_minor, n.level, n.choice, n.name,
            row_number() OVER (
                PARTITION BY m.gateway, m.kind, f.form, f.currency, f.amount_minor, n.level, n.choice, n.name
                ORDER BY m.created_at_ms, m.transaction_id
            ) AS ordinal
        FROM transactions_life AS m
        JOIN transactions_form AS f ON f.row_key = m.row_key
        JOIN transactions_life_name AS n ON n.row_key = m.row_key
        LEFT JOIN (
            SELECT row_key FROM transactions_by_both UNION ALL SELECT row_key FROM transactions_by_reference UNION ALL SELECT row_key FROM transactions_by_id
        ) AS t ON t.row_key = m.row_key
        WHERE f.form > 1 AND n.level < 3 AND t.row_key IS NULL
    ) AS g
        ON g.gateway = l.gateway AND g.kind = l.kind AND g.currency = l.currency AND g.amount_minor = l.amount_minor
        AND g.level = l.level AND g.name = l.name AND g.ordinal = l.ordinal
) AS edges
WHERE of_entry = 1 AND of_life = 1;

CREATE TABLE transactions_by_id_and_other_amount AS
SELECT entry_id, row_key, basis
FROM (
    SELECT
        l.entry_id, g.row_key, g.basis,
        row_number() OVER (PARTITION BY l.entry_id ORDER BY g.form, g.level, g.choice, l.choice, g.row_key) AS of_entry,
        row_number() OVER (PARTITION BY g.row_key ORDER BY g.form, g.level, g.choice, l.choice, l.entry_id) AS of_life
    FROM (
        SELECT
            e.entry_id, e.gateway, e.kind, e.currency, e.amount_minor, n.level, n.choice, n.name,
            row_number() OVER (
                PARTITION BY e.gateway, e.kind, e.currency, e.amount_minor, n.level, n.choice, n.name
                ORDER BY e.booked_at_ms, e.entry_id
            ) AS ordinal
        FROM transactions_own AS e
        JOIN transactions_entry_name AS n ON n.entry_id = e.entry_id
        LEFT JOIN (
            SELECT entry_id FROM transactions_by_both UNION ALL SELECT entry_id FROM transactions_by_reference UNION ALL SELECT entry_id FROM transactions_by_id UNION ALL SELECT entry_id FROM transactions_by_other_amount
        ) AS t ON t.entry_id = e.entry_id
        WHERE n.level = 3 AND t.entry_id IS NULL
    ) AS l
    JOIN (
        SELECT
            m.row_key, m.gateway, m.kind, f.form, f.basis, f.currency, f.amount_minor, n.level, n.choice, n.name,
            row_number() OVER (
                PARTITION BY m.gateway, m.kind, f.form, f.currency, f.amount_minor, n.level, n.choice, n.name
                ORDER BY m.created_at_ms, m.transaction_id
            ) AS ordinal
        FROM transactions_life AS m
        JOIN transactions_form AS f ON f.row_key = m.row_key
        JOIN transactions_life_name AS n ON n.row_key = m.row_key
        LEFT JOIN (
            SELECT row_key FROM transactions_by_both UNION ALL SELECT row_key FROM transactions_by_reference UNION ALL SELECT row_key FROM transactions_by_id UNION ALL SELECT row_key FROM transactions_by_other_amount
        ) AS t ON t.row_key = m.row_key
        WHERE f.form > 1 AND n.level = 3 AND t.row_key IS NULL
    ) AS g
        ON g.gateway = l.gateway AND g.kind = l.kind AND g.currency = l.currency AND g.amount_minor = l.amount_minor
        AND g.level = l.level AND g.name = l.name AND g.ordinal = l.ordinal
) AS edges
WHERE of_entry = 1 AND of_life = 1;

CREATE TABLE transactions_named AS
SELECT entry_id, row_key, basis FROM transactions_by_both
UNION ALL
SELECT entry_id, row_key, basis FROM transactions_by_reference
UNION ALL
SELECT entry_id, row_key, basis FROM transactions_by_id
UNION ALL
SELECT entry_id, row_key, basis FROM transactions_by_other_amount
UNION ALL
SELECT entry_id, row_key, basis FROM transactions_by_id_and_other_amount;
