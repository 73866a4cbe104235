-- What happened later to a charge: it was given back by hand, or its payer disputed it.

-- A refund that our ledger does not know, of a charge that it does not know either: somebody gave the surplus back at the
-- gateway. They are held together by the reference of the payment's charges, so that it does not matter which of two
-- equal charges was given back. left_minor: what of the charges was not, as the payer saw it.
CREATE TABLE transactions_unbooked AS
SELECT u.row_key, u.gateway, u.payer_currency AS currency, c.ref, u.payer_minor AS amount_minor
FROM transactions_left_movement AS u
JOIN (
    SELECT gateway, gateway_payment_id, min(ref) AS ref
    FROM transactions_movement
    WHERE kind = 'charge' AND gateway_payment_id IS NOT NULL
    GROUP BY gateway, gateway_payment_id
) AS c ON c.gateway = u.gateway AND c.gateway_payment_id = u.gateway_payment_id
LEFT JOIN transactions_pair AS p ON p.row_key = u.row_key
WHERE u.kind = 'refund' AND u.amount_minor < 0 AND p.row_key IS NULL
UNION ALL
SELECT u.row_key, u.gateway, u.payer_currency AS currency, u.ref, u.payer_minor AS amount_minor
FROM transactions_left_movement AS u
LEFT JOIN transactions_pair AS p ON p.row_key = u.row_key
WHERE u.kind = 'charge' AND u.amount_minor > 0 AND u.alone = 0 AND p.row_key IS NULL;

CREATE TABLE transactions_given_back AS
SELECT m.row_key, k.left_minor
FROM transactions_unbooked AS m
JOIN (
    SELECT gateway, currency, ref, CAST(sum(amount_minor) AS BIGINT) AS left_minor
    FROM transactions_unbooked
    GROUP BY gateway, currency, ref
    HAVING sum(CASE WHEN amount_minor < 0 THEN 1 ELSE 0 END) > 0
        AND (sum(amount_minor) = 0
            OR (sum(amount_minor) > 0 AND sum(CASE WHEN amount_minor > 0 THEN 1 ELSE 0 END) = 1))
) AS k ON k.gateway = m.gateway AND k.currency = m.currency AND k.ref = m.ref;

-- A dispute's rows stand together under our reference of the charge, else under a name that the gateway has for it.
CREATE TABLE transactions_dispute_row AS
SELECT
    d.row_key, d.gateway, d.kind, d.currency, d.amount_minor, d.created_at_ms, d.gateway_payment_id,
    d.gateway_charge_id, d.presented_currency,
    CASE WHEN d.amount_minor < 0 THEN -abs(d.presented_minor) ELSE abs(d.presented_minor) END AS presented_minor,
    coalesce(d.reference, c.reference, d.gateway_payment_id, d.gateway_object_id, d.transaction_id) AS ref
FROM transactions_gateway_row AS d
LEFT JOIN (
    SELECT g.gateway, g.gateway_payment_id, min(g.reference) AS reference
    FROM gateway_row AS g
    JOIN (
        SELECT DISTINCT gateway, gateway_payment_id
        FROM transactions_gateway_row
        WHERE kind IN ('dispute', 'dispute_reversal', 'dispute_lost') AND reference IS NULL
    ) AS u ON u.gateway = g.gateway AND u.gateway_payment_id = g.gateway_payment_id
    WHERE g.kind = 'charge' AND g.reference <> ''
    GROUP BY g.gateway, g.gateway_payment_id
) AS c ON c.gateway = d.gateway AND c.gateway_payment_id = d.gateway_payment_id
WHERE d.version = 1 AND d.kind IN ('dispute', 'dispute_reversal', 'dispute_lost');

CREATE TABLE transactions_dispute AS
SELECT
    gateway, ref, currency, CAST(sum(amount_minor) AS BIGINT) AS left_minor,
    max(CASE WHEN kind = 'dispute_lost' THEN 1 ELSE 0 END) AS is_lost,
    max(CASE WHEN kind = 'dispute_reversal' THEN 0 ELSE created_at_ms END) AS taken_at_ms,
    max(gateway_payment_id) AS gateway_payment_id, max(gateway_charge_id) AS gateway_charge_id,
    max(presented_currency) AS presented_currency, CAST(sum(presented_minor) AS BIGINT) AS presented_minor,
    min(row_key) AS first_key
FROM transactions_dispute_row
GROUP BY gateway, ref, currency;

-- What our ledger has of a dispute, in order of time: told_minor is the sum up to the entry, before_minor that before it.
CREATE TABLE transactions_dispute_entry AS
SELECT
    gateway, ref, currency, left_minor, entry_id, told_minor, told_minor - amount_minor AS before_minor, ordinal
FROM (
    SELECT
        d.gateway, d.ref, d.currency, d.left_minor, e.entry_id, e.amount_minor,
        sum(e.amount_minor) OVER (
            PARTITION BY d.gateway, d.ref, d.currency, d.own_currency ORDER BY e.booked_at_ms, e.entry_id
            ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW
        ) AS told_minor,
        row_number() OVER (
            PARTITION BY d.gateway, d.ref, d.currency, d.own_currency ORDER BY e.booked_at_ms, e.entry_id
        ) AS ordinal
    FROM (
        SELECT
            gateway, ref, currency, gateway_payment_id, gateway_charge_id, currency AS own_currency, left_minor
        FROM transactions_dispute
        UNION ALL
        SELECT
            gateway, ref, currency, gateway_payment_id, gateway_charge_id, presented_currency AS own_currency,
            presented_minor AS left_minor
        FROM transactions_dispute
        WHERE presented_currency <> currency
    ) AS d
    JOIN transactions_left_entry AS e
        ON e.kind = 'dispute' AND e.state = 'booked' AND e.gateway = d.gateway AND e.currency = d.own_currency
        AND (e.ref = d.ref OR e.gateway_payment_id IN (d.gateway_payment_id, d.gateway_charge_id))
) AS running;

-- The longest run of entries that adds up to the dispute's rows. What is before it was in earlier reports, and what is
-- after it will be in later ones. An entry may have the reference of one dispute and the payment of another: it tells of
-- the one whose reference it has, and a run of which an entry tells of another dispute tells nothing.
CREATE TABLE transactions_dispute_told AS
SELECT gateway, ref, currency, entry_id
FROM (
    SELECT
        gateway, ref, currency, entry_id,
        sum(CASE WHEN preference = 1 THEN 0 ELSE 1 END) OVER (PARTITION BY gateway, ref, currency) AS of_others
    FROM (
        SELECT
            e.gateway, e.ref, e.currency, e.entry_id,
            row_number() OVER (
                PARTITION BY e.entry_id ORDER BY CASE WHEN l.ref = e.ref THEN 0 ELSE 1 END, e.ref, e.currency
            ) AS preference
        FROM transactions_dispute_entry AS e
        JOIN transactions_left_entry AS l ON l.entry_id = e.entry_id
        JOIN (
            SELECT
                a.gateway, a.ref, a.currency, a.left_minor, a.ordinal AS first_ordinal, b.ordinal AS last_ordinal,
                row_number() OVER (
                    PARTITION BY a.gateway, a.ref, a.currency
                    ORDER BY b.ordinal - a.ordinal DESC, a.ordinal, a.entry_id
                ) AS choice
            FROM transactions_dispute_entry AS a
            JOIN transactions_dispute_entry AS b
                ON b.gateway = a.gateway AND b.ref = a.ref AND b.currency = a.currency AND b.left_minor = a.left_minor
                AND b.ordinal >= a.ordinal AND b.told_minor - a.before_minor = a.left_minor
        ) AS k
            ON k.choice = 1 AND k.gateway = e.gateway AND k.ref = e.ref AND k.currency = e.currency
            AND k.left_minor = e.left_minor AND e.ordinal BETWEEN k.first_ordinal AND k.last_ordinal
    ) AS chosen
) AS owned
WHERE of_others = 0;

-- Charges that the gateway took back, and entries of our ledger that tell so: they agree by payment, in the names that our
-- ledger has for it. lead_key: with which row the gateway's one matched.
CREATE TABLE transactions_reversal AS
SELECT
    'gateway' AS source, m.row_key, m.gateway, m.currency, coalesce(e.gateway_payment_id, e.ref) AS name,
    m.reversed_minor AS amount_minor, p.entry_id AS lead_key
FROM transactions_pair AS p
JOIN transactions_movement AS m ON m.row_key = p.row_key
JOIN transactions_entry AS e ON e.entry_id = p.entry_id
WHERE m.kind = 'charge' AND m.reversed_minor <> 0 AND p.basis IN ('reversed', 'first') AND e.currency = m.currency
UNION ALL
SELECT
    'gateway' AS source, m.row_key, m.gateway, m.currency, min(t.name) AS name, m.reversed_minor AS amount_minor,
    m.row_key AS lead_key
FROM transactions_left_movement AS m
JOIN (
    SELECT DISTINCT gateway, currency, ref, gateway_payment_id, coalesce(gateway_payment_id, ref) AS name
    FROM transactions_left_entry
    WHERE kind = 'charge_reversal' AND state = 'booked'
) AS t
    ON t.gateway = m.gateway AND t.currency = m.currency
    AND (t.ref = m.ref OR t.gateway_payment_id IN (m.gateway_payment_id, m.gateway_charge_id))
LEFT JOIN transactions_pair AS p ON p.row_key = m.row_key
WHERE m.kind = 'charge' AND m.alone = 1 AND m.reversed_minor <> 0 AND p.row_key IS NULL
GROUP BY m.row_key, m.gateway, m.currency, m.reversed_minor
UNION ALL
SELECT
    'ledger' AS source, entry_id AS row_key, gateway, currency, coalesce(gateway_payment_id, ref) AS name, amount_minor,
    CAST(NULL AS VARCHAR) AS lead_key
FROM transactions_left_entry
WHERE kind = 'charge_reversal' AND state = 'booked';

-- Rows of either side that tell of what was taken back, and agree.
CREATE TABLE transactions_taken_alike AS
SELECT r.source, r.row_key, k.match_key, 'reversal' AS how
FROM transactions_reversal AS r
JOIN (
    SELECT gateway, currency, name, min(lead_key) AS match_key
    FROM transactions_reversal
    GROUP BY gateway, currency, name
    HAVING sum(CASE WHEN source = 'ledger' THEN amount_minor ELSE -amount_minor END) = 0
        AND count(DISTINCT source) = 2
) AS k ON k.gateway = r.gateway AND k.currency = r.currency AND k.name = r.name
UNION ALL
SELECT
    'ledger' AS source, entry_id AS row_key, gateway || '|' || ref || '|' || currency AS match_key, 'dispute' AS how
FROM transactions_dispute_told;

-- What our ledger may hold of a dispute: the names of the payment, and the sum in the balance's currency or in the payer's.
CREATE TABLE transactions_dispute_form AS
SELECT
    gateway, ref, currency, gateway_payment_id, gateway_charge_id, currency AS own_currency, left_minor AS own_minor,
    left_minor
FROM transactions_dispute
WHERE left_minor < 0
UNION ALL
SELECT
    gateway, ref, currency, gateway_payment_id, gateway_charge_id, presented_currency AS own_currency,
    presented_minor AS own_minor, left_minor
FROM transactions_dispute
WHERE left_minor < 0 AND presented_currency <> currency;

-- A dispute that our ledger has written off: the charge was taken back in it, or what was disputed was booked as a refund.
-- role: which row it is of.
CREATE TABLE transactions_written_off AS
SELECT 'entry' AS role, d.gateway, d.ref, d.currency, min(e.entry_id) AS row_key
FROM transactions_dispute_form AS d
JOIN transactions_left_entry AS e
    ON e.gateway = d.gateway AND e.currency = d.own_currency AND e.amount_minor = d.own_minor AND e.state = 'booked'
    AND (e.ref = d.ref OR e.gateway_payment_id IN (d.gateway_payment_id, d.gateway_charge_id))
LEFT JOIN transactions_pair AS p ON p.entry_id = e.entry_id
WHERE p.entry_id IS NULL AND e.kind <> 'dispute'
GROUP BY d.gateway, d.ref, d.currency
UNION ALL
SELECT 'charge' AS role, d.gateway, d.ref, d.currency, min(m.row_key) AS row_key
FROM transactions_dispute_form AS d
JOIN transactions_left_movement AS m
    ON m.gateway = d.gateway AND m.currency = d.currency AND m.amount_minor = -d.left_minor AND m.kind = 'charge'
    AND (m.ref = d.ref OR m.gateway_payment_id = d.gateway_payment_id)
JOIN (
    SELECT DISTINCT l.gateway, l.currency, l.ref, l.gateway_payment_id
    FROM transactions_cancelled AS c
    JOIN transactions_ledger_row AS l ON l.entry_id = c.other_entry_id
    WHERE l.kind = 'charge'
) AS t
    ON t.gateway = d.gateway AND t.currency = d.own_currency
    AND (t.ref = d.ref OR t.gateway_payment_id IN (d.gateway_payment_id, d.gateway_charge_id))
LEFT JOIN transactions_pair AS p ON p.row_key = m.row_key
WHERE p.row_key IS NULL
GROUP BY d.gateway, d.ref, d.currency;
