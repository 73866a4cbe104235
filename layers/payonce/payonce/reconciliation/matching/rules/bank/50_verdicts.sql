-- What each payout came to, and with it each line.

-- The lines of a payout in the order in which they were booked. surplus: a credit beyond the first of the right amount.
CREATE TABLE bank_own_line AS
SELECT
    o.line_key, o.gateway, o.payout_id, o.currency, o.amount_minor,
    CASE WHEN o.amount_minor = p.expected_minor THEN 1 ELSE 0 END AS is_equal,
    CASE WHEN p.expected_minor = 0 OR (o.amount_minor > 0) = (p.expected_minor > 0) THEN 1 ELSE 0 END AS is_same_way,
    row_number() OVER (
        PARTITION BY o.gateway, o.payout_id, o.currency
        ORDER BY CASE WHEN o.amount_minor = p.expected_minor THEN 0 ELSE 1 END, l.booking_day, o.line_key
    ) AS ordinal
FROM bank_own AS o
JOIN bank_row AS l ON l.line_key = o.line_key
JOIN bank_payout AS p ON p.gateway = o.gateway AND p.payout_id = o.payout_id AND p.currency = o.currency;

CREATE TABLE bank_came AS
SELECT
    gateway, payout_id, currency,
    CAST(sum(amount_minor) AS BIGINT) AS came_minor,
    CAST(sum(1 - is_same_way) AS BIGINT) AS sent_back,
    CAST(sum(is_equal) AS BIGINT) AS equal_lines
FROM bank_own_line
GROUP BY gateway, payout_id, currency;

-- A payout can be missed only from a bank that tells of accounts in its currency.
CREATE TABLE bank_told_currency AS
SELECT DISTINCT currency FROM bank_line
UNION
SELECT DISTINCT currency FROM bank_statement
UNION
SELECT DISTINCT sent_currency AS currency FROM bank_line WHERE sent_currency IS NOT NULL;

-- Payouts of which the bank has taken, or given, no more than the operator tolerates. They are matched, and it is said.
CREATE TABLE bank_difference AS
SELECT
    'tolerated_payout' AS how, p.gateway, p.currency, p.gateway || '|' || p.payout_id AS row_key, '' AS other_key,
    c.came_minor - p.expected_minor AS difference_minor, p.last_day * 86400000 AS at_ms, p.payout_id
FROM bank_payout AS p
JOIN bank_came AS c ON c.gateway = p.gateway AND c.payout_id = p.payout_id AND c.currency = p.currency
JOIN tolerance AS t ON t.gateway = p.gateway AND t.currency = p.currency AND t.is_payout = 1
LEFT JOIN (
    SELECT gateway, payout_id, currency FROM bank_batch
    UNION
    SELECT gateway, payout_id, currency FROM bank_unclear
    UNION
    SELECT gateway, payout_id, currency FROM bank_ambiguous WHERE source = 'gateway'
) AS o ON o.gateway = p.gateway AND o.payout_id = p.payout_id AND o.currency = p.currency
WHERE
    o.payout_id IS NULL AND c.came_minor <> p.expected_minor AND c.sent_back = 0 AND c.equal_lines = 0
    AND abs(c.came_minor - p.expected_minor) <= least(
        t.amount_minor,
        coalesce(
            abs(p.expected_minor) // 10000 * t.basis_points + abs(p.expected_minor) % 10000 * t.basis_points // 10000,
            t.amount_minor
        )
    );

CREATE TABLE bank_payout_verdict AS
SELECT
    gateway, payout_id, currency, settled, reason, first_key, last_day, is_told,
    CASE WHEN judged = '' AND off_minor > 0 THEN 'payout_different' ELSE judged END AS break_class,
    CASE
        WHEN judged = '' THEN off_minor
        WHEN judged = 'payout_returned' OR judged = 'payout_different' THEN greatest(abs(expected_minor - came_minor), off_minor)
        ELSE abs(expected_minor)
    END AS stake_minor
FROM (
    SELECT
        p.gateway, p.payout_id, p.currency, p.expected_minor, coalesce(c.came_minor, 0) AS came_minor,
        coalesce(f.off_minor, 0) AS off_minor, u.line_key AS first_key,
        CASE
            WHEN u.line_key IS NOT NULL OR a.payout_id IS NOT NULL THEN 'ambiguous'
            WHEN b.payout_id IS NOT NULL THEN ''
            WHEN c.came_minor = p.expected_minor THEN ''
            WHEN c.sent_back > 0 THEN 'payout_returned'
            WHEN c.equal_lines > 0 THEN ''
            WHEN d.row_key IS NOT NULL THEN ''
            WHEN c.came_minor IS NOT NULL THEN 'payout_different'
            WHEN p.expected_minor = 0 OR t.currency IS NULL OR x.payout_id IS NOT NULL THEN ''
            WHEN s.as_of_ms // 86400000 > p.last_day + s.payout_sla_days THEN 'payout_missing'
            ELSE ''
        END AS judged,
        CASE
            WHEN b.payout_id IS NOT NULL OR c.payout_id IS NOT NULL OR p.expected_minor = 0
                THEN 'matched'
            ELSE 'excluded'
        END AS settled,
        CASE
            WHEN x.payout_id IS NOT NULL THEN 'converted'
            WHEN t.currency IS NULL THEN 'no_statement'
            ELSE 'in_transit'
        END AS reason,
        p.last_day, p.is_told
    FROM bank_payout AS p
    CROSS JOIN settings AS s
    LEFT JOIN bank_came AS c ON c.gateway = p.gateway AND c.payout_id = p.payout_id AND c.currency = p.currency
    LEFT JOIN (SELECT DISTINCT gateway, payout_id, currency FROM bank_batch) AS b
        ON b.gateway = p.gateway AND b.payout_id = p.payout_id AND b.currency = p.currency
    LEFT JOIN bank_unclear AS u ON u.gateway = p.gateway AND u.payout_id = p.payout_id AND u.currency = p.currency
    LEFT JOIN (SELECT DISTINCT gateway, payout_id, currency FROM bank_ambiguous WHERE source = 'gateway') AS a
        ON a.gateway = p.gateway AND a.payout_id = p.payout_id AND a.currency = p.currency
    LEFT JOIN bank_off AS f ON f.gateway = p.gateway AND f.payout_id = p.payout_id AND f.currency = p.currency
    LEFT JOIN bank_told_currency AS t ON t.currency = p.currency
    LEFT JOIN bank_difference AS d
        ON d.gateway = p.gateway AND d.payout_id = p.payout_id AND d.currency = p.currency
    LEFT JOIN (SELECT DISTINCT gateway, payout_id, currency FROM bank_converted WHERE is_rated = 0) AS x
        ON x.gateway = p.gateway AND x.payout_id = p.payout_id AND x.currency = p.currency
) AS judgements;

-- Of each payout and line: its break, and the subject that it stands under. A group that can be read in several ways is
-- named by its first payout, or by the line that names too much.
CREATE TABLE bank_payout_subject AS
SELECT
    v.gateway, v.payout_id, v.currency, v.break_class, v.settled, v.reason, v.stake_minor, v.last_day, v.is_told,
    CASE WHEN v.first_key IS NOT NULL THEN l.account ELSE coalesce(a.first_gateway, v.gateway) END AS subject_1,
    CASE WHEN v.first_key IS NOT NULL THEN v.first_key ELSE coalesce(a.first_payout, v.payout_id) END AS subject_2
FROM bank_payout_verdict AS v
LEFT JOIN bank_row AS l ON l.line_key = v.first_key
LEFT JOIN (
    SELECT
        gateway, payout_id, currency,
        min(gateway) OVER (PARTITION BY currency, expected_minor, ordinal) AS first_gateway,
        min(payout_id) OVER (PARTITION BY currency, expected_minor, ordinal) AS first_payout
    FROM bank_ambiguous
    WHERE source = 'gateway'
) AS a ON a.gateway = v.gateway AND a.payout_id = v.payout_id AND a.currency = v.currency;

CREATE TABLE bank_line_subject AS
SELECT
    o.line_key,
    CASE WHEN s.break_class = '' AND o.is_surplus = 1 THEN 'duplicate_credit' ELSE s.break_class END AS break_class,
    'matched' AS settled, s.subject_1, s.subject_2,
    CASE WHEN s.break_class = '' AND o.is_surplus = 1 THEN o.line_key ELSE '' END AS subject_3,
    CASE WHEN s.break_class = '' AND o.is_surplus = 1 THEN abs(o.amount_minor) ELSE s.stake_minor END AS stake_minor,
    s.gateway
FROM (
    SELECT
        w.*,
        CASE WHEN c.came_minor <> p.expected_minor AND c.sent_back = 0 AND c.equal_lines > 0 AND w.ordinal > 1 THEN 1
            ELSE 0 END AS is_surplus
    FROM bank_own_line AS w
    JOIN bank_came AS c ON c.gateway = w.gateway AND c.payout_id = w.payout_id AND c.currency = w.currency
    JOIN bank_payout AS p ON p.gateway = w.gateway AND p.payout_id = w.payout_id AND p.currency = w.currency
) AS o
JOIN bank_payout_subject AS s ON s.gateway = o.gateway AND s.payout_id = o.payout_id AND s.currency = o.currency
UNION ALL
SELECT
    m.line_key, CASE WHEN m.payouts > 1 AND m.adds_up = 1 THEN '' ELSE 'ambiguous' END AS break_class,
    'matched' AS settled, m.account AS subject_1, m.line_key AS subject_2, '' AS subject_3,
    CASE WHEN m.payouts > 1 AND m.adds_up = 1 THEN CAST(0 AS BIGINT) ELSE abs(l.amount_minor) END AS stake_minor,
    CAST(NULL AS VARCHAR) AS gateway
FROM bank_several_line AS m
JOIN bank_row AS l ON l.line_key = m.line_key
WHERE m.payouts <> 1
UNION ALL
SELECT
    m.line_key, CASE WHEN m.is_unclear = 1 THEN 'ambiguous' ELSE '' END AS break_class, 'matched' AS settled,
    l.account AS subject_1, m.line_key AS subject_2, '' AS subject_3,
    CASE WHEN m.is_unclear = 1 THEN abs(l.amount_minor) ELSE CAST(0 AS BIGINT) END AS stake_minor,
    CAST(NULL AS VARCHAR) AS gateway
FROM bank_sum_line AS m
JOIN bank_row AS l ON l.line_key = m.line_key
UNION ALL
SELECT
    a.row_key AS line_key, 'ambiguous' AS break_class, 'matched' AS settled, g.first_gateway AS subject_1,
    g.first_payout AS subject_2, '' AS subject_3, abs(a.expected_minor) AS stake_minor, g.first_gateway AS gateway
FROM bank_ambiguous AS a
JOIN (
    SELECT currency, expected_minor, ordinal, min(gateway) AS first_gateway, min(payout_id) AS first_payout
    FROM bank_ambiguous
    WHERE source = 'gateway'
    GROUP BY currency, expected_minor, ordinal
) AS g ON g.currency = a.currency AND g.expected_minor = a.expected_minor AND g.ordinal = a.ordinal
WHERE a.source = 'bank';
