-- Nearly every movement is one ledger row and one gateway row that agree. They are settled here, in one pass over both
-- tables and without keeping a row of them; whatever is not that plain goes through the finer rules, whole groups at once.

-- Kinds that our ledger has too. base: the kind under which our side has it. What our ledger tells of disputes and of
-- reversals stands in kinds of its own (see 45_later), which no row of a report has as its base.
CREATE TABLE transactions_kind AS
SELECT 'charge' AS kind, 'charge' AS base
UNION ALL
SELECT 'uncaptured' AS kind, 'charge' AS base
UNION ALL
SELECT 'charge_reversal' AS kind, 'charge' AS base
UNION ALL
SELECT 'refund' AS kind, 'refund' AS base
UNION ALL
SELECT 'refund_reversal' AS kind, 'refund' AS base;

-- Entries that another one takes back.
CREATE TABLE transactions_reversed AS
SELECT DISTINCT reverses_entry_id AS entry_id
FROM ledger
WHERE reverses_entry_id IS NOT NULL;

-- Every row's key as a hash, counted: one row per source with what all keys add up to, and one per key that occurs twice
-- (two files overlap, or one id has two contents). A collision of two hashes only sends their rows through the finer rules.
CREATE TABLE transactions_identity AS
SELECT
    source, CASE WHEN row_count > 1 THEN id_hash END AS repeated_hash,
    CAST(sum(row_count * id_hash) AS BIGINT) AS key_hash
FROM (
    SELECT 'gateway' AS source, id_hash, count(*) AS row_count
    FROM (SELECT row_hash(gateway || '|' || transaction_id) AS id_hash FROM gateway_row WHERE kind <> 'payout') AS ids
    GROUP BY id_hash
    UNION ALL
    SELECT 'ledger' AS source, id_hash, count(*) AS row_count
    FROM (SELECT row_hash(entry_id) AS id_hash FROM ledger) AS ids
    GROUP BY id_hash
) AS counted
GROUP BY source, CASE WHEN row_count > 1 THEN id_hash END;

-- Payments of gateway rows that carry no reference, by any name that our ledger may have for them: their ledger rows are
-- looked at closely.
CREATE TABLE transactions_unreferenced AS
SELECT DISTINCT gateway, kind, payment_name
FROM (
    SELECT g.gateway, b.base AS kind, g.gateway_payment_id AS payment_name
    FROM gateway_row AS g
    JOIN transactions_kind AS b ON b.kind = g.kind
    WHERE coalesce(g.reference, '') = ''
    UNION ALL
    SELECT g.gateway, b.base AS kind, g.gateway_charge_id AS payment_name
    FROM gateway_row AS g
    JOIN transactions_kind AS b ON b.kind = g.kind
    WHERE coalesce(g.reference, '') = ''
) AS named
WHERE payment_name IS NOT NULL;

-- Payments of which something was taken back: all their rows are looked at closely, since the row that takes back may
-- name another reference than the one that it takes back.
CREATE TABLE transactions_taken_back AS
SELECT DISTINCT gateway, gateway_payment_id
FROM gateway_row
WHERE kind IN ('uncaptured', 'charge_reversal', 'refund_reversal') AND gateway_payment_id IS NOT NULL;

-- What payers were paid back, and what was charged, in the currency that they saw: a rate moves between the two.
CREATE TABLE transactions_refunded AS
SELECT
    gateway, gateway_payment_id, coalesce(presented_currency, currency) AS currency,
    CAST(sum(CASE
        WHEN presented_minor IS NULL THEN -amount_minor
        WHEN amount_minor > 0 THEN -abs(presented_minor)
        ELSE abs(presented_minor)
    END) AS BIGINT) AS refunded_minor
FROM gateway_row
WHERE kind IN ('refund', 'refund_reversal') AND gateway_payment_id IS NOT NULL
GROUP BY gateway, gateway_payment_id, coalesce(presented_currency, currency);

-- Payments that may have been paid back beyond their capture. The smallest charge is compared, so that a row that two
-- files have in common can't hide one.
CREATE TABLE transactions_overpaid AS
SELECT r.gateway, r.gateway_payment_id, r.currency
FROM transactions_refunded AS r
JOIN (
    SELECT
        gateway, gateway_payment_id, coalesce(presented_currency, currency) AS currency,
        CASE
            WHEN presented_minor IS NULL THEN amount_minor
            WHEN amount_minor < 0 THEN -abs(presented_minor)
            ELSE abs(presented_minor)
        END AS amount_minor
    FROM gateway_row
    WHERE kind IN ('charge', 'uncaptured')
    UNION ALL
    SELECT gateway, gateway_payment_id, currency, amount_minor FROM ledger WHERE kind = 'charge' AND state = 'booked'
) AS c ON c.gateway = r.gateway AND c.gateway_payment_id = r.gateway_payment_id AND c.currency = r.currency
GROUP BY r.gateway, r.gateway_payment_id, r.currency, r.refunded_minor
HAVING r.refunded_minor > min(c.amount_minor);

-- Gateway, kind and currency as one small number each way, so that the pass below carries numbers and not texts:
-- book is (gateway, base), lane (gateway, kind, currency). A lane has the terms that its rows are judged by. Where a fee
-- depends on more than the lane, the lane has none and each row is judged by the first rule that applies to it.
CREATE TABLE transactions_lane AS
SELECT
    c.gateway, c.base, c.kind, c.currency,
    CAST(dense_rank() OVER (ORDER BY c.gateway, c.base) AS BIGINT) AS book,
    CAST(row_number() OVER (ORDER BY c.gateway, c.kind, c.currency) AS BIGINT) AS lane,
    c.own_rows, c.reported_rows, c.first_own_ms, c.last_own_ms, c.first_reported_ms, c.last_reported_ms,
    f.fixed_minor, f.basis_points, f.tolerance_minor, f.at_most,
    CASE WHEN c.kind = 'charge' THEN s.settlement_sla_hours * 3600000 END AS settlement_sla_ms
FROM (
    SELECT
        gateway, base, kind, currency, CAST(sum(own_rows) AS BIGINT) AS own_rows,
        CAST(sum(reported_rows) AS BIGINT) AS reported_rows, min(first_own_ms) AS first_own_ms,
        max(last_own_ms) AS last_own_ms, min(first_reported_ms) AS first_reported_ms,
        max(last_reported_ms) AS last_reported_ms
    FROM (
        SELECT
            gateway, kind AS base, kind, currency, count(*) AS own_rows, 0 AS reported_rows,
            min(booked_at_ms) AS first_own_ms, max(booked_at_ms) AS last_own_ms,
            CAST(NULL AS BIGINT) AS first_reported_ms, CAST(NULL AS BIGINT) AS last_reported_ms
        FROM ledger
        GROUP BY gateway, kind, currency
        UNION ALL
        SELECT
            g.gateway, b.base, g.kind, g.currency, 0 AS own_rows, count(*) AS reported_rows,
            CAST(NULL AS BIGINT) AS first_own_ms, CAST(NULL AS BIGINT) AS last_own_ms,
            min(g.created_at_ms) AS first_reported_ms, max(g.created_at_ms) AS last_reported_ms
        FROM gateway_row AS g
        JOIN transactions_kind AS b ON b.kind = g.kind
        GROUP BY g.gateway, b.base, g.kind, g.currency
    ) AS sides
    GROUP BY gateway, base, kind, currency
) AS c
CROSS JOIN settings AS s
LEFT JOIN (
    SELECT
        gateway, kind, currency, max(fixed_minor) AS fixed_minor, max(basis_points) AS basis_points,
        max(tolerance_minor) AS tolerance_minor, max(at_most) AS at_most
    FROM fee_rule
    GROUP BY gateway, kind, currency
    HAVING count(*) = 1 AND max(is_conditional) = 0
) AS f ON f.gateway = c.gateway AND f.kind = c.kind AND f.currency = c.currency;

-- Rows whose fee is not what the first rule says that applies to them, where rules have conditions.
CREATE TABLE transactions_fee_off AS
SELECT gateway, transaction_id
FROM (
    SELECT
        g.gateway, g.transaction_id, g.currency, g.amount_minor, g.fee_minor,
        min(f.ordinal * 2 + CASE
            WHEN f.at_most = 1 AND g.fee_minor <= f.fixed_minor + (abs(g.amount_minor) * f.basis_points + 5000) // 10000
                + f.tolerance_minor THEN 0
            WHEN abs(g.fee_minor - f.fixed_minor - (abs(g.amount_minor) * f.basis_points + 5000) // 10000)
                <= f.tolerance_minor THEN 0
            ELSE 1
        END) AS first_rule
    FROM gateway_row AS g
    JOIN (
        SELECT gateway, kind, currency
        FROM fee_rule
        GROUP BY gateway, kind, currency
        HAVING count(*) > 1 OR max(is_conditional) = 1
    ) AS c ON c.gateway = g.gateway AND c.kind = g.kind AND c.currency = g.currency
    JOIN fee_rule AS f ON f.gateway = g.gateway AND f.kind = g.kind AND f.currency = g.currency
    WHERE (f.payment_method IS NULL OR f.payment_method = g.payment_method)
        AND (f.card_country IS NULL OR f.card_country = g.card_country)
        AND abs(g.amount_minor) >= f.from_minor AND abs(g.amount_minor) < f.until_minor
        AND g.created_at_ms >= f.from_ms AND g.created_at_ms < f.until_ms
    GROUP BY g.gateway, g.transaction_id, g.currency, g.amount_minor, g.fee_minor
) AS judged
WHERE first_rule % 2 = 1
GROUP BY gateway, transaction_id;

-- One row per lane of what is settled, and one per group that is not. A group is plain if it is exactly two rows, one of
-- either side, nothing special about them, and equal in amount and currency. What that takes is packed into two numbers,
-- since the pass keeps them for every group at once:
--   content: (amount_minor + 2^45) * 2^16 + lane, equal on both sides. 2^45 is 35 times the largest amount there is.
--   hashes:  ledger hash + 1, or (gateway hash + 1) * 2^31, and 2^62 where the row is special. A hash is below 2^31 - 1.
-- A row that does not fit is special: the finer rules take any amount.
CREATE TABLE transactions_settled AS
SELECT
    plain,
    CASE WHEN plain = 0 THEN book END AS book,
    CASE WHEN plain = 0 THEN reference END AS reference,
    CASE WHEN plain = 1 THEN content % 65536 END AS lane,
    count(*) AS row_count,
    CAST(sum(content // 65536 - 35184372088832) AS BIGINT) AS amount_minor,
    CAST(sum(hashes % 2147483648 - 1) AS BIGINT) AS ledger_hash,
    CAST(sum(hashes // 2147483648 - 1) AS BIGINT) AS gateway_hash,
    CAST(sum(((hashes % 2147483648 - 1) * (hashes // 2147483648 - 1)) % 2147483647) AS BIGINT) AS pair_hash
FROM (
    SELECT
        book,
        reference,
        CASE
            WHEN count(*) = 2 AND min(content) = max(content) AND bit_or(hashes) < 4611686018427387904
                AND bit_or(hashes) % 2147483648 > 0 AND bit_or(hashes) // 2147483648 > 0 THEN 1
            ELSE 0
        END AS plain,
        CASE
            WHEN count(*) = 2 AND min(content) = max(content) AND bit_or(hashes) < 4611686018427387904
                AND bit_or(hashes) % 2147483648 > 0 AND bit_or(hashes) // 2147483648 > 0 THEN bit_or(hashes)
            ELSE 2147483649 -- no hash on either side
        END AS hashes,
        max(content) AS content
    FROM (
        SELECT
            b.book,
            CASE WHEN l.reference = '' THEN l.entry_id ELSE l.reference END AS reference,
            CASE
                WHEN l.amount_minor BETWEEN -35184372088831 AND 35184372088831 AND b.lane < 65536
                    THEN (l.amount_minor + 35184372088832) * 65536 + b.lane
                ELSE 0
            END AS content,
            l.id_hash + 1 + CASE
                WHEN l.state <> 'booked' OR l.reverses_entry_id IS NOT NULL OR v.entry_id IS NOT NULL
                    OR t.repeated_hash IS NOT NULL OR u.payment_name IS NOT NULL OR b.lane >= 65536
                    OR l.amount_minor NOT BETWEEN -35184372088831 AND 35184372088831 THEN 4611686018427387904
                ELSE 0
            END AS hashes
        FROM (SELECT *, row_hash(entry_id) AS id_hash FROM ledger) AS l
        JOIN transactions_lane AS b
            ON b.gateway = l.gateway AND b.kind = l.kind AND b.base = l.kind AND b.currency = l.currency
        LEFT JOIN transactions_reversed AS v ON v.entry_id = l.entry_id
        LEFT JOIN transactions_identity AS t ON t.source = 'ledger' AND t.repeated_hash = l.id_hash
        LEFT JOIN transactions_unreferenced AS u
            ON u.gateway = l.gateway AND u.kind = l.kind AND u.payment_name = l.gateway_payment_id
        LEFT JOIN by_hand_taken AS y ON y.source = 'ledger' AND y.row_key = l.entry_id
        WHERE y.row_key IS NULL
        UNION ALL
        SELECT
            b.book,
            g.reference,
            CASE
                WHEN g.amount_minor BETWEEN -35184372088831 AND 35184372088831 AND b.lane < 65536
                    THEN (g.amount_minor + 35184372088832) * 65536 + b.lane
                ELSE 0
            END AS content,
            (g.id_hash + 1) * 2147483648 + CASE
                WHEN t.repeated_hash IS NOT NULL OR o.gateway_payment_id IS NOT NULL
                    OR x.gateway_payment_id IS NOT NULL OR f.transaction_id IS NOT NULL
                    OR coalesce(g.presented_currency, g.currency) <> g.currency OR b.lane >= 65536
                    OR g.amount_minor NOT BETWEEN -35184372088831 AND 35184372088831
                    OR coalesce(g.available_at_ms - g.created_at_ms > b.settlement_sla_ms, FALSE)
                    OR coalesce(CASE
                        WHEN b.at_most = 1
                            THEN g.fee_minor - b.fixed_minor - (abs(g.amount_minor) * b.basis_points + 5000) // 10000
                        ELSE abs(g.fee_minor - b.fixed_minor - (abs(g.amount_minor) * b.basis_points + 5000) // 10000)
                    END > b.tolerance_minor, FALSE)
                    THEN 4611686018427387904
                ELSE 0
            END AS hashes
        FROM (SELECT *, row_hash(gateway || '|' || transaction_id) AS id_hash FROM gateway_row) AS g
        JOIN transactions_kind AS n ON n.kind = g.kind
        JOIN transactions_lane AS b
            ON b.gateway = g.gateway AND b.kind = g.kind AND b.base = n.base AND b.currency = g.currency
        LEFT JOIN transactions_identity AS t ON t.source = 'gateway' AND t.repeated_hash = g.id_hash
        LEFT JOIN transactions_overpaid AS o
            ON g.kind = 'refund' AND o.gateway = g.gateway AND o.gateway_payment_id = g.gateway_payment_id
            AND o.currency = g.currency
        LEFT JOIN transactions_taken_back AS x
            ON x.gateway = g.gateway AND x.gateway_payment_id = g.gateway_payment_id
        LEFT JOIN transactions_fee_off AS f ON f.gateway = g.gateway AND f.transaction_id = g.transaction_id
        LEFT JOIN by_hand_taken AS y
            ON y.source = 'gateway' AND y.gateway = g.gateway AND y.transaction_id = g.transaction_id
        WHERE coalesce(g.reference, '') <> '' AND y.row_key IS NULL
    ) AS side_rows
    GROUP BY book, reference
) AS keyed
GROUP BY
    plain, CASE WHEN plain = 0 THEN book END, CASE WHEN plain = 0 THEN reference END,
    CASE WHEN plain = 1 THEN content % 65536 END;

-- The groups that are left to the finer rules.
CREATE TABLE transactions_open AS
SELECT b.gateway, b.base, k.reference
FROM transactions_settled AS k
JOIN (SELECT DISTINCT book, gateway, base FROM transactions_lane) AS b ON b.book = k.book
WHERE k.plain = 0;
