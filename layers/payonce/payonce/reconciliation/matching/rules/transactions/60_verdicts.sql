-- One verdict per row, with the subject of its break. A pair's stake is on its gateway row, so that it counts once.

CREATE TABLE transactions_pair_verdict AS
SELECT
    p.entry_id, p.row_key,
    CASE
        WHEN p.basis = 'state' THEN 'status_mismatch'
        WHEN p.basis = 'first' AND e.currency <> m.currency THEN 'currency_mismatch'
        WHEN p.basis = 'first' THEN 'amount_mismatch'
        WHEN x.row_key IS NOT NULL THEN 'refund_exceeds_capture'
        WHEN p.basis = 'presented' AND r.row_key IS NOT NULL THEN 'fx_mismatch'
        WHEN m.kind = 'charge' AND coalesce(abs(m.fee_minor - f.fixed_minor
            - (abs(m.amount_minor) * f.basis_points + 5000) // 10000) > f.tolerance_minor, FALSE) THEN 'fee_mismatch'
        WHEN m.kind = 'charge' AND coalesce(m.available_at_ms - m.created_at_ms, 0) > s.settlement_sla_hours * 3600000
            THEN 'late_settlement'
        ELSE ''
    END AS break_class,
    CASE
        WHEN p.basis = 'first' AND e.currency = m.currency THEN abs(m.amount_minor - e.amount_minor)
        WHEN p.basis IN ('first', 'state') THEN abs(m.amount_minor)
        WHEN x.row_key IS NOT NULL THEN x.stake_minor
        WHEN p.basis = 'presented' AND r.row_key IS NOT NULL THEN r.stake_minor
        WHEN m.kind = 'charge' AND coalesce(abs(m.fee_minor - f.fixed_minor
            - (abs(m.amount_minor) * f.basis_points + 5000) // 10000) > f.tolerance_minor, FALSE)
            THEN abs(m.fee_minor - f.fixed_minor - (abs(m.amount_minor) * f.basis_points + 5000) // 10000)
        ELSE abs(m.amount_minor)
    END AS stake_minor
FROM transactions_pair AS p
JOIN transactions_entry AS e ON e.entry_id = p.entry_id
JOIN transactions_movement AS m ON m.row_key = p.row_key
CROSS JOIN settings AS s
LEFT JOIN fee_rule AS f ON f.gateway = m.gateway AND f.currency = m.currency
LEFT JOIN transactions_excess AS x ON x.row_key = p.row_key
LEFT JOIN transactions_rate_off AS r ON r.row_key = p.row_key;

-- Amounts that a group's movement has already, so that another one of them is a copy and anything else is a conflict.
CREATE TABLE transactions_kept AS
SELECT DISTINCT m.gateway, m.kind, m.ref, m.currency, m.amount_minor
FROM transactions_movement AS m
JOIN transactions_group AS k ON k.gateway = m.gateway AND k.kind = m.kind AND k.ref = m.ref
LEFT JOIN transactions_pair AS p ON p.row_key = m.row_key
LEFT JOIN transactions_left_movement AS l ON l.row_key = m.row_key
WHERE p.row_key IS NOT NULL OR (l.ordinal = 1 AND k.agreed = 0 AND k.booked = 0 AND k.unbooked = 0);

CREATE TABLE transactions_left_verdict AS
SELECT
    row_key, kind, gateway, ref, transaction_id, merchant_id, payment_id, stake_minor, surplus,
    CASE
        WHEN excess THEN 'refund_exceeds_capture'
        WHEN surplus = 0 AND in_transit THEN ''
        WHEN surplus = 0 AND kind = 'charge' THEN 'missing_in_ledger'
        WHEN surplus = 0 THEN 'orphan_refund'
        WHEN NOT copy THEN 'payload_conflict'
        WHEN kind = 'charge' THEN 'duplicate_capture'
        ELSE 'orphan_refund'
    END AS break_class
FROM (
    SELECT
        m.row_key, m.kind, m.gateway, m.ref, m.transaction_id, k.merchant_id, k.payment_id,
        coalesce(x.stake_minor, abs(m.amount_minor)) AS stake_minor,
        x.row_key IS NOT NULL AS excess,
        m.created_at_ms > s.as_of_ms - s.in_transit_hours * 3600000 AS in_transit,
        c.ref IS NOT NULL AS copy,
        CASE WHEN m.ordinal = 1 AND k.agreed = 0 AND k.booked = 0 AND k.unbooked = 0 THEN 0 ELSE 1 END AS surplus
    FROM transactions_left_movement AS m
    JOIN transactions_group AS k ON k.gateway = m.gateway AND k.kind = m.kind AND k.ref = m.ref
    CROSS JOIN settings AS s
    LEFT JOIN transactions_pair AS p ON p.row_key = m.row_key
    LEFT JOIN transactions_excess AS x ON x.row_key = m.row_key
    LEFT JOIN transactions_kept AS c
        ON c.gateway = m.gateway AND c.kind = m.kind AND c.ref = m.ref AND c.currency = m.currency
        AND c.amount_minor = m.amount_minor
    WHERE p.row_key IS NULL
) AS remaining;

CREATE TABLE transactions_entry_verdict AS
SELECT
    e.entry_id, e.gateway, e.ref, e.merchant_id, e.payment_id, abs(e.amount_minor) AS stake_minor,
    CASE
        WHEN e.state <> 'booked' THEN ''
        WHEN k.agreed > 0 OR k.moved > 0 OR e.ordinal > 1 THEN 'duplicate_posting'
        WHEN e.booked_at_ms > s.as_of_ms - s.in_transit_hours * 3600000 THEN ''
        ELSE 'missing_in_gateway'
    END AS break_class
FROM transactions_left_entry AS e
JOIN transactions_group AS k ON k.gateway = e.gateway AND k.kind = e.kind AND k.ref = e.ref
CROSS JOIN settings AS s
LEFT JOIN transactions_pair AS p ON p.entry_id = e.entry_id
WHERE p.entry_id IS NULL;

-- Of every row: what it is, and the subject that its break has. settled: what becomes of the row if it is no break.
CREATE TABLE transactions_verdict AS
SELECT
    'ledger' AS source, p.entry_id AS row_key, CAST(1 AS BIGINT) AS version, p.break_class, 'matched' AS settled, e.gateway, e.ref AS subject_2,
    '' AS subject_3, CAST(0 AS BIGINT) AS stake_minor, '' AS stake_currency, e.merchant_id, e.payment_id,
    CAST(NULL AS VARCHAR) AS surplus_gateway_payment_id
FROM transactions_pair_verdict AS p
JOIN transactions_entry AS e ON e.entry_id = p.entry_id
UNION ALL
SELECT
    'gateway' AS source, p.row_key, CAST(1 AS BIGINT) AS version, p.break_class, 'matched' AS settled, e.gateway, e.ref AS subject_2,
    '' AS subject_3, p.stake_minor, m.currency AS stake_currency, e.merchant_id, e.payment_id,
    CAST(NULL AS VARCHAR) AS surplus_gateway_payment_id
FROM transactions_pair_verdict AS p
JOIN transactions_entry AS e ON e.entry_id = p.entry_id
JOIN transactions_movement AS m ON m.row_key = p.row_key
UNION ALL
SELECT
    'gateway' AS source, v.row_key, CAST(1 AS BIGINT) AS version, v.break_class, 'excluded' AS settled, v.gateway, v.ref AS subject_2,
    CASE WHEN v.surplus = 1 THEN v.transaction_id ELSE '' END AS subject_3, v.stake_minor,
    m.currency AS stake_currency, v.merchant_id, v.payment_id,
    CASE WHEN v.break_class = 'duplicate_capture' THEN coalesce(m.gateway_payment_id, m.transaction_id) END
        AS surplus_gateway_payment_id
FROM transactions_left_verdict AS v
JOIN transactions_movement AS m ON m.row_key = v.row_key
UNION ALL
SELECT
    'ledger' AS source, v.entry_id AS row_key, CAST(1 AS BIGINT) AS version, v.break_class, 'excluded' AS settled, v.gateway, v.ref AS subject_2,
    CASE WHEN v.break_class = 'duplicate_posting' THEN v.entry_id ELSE '' END AS subject_3, v.stake_minor,
    e.currency AS stake_currency, v.merchant_id, v.payment_id, CAST(NULL AS VARCHAR) AS surplus_gateway_payment_id
FROM transactions_entry_verdict AS v
JOIN transactions_entry AS e ON e.entry_id = v.entry_id
UNION ALL
SELECT
    'ledger' AS source, entry_id AS row_key, CAST(1 AS BIGINT) AS version, '' AS break_class, 'excluded' AS settled, '' AS gateway, '' AS subject_2,
    '' AS subject_3, CAST(0 AS BIGINT) AS stake_minor, '' AS stake_currency, CAST(NULL AS VARCHAR) AS merchant_id,
    CAST(NULL AS VARCHAR) AS payment_id, CAST(NULL AS VARCHAR) AS surplus_gateway_payment_id
FROM (
    SELECT entry_id FROM transactions_cancelled UNION ALL SELECT other_entry_id AS entry_id FROM transactions_cancelled
) AS cancelled
UNION ALL
SELECT
    a.source, a.row_key, CAST(1 AS BIGINT) AS version, 'ambiguous' AS break_class, 'excluded' AS settled, a.gateway,
    min(CASE WHEN a.source = 'gateway' THEN a.row_key END)
        OVER (PARTITION BY a.gateway, a.kind, a.currency, a.amount_minor, a.ordinal) AS subject_2,
    '' AS subject_3, CASE WHEN a.source = 'gateway' THEN abs(a.amount_minor) ELSE 0 END AS stake_minor,
    a.currency AS stake_currency, l.merchant_id,
    CAST(NULL AS VARCHAR) AS payment_id, CAST(NULL AS VARCHAR) AS surplus_gateway_payment_id
FROM transactions_ambiguous AS a
LEFT JOIN transactions_ledger_row AS l ON a.source = 'ledger' AND l.entry_id = a.row_key
UNION ALL
SELECT
    'gateway' AS source, g.row_key, CAST(g.version AS BIGINT) AS version, 'payload_conflict' AS break_class, 'excluded' AS settled, g.gateway,
    coalesce(g.reference, g.transaction_id) AS subject_2, g.transaction_id AS subject_3,
    abs(g.amount_minor) AS stake_minor, g.currency AS stake_currency, CAST(NULL AS VARCHAR) AS merchant_id,
    CAST(NULL AS VARCHAR) AS payment_id, CAST(NULL AS VARCHAR) AS surplus_gateway_payment_id
FROM transactions_gateway_row AS g
WHERE g.version > 1
UNION ALL
SELECT
    'gateway' AS source, g.row_key, CAST(1 AS BIGINT) AS version, CASE WHEN g.kind = 'dispute' THEN 'dispute_open' ELSE '' END AS break_class,
    'excluded' AS settled, g.gateway, coalesce(g.reference, g.transaction_id) AS subject_2, '' AS subject_3,
    abs(g.amount_minor) AS stake_minor, g.currency AS stake_currency, CAST(NULL AS VARCHAR) AS merchant_id,
    CAST(NULL AS VARCHAR) AS payment_id, CAST(NULL AS VARCHAR) AS surplus_gateway_payment_id
FROM transactions_gateway_row AS g
WHERE g.version = 1 AND g.kind NOT IN ('charge', 'refund');
