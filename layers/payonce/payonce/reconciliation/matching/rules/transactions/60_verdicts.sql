-- One verdict per row, with the subject of its break. A pair's stake is on its gateway row, so that it counts once.

-- Pairs whose amounts differ by no more than the operator tolerates. They are matched, and the difference is said.
CREATE TABLE transactions_difference AS
SELECT
    'tolerated' AS how, m.gateway, m.currency, p.row_key, p.entry_id AS other_key,
    m.amount_minor - e.amount_minor AS difference_minor, m.created_at_ms AS at_ms
FROM transactions_pair AS p
JOIN transactions_entry AS e ON e.entry_id = p.entry_id
JOIN transactions_movement AS m ON m.row_key = p.row_key
JOIN tolerance AS t ON t.gateway = m.gateway AND t.currency = m.currency AND t.is_payout = 0
WHERE
    p.basis = 'first' AND e.currency = m.currency AND m.reversed_minor = 0
    AND (m.amount_minor > 0) = (e.amount_minor > 0)
    AND abs(m.amount_minor - e.amount_minor) <= least(
        t.amount_minor,
        -- A product that fits 64 bits for the largest amount, too.
        coalesce(
            abs(e.amount_minor) // 10000 * t.basis_points + abs(e.amount_minor) % 10000 * t.basis_points // 10000,
            t.amount_minor
        )
    );

CREATE TABLE transactions_pair_verdict AS
SELECT
    p.entry_id, p.row_key,
    CASE
        WHEN v.row_key IS NOT NULL THEN ''
        WHEN p.basis = 'state' AND m.reversed_minor <> 0 AND (m.amount_minor = 0 OR m.alone = 1) THEN ''
        WHEN p.basis = 'state' THEN 'status_mismatch'
        WHEN (p.basis = 'reversed' OR (p.basis = 'first' AND m.reversed_minor <> 0)) AND m.kind = 'charge'
            THEN 'settlement_reversed'
        WHEN p.basis = 'reversed' OR (p.basis = 'first' AND m.reversed_minor <> 0) THEN 'refund_failed'
        WHEN p.basis = 'first' AND e.currency NOT IN (m.currency, m.payer_currency) THEN 'currency_mismatch'
        WHEN p.basis = 'first' AND d.row_key IS NULL THEN 'amount_mismatch'
        WHEN x.row_key IS NOT NULL THEN 'refund_exceeds_capture'
        WHEN p.basis = 'presented' AND r.row_key IS NOT NULL THEN 'fx_mismatch'
        WHEN f.row_key IS NOT NULL THEN 'fee_mismatch'
        WHEN m.kind = 'charge' AND coalesce(m.available_at_ms - m.created_at_ms, 0) > s.settlement_sla_hours * 3600000
            THEN 'late_settlement'
        ELSE ''
    END AS break_class,
    CASE
        WHEN p.basis = 'reversed' OR (p.basis = 'first' AND m.reversed_minor <> 0 AND e.currency = m.currency)
            THEN abs(m.reversed_minor)
        WHEN p.basis = 'first' AND e.currency = m.currency AND d.row_key IS NULL
            THEN abs(m.amount_minor - e.amount_minor)
        WHEN p.basis = 'first' AND e.currency = m.payer_currency AND d.row_key IS NULL
            THEN abs(m.payer_minor - e.amount_minor)
        WHEN p.basis IN ('first', 'state') AND d.row_key IS NULL THEN abs(m.amount_minor)
        WHEN x.row_key IS NOT NULL THEN x.stake_minor
        WHEN p.basis = 'presented' AND r.row_key IS NOT NULL THEN r.stake_minor
        WHEN f.row_key IS NOT NULL THEN f.off_minor
        ELSE abs(m.amount_minor)
    END AS stake_minor,
    CASE
        WHEN p.basis = 'first' AND m.reversed_minor = 0 AND e.currency = m.payer_currency THEN m.payer_currency
        ELSE m.currency
    END AS stake_currency
FROM transactions_pair AS p
JOIN transactions_entry AS e ON e.entry_id = p.entry_id
JOIN transactions_movement AS m ON m.row_key = p.row_key
CROSS JOIN settings AS s
LEFT JOIN transactions_fee AS f ON f.row_key = p.row_key
LEFT JOIN transactions_excess AS x ON x.row_key = p.row_key
LEFT JOIN transactions_rate_off AS r ON r.row_key = p.row_key
LEFT JOIN transactions_difference AS d ON d.row_key = p.row_key AND d.other_key = p.entry_id
LEFT JOIN transactions_taken_alike AS v ON v.source = 'gateway' AND v.row_key = p.row_key;

-- Amounts that a group's movement has already, so that another one of them is a copy and anything else is a conflict.
CREATE TABLE transactions_kept AS
SELECT DISTINCT m.gateway, m.kind, m.ref, m.payer_currency, m.payer_minor
FROM transactions_movement AS m
JOIN transactions_group AS k ON k.gateway = m.gateway AND k.kind = m.kind AND k.ref = m.ref
LEFT JOIN transactions_pair AS p ON p.row_key = m.row_key
LEFT JOIN transactions_left_movement AS l ON l.row_key = m.row_key
WHERE p.row_key IS NOT NULL OR l.row_key IS NULL
    OR (l.ordinal = 1 AND k.agreed = 0 AND k.booked = 0 AND k.unbooked = 0);

-- A row that says of the same payment, at the same time, what another one says under another id: the report tells one
-- movement twice, and what it names can't be given back without giving back the only one.
CREATE TABLE transactions_twin AS
SELECT DISTINCT m.row_key
FROM transactions_left_movement AS m
JOIN transactions_movement AS c
    ON c.gateway = m.gateway AND c.kind = m.kind AND c.ref = m.ref AND c.currency = m.currency
    AND c.row_minor = m.row_minor AND c.created_at_ms = m.created_at_ms
    AND c.gateway_payment_id = m.gateway_payment_id
    AND coalesce(c.gateway_object_id, '') = coalesce(m.gateway_object_id, '')
    AND coalesce(c.gateway_charge_id, '') = coalesce(m.gateway_charge_id, '')
LEFT JOIN transactions_pair AS p ON p.row_key = m.row_key
LEFT JOIN transactions_pair AS q ON q.row_key = c.row_key
WHERE p.row_key IS NULL AND c.row_key <> m.row_key
    AND (q.row_key IS NOT NULL OR c.transaction_id < m.transaction_id);

-- How far a gateway's reports of a kind and currency reach: what our ledger has after that can't be in them, such as what
-- is in no closed batch yet. That reports end is told by several such entries that are no longer in transit; a single one
-- may as well be missing. Where a kind and currency have fewer, it is told by all kinds of the currency together, since
-- batches are closed by currency, else by all of the gateway's.
CREATE TABLE transactions_reach AS
SELECT gateway, kind, currency, level, scope, reach_ms
FROM (
    SELECT gateway, base, kind, currency, 1 AS level, kind || '|' || currency AS scope, last_reported_ms AS reach_ms
    FROM transactions_lane
    UNION ALL
    SELECT
        gateway, base, kind, currency, 2 AS level, currency AS scope,
        max(last_reported_ms) OVER (PARTITION BY gateway, currency) AS reach_ms
    FROM transactions_lane
    UNION ALL
    SELECT
        gateway, base, kind, currency, 3 AS level, '' AS scope,
        max(last_reported_ms) OVER (PARTITION BY gateway, kind) AS reach_ms
    FROM transactions_lane
) AS reached
WHERE kind = base;

CREATE TABLE transactions_beyond AS
SELECT gateway, kind, currency, reach_ms
FROM (
    SELECT
        gateway, kind, currency, reach_ms, row_number() OVER (PARTITION BY gateway, kind, currency ORDER BY level) AS choice
    FROM (
        SELECT
            r.gateway, r.kind, r.currency, r.level, r.reach_ms,
            sum(coalesce(t.entries, 0)) OVER (PARTITION BY r.gateway, r.level, r.scope) AS entries
        FROM transactions_reach AS r
        LEFT JOIN (
            SELECT e.gateway, e.kind, e.currency, r.level, count(*) AS entries
            FROM transactions_left_entry AS e
            JOIN transactions_reach AS r
                ON r.gateway = e.gateway AND r.kind = e.kind AND r.currency = e.currency AND e.booked_at_ms > r.reach_ms
            CROSS JOIN settings AS s
            WHERE e.state = 'booked' AND e.kind IN ('charge', 'refund')
                AND e.booked_at_ms <= s.as_of_ms - s.in_transit_hours * 3600000
            GROUP BY e.gateway, e.kind, e.currency, r.level
        ) AS t ON t.gateway = r.gateway AND t.kind = r.kind AND t.currency = r.currency AND t.level = r.level
    ) AS counted
    WHERE entries >= 3 AND reach_ms IS NOT NULL
) AS ranked
WHERE choice = 1;

-- What our ledger has from before a gateway's reports begin is in earlier ones. That, too, is told by several, or by one of
-- an earlier day that is not far: a quarter of the time in transit. Reports begin at a day's beginning, ledgers a bit sooner,
-- so that what was booked just before midnight and charged just after it finds its other.
CREATE TABLE transactions_before AS
SELECT entry_id
FROM (
    SELECT
        e.entry_id, e.booked_at_ms, r.first_reported_ms, s.in_transit_hours,
        count(*) OVER (PARTITION BY e.gateway) AS entries
    FROM transactions_left_entry AS e
    JOIN (
        SELECT gateway, min(first_reported_ms) AS first_reported_ms FROM transactions_lane GROUP BY gateway
    ) AS r ON r.gateway = e.gateway AND e.booked_at_ms < r.first_reported_ms
    CROSS JOIN settings AS s
    LEFT JOIN transactions_pair AS p ON p.entry_id = e.entry_id
    WHERE e.state = 'booked' AND p.entry_id IS NULL
) AS early
WHERE entries >= 3
    OR (booked_at_ms // 86400000 < first_reported_ms // 86400000
        AND booked_at_ms >= first_reported_ms - in_transit_hours * 900000);

CREATE TABLE transactions_left_verdict AS
SELECT
    row_key, kind, gateway, ref, transaction_id, merchant_id, payment_id, stake_minor, surplus,
    CASE
        WHEN excess THEN 'refund_exceeds_capture'
        WHEN is_settled OR is_given_back OR is_taken_back_since OR is_taken_back_lately THEN ''
        WHEN alone = 1 AND row_kind = 'uncaptured' THEN ''
        WHEN alone = 1 AND kind = 'charge' THEN 'settlement_reversed'
        WHEN alone = 1 THEN 'refund_failed'
        WHEN surplus = 0 AND in_transit THEN ''
        WHEN twin THEN 'duplicate_row'
        WHEN surplus = 0 AND kind = 'charge' THEN 'missing_in_ledger'
        WHEN surplus = 0 THEN 'orphan_refund'
        WHEN NOT copy THEN 'payload_conflict'
        WHEN kind = 'charge' THEN 'duplicate_capture'
        ELSE 'orphan_refund'
    END AS break_class,
    CASE WHEN is_settled THEN 'matched' ELSE 'excluded' END AS settled,
    CASE
        WHEN is_settled THEN ''
        WHEN is_given_back THEN 'given_back'
        WHEN is_taken_back_since THEN 'not_reported_yet'
        WHEN is_taken_back_lately THEN 'in_transit'
        WHEN alone = 1 THEN 'uncaptured'
        ELSE 'in_transit'
    END AS reason
FROM (
    SELECT
        m.row_key, m.kind, m.row_kind, m.gateway, m.ref, m.transaction_id, m.alone, k.merchant_id, k.payment_id,
        CASE
            WHEN m.alone = 1 THEN abs(m.row_minor)
            WHEN x.row_key IS NOT NULL THEN x.stake_minor
            WHEN b.left_minor > 0 AND m.kind = 'charge' THEN b.left_minor * m.amount_minor // m.payer_minor
            ELSE abs(m.amount_minor)
        END AS stake_minor,
        x.row_key IS NOT NULL AND m.alone = 0 AS excess,
        -- Both sides took it back, or the dispute over it is written off: nothing is left of it.
        (m.alone = 0 AND m.amount_minor = 0) OR (m.alone = 1 AND t.ref IS NOT NULL) OR w.row_key IS NOT NULL
            OR v.row_key IS NOT NULL AS is_settled,
        b.row_key IS NOT NULL AND (b.left_minor = 0 OR m.kind = 'refund') AS is_given_back,
        -- Our ledger took it back after what the reports reach to: what the gateway did about it is in none yet.
        coalesce(t.booked_at_ms > z.reach_ms, FALSE) AS is_taken_back_since,
        coalesce(t.booked_at_ms > s.as_of_ms - s.in_transit_hours * 3600000, FALSE) AS is_taken_back_lately,
        m.created_at_ms > s.as_of_ms - s.in_transit_hours * 3600000 AS in_transit,
        c.ref IS NOT NULL AS copy,
        d.row_key IS NOT NULL AS twin,
        CASE WHEN m.ordinal = 1 AND k.agreed = 0 AND k.booked = 0 AND k.unbooked = 0 THEN 0 ELSE 1 END AS surplus
    FROM transactions_left_movement AS m
    JOIN transactions_group AS k ON k.gateway = m.gateway AND k.kind = m.kind AND k.ref = m.ref
    CROSS JOIN settings AS s
    LEFT JOIN transactions_pair AS p ON p.row_key = m.row_key
    LEFT JOIN transactions_excess AS x ON x.row_key = m.row_key
    LEFT JOIN transactions_given_back AS b ON b.row_key = m.row_key
    LEFT JOIN transactions_twin AS d ON d.row_key = m.row_key
    LEFT JOIN transactions_written_off AS w ON w.role = 'charge' AND w.row_key = m.row_key
    LEFT JOIN transactions_taken_alike AS v ON v.source = 'gateway' AND v.row_key = m.row_key
    LEFT JOIN (
        SELECT l.gateway, l.kind, l.ref, max(l.booked_at_ms) AS booked_at_ms
        FROM transactions_cancelled AS n
        JOIN transactions_ledger_row AS l ON l.entry_id = n.entry_id
        GROUP BY l.gateway, l.kind, l.ref
    ) AS t ON t.gateway = m.gateway AND t.kind = m.kind AND t.ref = m.ref
    LEFT JOIN transactions_beyond AS z
        ON z.gateway = m.gateway AND z.kind = m.kind AND z.currency = m.currency
    LEFT JOIN transactions_kept AS c
        ON c.gateway = m.gateway AND c.kind = m.kind AND c.ref = m.ref AND c.payer_currency = m.payer_currency
        AND c.payer_minor = m.payer_minor
    WHERE p.row_key IS NULL
) AS remaining;

CREATE TABLE transactions_entry_verdict AS
SELECT
    e.entry_id, e.gateway, e.ref, e.merchant_id, e.payment_id, abs(e.amount_minor) AS stake_minor,
    CASE
        WHEN e.state <> 'booked' OR w.row_key IS NOT NULL OR v.row_key IS NOT NULL THEN ''
        WHEN e.kind IN ('charge', 'refund') AND (k.agreed > 0 OR k.moved > 0 OR e.ordinal > 1) THEN 'duplicate_posting'
        WHEN e.booked_at_ms > s.as_of_ms - s.in_transit_hours * 3600000 THEN ''
        WHEN e.booked_at_ms > z.reach_ms OR y.entry_id IS NOT NULL THEN ''
        ELSE 'missing_in_gateway'
    END AS break_class,
    CASE WHEN w.row_key IS NOT NULL OR v.row_key IS NOT NULL THEN 'matched' ELSE 'excluded' END AS settled,
    CASE
        WHEN w.row_key IS NOT NULL OR v.row_key IS NOT NULL THEN ''
        WHEN e.state <> 'booked' THEN 'not_booked'
        WHEN e.booked_at_ms > s.as_of_ms - s.in_transit_hours * 3600000 THEN 'in_transit'
        WHEN e.booked_at_ms > z.reach_ms THEN 'not_reported_yet'
        ELSE 'reported_before'
    END AS reason
FROM transactions_left_entry AS e
JOIN transactions_group AS k ON k.gateway = e.gateway AND k.kind = e.kind AND k.ref = e.ref
CROSS JOIN settings AS s
LEFT JOIN transactions_beyond AS z ON z.gateway = e.gateway AND z.kind = e.kind AND z.currency = e.currency
LEFT JOIN transactions_before AS y ON y.entry_id = e.entry_id
LEFT JOIN transactions_written_off AS w ON w.role = 'entry' AND w.row_key = e.entry_id
LEFT JOIN transactions_taken_alike AS v ON v.source = 'ledger' AND v.row_key = e.entry_id
LEFT JOIN transactions_pair AS p ON p.entry_id = e.entry_id
WHERE p.entry_id IS NULL;

CREATE TABLE transactions_dispute_verdict AS
SELECT
    r.row_key, r.gateway, r.ref,
    CASE
        WHEN d.left_minor >= 0 OR w.ref IS NOT NULL OR t.ref IS NOT NULL THEN ''
        WHEN d.is_lost = 1 OR d.taken_at_ms <= s.as_of_ms - s.dispute_days * 86400000 THEN 'dispute_lost'
        ELSE 'dispute_open'
    END AS break_class,
    CASE WHEN r.row_key = d.first_key THEN abs(d.left_minor) ELSE 0 END AS stake_minor,
    r.currency
FROM transactions_dispute_row AS r
JOIN transactions_dispute AS d ON d.gateway = r.gateway AND d.ref = r.ref AND d.currency = r.currency
CROSS JOIN settings AS s
LEFT JOIN (SELECT DISTINCT gateway, ref, currency FROM transactions_written_off) AS w
    ON w.gateway = d.gateway AND w.ref = d.ref AND w.currency = d.currency
LEFT JOIN (SELECT DISTINCT gateway, ref, currency FROM transactions_dispute_told) AS t
    ON t.gateway = d.gateway AND t.ref = d.ref AND t.currency = d.currency;

-- Of every row: what it is, and the subject that its break has. settled: what becomes of the row if it is no break, and
-- reason why it is then neither matched nor a break.
CREATE TABLE transactions_lead_verdict AS
SELECT
    'ledger' AS source, p.entry_id AS row_key, CAST(1 AS BIGINT) AS version, p.break_class, 'matched' AS settled,
    '' AS reason, e.gateway, e.ref AS subject_2, '' AS subject_3, CAST(0 AS BIGINT) AS stake_minor,
    '' AS stake_currency, e.merchant_id, e.payment_id, CAST(NULL AS VARCHAR) AS surplus_gateway_payment_id
FROM transactions_pair_verdict AS p
JOIN transactions_entry AS e ON e.entry_id = p.entry_id
UNION ALL
SELECT
    'gateway' AS source, p.row_key, CAST(1 AS BIGINT) AS version, p.break_class, 'matched' AS settled, '' AS reason,
    e.gateway, e.ref AS subject_2, '' AS subject_3, p.stake_minor, p.stake_currency, e.merchant_id,
    e.payment_id, CAST(NULL AS VARCHAR) AS surplus_gateway_payment_id
FROM transactions_pair_verdict AS p
JOIN transactions_entry AS e ON e.entry_id = p.entry_id
JOIN transactions_movement AS m ON m.row_key = p.row_key
UNION ALL
SELECT
    source, row_key, CAST(1 AS BIGINT) AS version, '' AS break_class, 'matched' AS settled, '' AS reason,
    '' AS gateway, '' AS subject_2, '' AS subject_3, CAST(0 AS BIGINT) AS stake_minor, '' AS stake_currency,
    CAST(NULL AS VARCHAR) AS merchant_id, CAST(NULL AS VARCHAR) AS payment_id,
    CAST(NULL AS VARCHAR) AS surplus_gateway_payment_id
FROM transactions_summed
UNION ALL
SELECT
    'gateway' AS source, v.row_key, CAST(1 AS BIGINT) AS version, v.break_class, v.settled, v.reason, v.gateway,
    v.ref AS subject_2, CASE WHEN v.surplus = 1 THEN v.transaction_id ELSE '' END AS subject_3, v.stake_minor,
    m.currency AS stake_currency, v.merchant_id, v.payment_id,
    CASE WHEN v.break_class = 'duplicate_capture' THEN coalesce(m.gateway_payment_id, m.transaction_id) END AS surplus_gateway_payment_id
FROM transactions_left_verdict AS v
JOIN transactions_movement AS m ON m.row_key = v.row_key
UNION ALL
SELECT
    'ledger' AS source, v.entry_id AS row_key, CAST(1 AS BIGINT) AS version, v.break_class, v.settled, v.reason,
    v.gateway, v.ref AS subject_2,
    CASE WHEN v.break_class = 'duplicate_posting' THEN v.entry_id ELSE '' END AS subject_3, v.stake_minor,
    e.currency AS stake_currency, v.merchant_id, v.payment_id, CAST(NULL AS VARCHAR) AS surplus_gateway_payment_id
FROM transactions_entry_verdict AS v
JOIN transactions_entry AS e ON e.entry_id = v.entry_id
UNION ALL
SELECT
    'ledger' AS source, entry_id AS row_key, CAST(1 AS BIGINT) AS version, '' AS break_class, 'excluded' AS settled,
    'taken_back' AS reason, '' AS gateway, '' AS subject_2, '' AS subject_3, CAST(0 AS BIGINT) AS stake_minor,
    '' AS stake_currency, CAST(NULL AS VARCHAR) AS merchant_id, CAST(NULL AS VARCHAR) AS payment_id,
    CAST(NULL AS VARCHAR) AS surplus_gateway_payment_id
FROM (
    SELECT entry_id FROM transactions_cancelled UNION ALL SELECT other_entry_id AS entry_id FROM transactions_cancelled
) AS cancelled
UNION ALL
SELECT
    a.source, a.row_key, CAST(1 AS BIGINT) AS version, 'ambiguous' AS break_class, 'excluded' AS settled,
    '' AS reason, a.gateway,
    min(CASE WHEN a.source = 'gateway' THEN a.row_key END)
        OVER (PARTITION BY a.gateway, a.kind, a.currency, a.amount_minor, a.ordinal) AS subject_2,
    '' AS subject_3, CASE WHEN a.source = 'gateway' THEN abs(a.amount_minor) ELSE 0 END AS stake_minor,
    a.currency AS stake_currency, l.merchant_id, CAST(NULL AS VARCHAR) AS payment_id,
    CAST(NULL AS VARCHAR) AS surplus_gateway_payment_id
FROM transactions_ambiguous AS a
LEFT JOIN transactions_ledger_row AS l ON a.source = 'ledger' AND l.entry_id = a.row_key
UNION ALL
SELECT
    'gateway' AS source, g.row_key, CAST(g.version AS BIGINT) AS version, 'payload_conflict' AS break_class,
    'excluded' AS settled, '' AS reason, g.gateway, coalesce(g.reference, g.transaction_id) AS subject_2,
    g.transaction_id AS subject_3, abs(g.amount_minor) AS stake_minor, g.currency AS stake_currency,
    CAST(NULL AS VARCHAR) AS merchant_id, CAST(NULL AS VARCHAR) AS payment_id,
    CAST(NULL AS VARCHAR) AS surplus_gateway_payment_id
FROM transactions_gateway_row AS g
WHERE g.version > 1
UNION ALL
SELECT
    'gateway' AS source, d.row_key, CAST(1 AS BIGINT) AS version, d.break_class, 'matched' AS settled, '' AS reason,
    d.gateway, d.ref AS subject_2, '' AS subject_3, d.stake_minor, d.currency AS stake_currency,
    CAST(NULL AS VARCHAR) AS merchant_id, CAST(NULL AS VARCHAR) AS payment_id,
    CAST(NULL AS VARCHAR) AS surplus_gateway_payment_id
FROM transactions_dispute_verdict AS d
UNION ALL
SELECT
    'gateway' AS source, g.row_key, CAST(1 AS BIGINT) AS version, '' AS break_class, 'excluded' AS settled,
    g.kind AS reason, g.gateway, '' AS subject_2, '' AS subject_3, CAST(0 AS BIGINT) AS stake_minor,
    '' AS stake_currency, CAST(NULL AS VARCHAR) AS merchant_id, CAST(NULL AS VARCHAR) AS payment_id,
    CAST(NULL AS VARCHAR) AS surplus_gateway_payment_id
FROM transactions_gateway_row AS g
LEFT JOIN transactions_kind AS b ON b.kind = g.kind
WHERE g.version = 1 AND b.kind IS NULL AND g.kind NOT IN ('dispute', 'dispute_reversal', 'dispute_lost');

-- What takes back shares the verdict of what it takes back.
CREATE TABLE transactions_verdict AS
SELECT * FROM transactions_lead_verdict
UNION ALL
SELECT
    v.source, t.row_key, v.version, v.break_class, v.settled, v.reason, v.gateway, v.subject_2, v.subject_3,
    CAST(0 AS BIGINT) AS stake_minor, v.stake_currency, v.merchant_id, v.payment_id, v.surplus_gateway_payment_id
FROM transactions_attached AS t
JOIN transactions_lead_verdict AS v ON v.source = 'gateway' AND v.row_key = t.lead_key AND v.version = 1;
