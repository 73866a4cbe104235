-- Nearly every movement is one ledger row and one gateway row that agree. They are settled here, in one pass over both
-- tables and without keeping a row of them; whatever is not that plain goes through the finer rules, whole groups at once.

-- Entries that another one takes back.
CREATE TABLE transactions_reversed AS
SELECT DISTINCT reverses_entry_id AS entry_id
FROM ledger
WHERE reverses_entry_id IS NOT NULL;

-- Identities that occur twice, as hashes: two files overlap, or one id has two contents. A collision of two hashes only
-- sends their rows through the finer rules.
CREATE TABLE transactions_seen_twice AS
SELECT 'gateway' AS source, row_hash(transaction_id) AS id_hash
FROM gateway_row
WHERE kind <> 'payout'
GROUP BY row_hash(transaction_id)
HAVING count(*) > 1
UNION ALL
SELECT 'ledger' AS source, row_hash(entry_id) AS id_hash
FROM ledger
GROUP BY row_hash(entry_id)
HAVING count(*) > 1;

-- Payments of gateway rows that carry no reference: their ledger rows are looked at closely.
CREATE TABLE transactions_unreferenced AS
SELECT DISTINCT gateway, kind, gateway_payment_id
FROM gateway_row
WHERE kind IN ('charge', 'refund') AND coalesce(reference, '') = '' AND gateway_payment_id IS NOT NULL;

CREATE TABLE transactions_refunded AS
SELECT gateway, gateway_payment_id, currency, CAST(sum(-amount_minor) AS BIGINT) AS refunded_minor
FROM gateway_row
WHERE kind = 'refund' AND gateway_payment_id IS NOT NULL
GROUP BY gateway, gateway_payment_id, currency;

-- Payments that may have been paid back beyond their capture. The smallest charge is compared, so that a row that two
-- files have in common can't hide one.
CREATE TABLE transactions_overpaid AS
SELECT r.gateway, r.gateway_payment_id, r.currency
FROM transactions_refunded AS r
JOIN (
    SELECT gateway, gateway_payment_id, currency, amount_minor FROM gateway_row WHERE kind = 'charge'
    UNION ALL
    SELECT gateway, gateway_payment_id, currency, amount_minor FROM ledger WHERE kind = 'charge' AND state = 'booked'
) AS c ON c.gateway = r.gateway AND c.gateway_payment_id = r.gateway_payment_id AND c.currency = r.currency
GROUP BY r.gateway, r.gateway_payment_id, r.currency, r.refunded_minor
HAVING r.refunded_minor > min(c.amount_minor);

-- One row per (kind, currency) of what is settled, and one per group that is not. 1099511627777 is 2^40 + 1: exactly one
-- row of either side, whatever the size of the group.
CREATE TABLE transactions_settled AS
SELECT
    plain,
    CASE WHEN plain = 0 THEN gateway END AS gateway,
    kind,
    CASE WHEN plain = 0 THEN reference END AS reference,
    CASE WHEN plain = 1 THEN currency END AS currency,
    count(*) AS row_count,
    CAST(sum(amount_minor) AS BIGINT) AS amount_minor,
    CAST(sum(CASE WHEN plain = 1 THEN (ledger_hash * gateway_hash) % 2147483647 ELSE 0 END) AS BIGINT) AS pair_hash
FROM (
    SELECT
        gateway,
        kind,
        reference,
        CASE
            WHEN sum(side) = 1099511627777 AND max(special) = 0
                AND min(amount_minor) = max(amount_minor) AND min(currency) = max(currency) THEN 1
            ELSE 0
        END AS plain,
        max(currency) AS currency,
        max(amount_minor) AS amount_minor,
        max(ledger_hash) AS ledger_hash,
        max(gateway_hash) AS gateway_hash
    FROM (
        SELECT
            l.gateway,
            l.kind,
            CASE WHEN l.reference = '' THEN l.entry_id ELSE l.reference END AS reference,
            CAST(1 AS BIGINT) AS side,
            CASE
                WHEN l.state <> 'booked' OR l.reverses_entry_id IS NOT NULL OR v.entry_id IS NOT NULL
                    OR t.id_hash IS NOT NULL OR u.gateway_payment_id IS NOT NULL THEN 1
                ELSE 0
            END AS special,
            l.amount_minor,
            l.currency,
            l.id_hash AS ledger_hash,
            CAST(0 AS BIGINT) AS gateway_hash
        FROM (SELECT *, row_hash(entry_id) AS id_hash FROM ledger) AS l
        LEFT JOIN transactions_reversed AS v ON v.entry_id = l.entry_id
        LEFT JOIN transactions_seen_twice AS t ON t.source = 'ledger' AND t.id_hash = l.id_hash
        LEFT JOIN transactions_unreferenced AS u
            ON u.gateway = l.gateway AND u.kind = l.kind AND u.gateway_payment_id = l.gateway_payment_id
        UNION ALL
        SELECT
            g.gateway,
            g.kind,
            g.reference,
            CAST(1099511627776 AS BIGINT) AS side,
            CASE
                WHEN t.id_hash IS NOT NULL OR o.gateway_payment_id IS NOT NULL
                    OR coalesce(g.presented_currency, g.currency) <> g.currency
                    OR (g.kind = 'charge' AND (
                        coalesce(g.available_at_ms - g.created_at_ms, 0) > s.settlement_sla_hours * 3600000
                        OR coalesce(abs(g.fee_minor - f.fixed_minor
                            - (abs(g.amount_minor) * f.basis_points + 5000) // 10000) > f.tolerance_minor, FALSE)
                    )) THEN 1
                ELSE 0
            END AS special,
            g.amount_minor,
            g.currency,
            CAST(0 AS BIGINT) AS ledger_hash,
            g.id_hash AS gateway_hash
        FROM (SELECT *, row_hash(transaction_id) AS id_hash FROM gateway_row) AS g
        CROSS JOIN settings AS s
        LEFT JOIN fee_rule AS f ON f.gateway = g.gateway AND f.currency = g.currency
        LEFT JOIN transactions_seen_twice AS t ON t.source = 'gateway' AND t.id_hash = g.id_hash
        LEFT JOIN transactions_overpaid AS o
            ON g.kind = 'refund' AND o.gateway = g.gateway AND o.gateway_payment_id = g.gateway_payment_id
            AND o.currency = g.currency
        WHERE g.kind IN ('charge', 'refund') AND coalesce(g.reference, '') <> ''
    ) AS side_rows
    GROUP BY gateway, kind, reference
) AS keyed
GROUP BY
    plain, CASE WHEN plain = 0 THEN gateway END, kind, CASE WHEN plain = 0 THEN reference END,
    CASE WHEN plain = 1 THEN currency END;
