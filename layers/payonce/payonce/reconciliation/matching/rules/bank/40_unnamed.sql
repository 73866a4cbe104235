-- Payouts that no line names, and lines that name none: by what they say of the gateway, amount, currency and day.

-- Whose a line may be. is_said: it has the gateway's name, or is from whom lines come that name payouts of this gateway alone.
CREATE TABLE bank_from AS
SELECT counterparty, min(gateway) AS gateway
FROM (
    SELECT DISTINCT l.counterparty, n.gateway
    FROM bank_named AS n
    JOIN bank_row AS l ON l.line_key = n.line_key
    WHERE l.counterparty <> ''
) AS named
GROUP BY counterparty
HAVING count(*) = 1;

CREATE TABLE bank_said AS
SELECT l.line_key, g.gateway
FROM bank_row AS l
CROSS JOIN (SELECT DISTINCT gateway FROM bank_payout) AS g
WHERE
    l.counts = 1 AND length(g.gateway) >= 4
    AND position(upper(g.gateway) IN upper(l.names || coalesce(l.description, '') || ' ' || coalesce(l.counterparty, ''))) > 0
UNION
SELECT l.line_key, f.gateway
FROM bank_row AS l
JOIN bank_from AS f ON f.counterparty = l.counterparty
WHERE l.counts = 1;

-- What is free: lines that name nothing, and are not another gateway's; payouts that nothing names.
CREATE TABLE bank_free_line AS
SELECT
    v.line_key, v.account, v.currency, v.booking_day, v.amount_minor, v.sent_minor, g.gateway,
    CASE WHEN s.gateway IS NULL THEN 0 ELSE 1 END AS is_said,
    -- Where no line says anything of the gateway, any may be its.
    CASE WHEN s.gateway IS NOT NULL OR g.is_ever_said = 0 THEN 1 ELSE 0 END AS is_likely
FROM bank_value AS v
CROSS JOIN (
    SELECT p.gateway, max(CASE WHEN s.gateway IS NULL THEN 0 ELSE 1 END) AS is_ever_said
    FROM (SELECT DISTINCT gateway FROM bank_payout) AS p
    LEFT JOIN (SELECT DISTINCT gateway FROM bank_said) AS s ON s.gateway = p.gateway
    GROUP BY p.gateway
) AS g
LEFT JOIN bank_said AS s ON s.line_key = v.line_key AND s.gateway = g.gateway
LEFT JOIN (SELECT line_key, count(*) AS gateways FROM bank_said GROUP BY line_key) AS o ON o.line_key = v.line_key
LEFT JOIN (SELECT line_key FROM bank_named UNION SELECT line_key FROM bank_converted) AS m ON m.line_key = v.line_key
WHERE m.line_key IS NULL AND (s.gateway IS NOT NULL OR o.line_key IS NULL);

CREATE TABLE bank_free_payout AS
SELECT p.gateway, p.payout_id, p.currency, p.expected_minor, p.first_day, p.last_day
FROM bank_payout AS p
LEFT JOIN (
    SELECT gateway, payout_id, currency FROM bank_named UNION SELECT gateway, payout_id, currency FROM bank_converted
) AS n ON n.gateway = p.gateway AND n.payout_id = p.payout_id AND n.currency = p.currency
WHERE p.expected_minor <> 0 AND n.payout_id IS NULL;

-- A movement and the return of it: the same amount back from the same account, within ten days, which is what banks take
-- to return a transfer over a border. Both say whose they are, or the first names its payout.
CREATE TABLE bank_back AS
SELECT line_key, back_key, gateway
FROM (
    SELECT
        c.line_key, d.line_key AS back_key, d.gateway,
        row_number() OVER (PARTITION BY d.line_key ORDER BY c.booking_day DESC, c.line_key) AS of_back,
        row_number() OVER (PARTITION BY c.line_key ORDER BY d.booking_day, d.line_key) AS of_line
    FROM bank_free_line AS d
    JOIN (
        SELECT f.line_key, f.gateway, f.account, f.currency, f.booking_day, f.amount_minor
        FROM bank_free_line AS f
        WHERE f.is_said = 1
        UNION ALL
        SELECT n.line_key, n.gateway, l.account, l.currency, l.booking_day, l.amount_minor
        FROM bank_single AS n
        JOIN bank_row AS l ON l.line_key = n.line_key
    ) AS c
        ON c.gateway = d.gateway AND c.account = d.account AND c.currency = d.currency
        AND c.amount_minor = -d.amount_minor
    JOIN (SELECT DISTINCT gateway, currency, expected_minor FROM bank_payout) AS p
        ON p.gateway = c.gateway AND p.currency = c.currency AND p.expected_minor = c.amount_minor
    WHERE d.is_said = 1 AND d.booking_day BETWEEN c.booking_day AND c.booking_day + 10 AND d.line_key <> c.line_key
) AS returns
WHERE of_back = 1 AND of_line = 1;

CREATE TABLE bank_candidate_any AS
SELECT DISTINCT
    p.gateway, p.payout_id, p.currency, p.expected_minor, p.last_day, l.line_key, l.booking_day, l.is_said,
    CASE WHEN b.line_key IS NULL THEN 0 ELSE 1 END AS is_back
FROM bank_free_payout AS p
CROSS JOIN settings AS s
-- A bank's day may begin before the gateway's: clocks differ, and a payout at midnight is booked where it is evening.
JOIN bank_free_line AS l
    ON l.gateway = p.gateway AND l.currency = p.currency
    AND (l.amount_minor = p.expected_minor OR l.sent_minor = p.expected_minor)
    AND l.booking_day BETWEEN p.first_day - 1 AND p.last_day + s.payout_sla_days
LEFT JOIN bank_back AS b ON b.line_key = l.line_key
LEFT JOIN bank_back AS d ON d.back_key = l.line_key
WHERE d.back_key IS NULL;

-- One that says whose it is goes before one that does not, and one that stayed before one that came back.
CREATE TABLE bank_candidate AS
SELECT c.*
FROM bank_candidate_any AS c
JOIN (
    SELECT gateway, payout_id, currency, max(is_said - 2 * is_back) AS best
    FROM bank_candidate_any
    GROUP BY gateway, payout_id, currency
) AS b ON b.gateway = c.gateway AND b.payout_id = c.payout_id AND b.currency = c.currency
WHERE c.is_said - 2 * c.is_back = b.best;

CREATE TABLE bank_only_candidate AS
SELECT c.gateway, c.payout_id, c.currency, c.line_key
FROM bank_candidate AS c
JOIN (
    SELECT gateway, payout_id, currency FROM bank_candidate GROUP BY gateway, payout_id, currency HAVING count(*) = 1
) AS p ON p.gateway = c.gateway AND p.payout_id = c.payout_id AND p.currency = c.currency
JOIN (SELECT line_key FROM bank_candidate GROUP BY line_key HAVING count(*) = 1) AS l ON l.line_key = c.line_key;

-- Equal ones of the rest form a group as long as each is within the time of the one before.
CREATE TABLE bank_equal AS
SELECT
    source, row_key, gateway, payout_id, currency, expected_minor, at_day,
    sum(opens) OVER (
        PARTITION BY currency, expected_minor ORDER BY at_day, source, row_key
        ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW
    ) AS ordinal
FROM (
    SELECT
        r.*,
        CASE
            WHEN r.at_day - lag(r.at_day) OVER (
                PARTITION BY r.currency, r.expected_minor ORDER BY r.at_day, r.source, r.row_key
            ) <= s.payout_sla_days + 1 THEN 0
            ELSE 1
        END AS opens
    FROM (
        SELECT DISTINCT
            'bank' AS source, c.line_key AS row_key, CAST(NULL AS VARCHAR) AS gateway,
            CAST(NULL AS VARCHAR) AS payout_id, c.currency, c.expected_minor, c.booking_day AS at_day
        FROM bank_candidate AS c
        LEFT JOIN bank_only_candidate AS o ON o.line_key = c.line_key
        WHERE o.line_key IS NULL
        UNION ALL
        SELECT DISTINCT
            'gateway' AS source, c.gateway || '|' || c.payout_id AS row_key, c.gateway, c.payout_id, c.currency,
            c.expected_minor, c.last_day AS at_day
        FROM bank_candidate AS c
        LEFT JOIN bank_only_candidate AS o
            ON o.gateway = c.gateway AND o.payout_id = c.payout_id AND o.currency = c.currency
        WHERE o.payout_id IS NULL
    ) AS r
    CROSS JOIN settings AS s
) AS sessions;

-- Equal payouts of one gateway in a row, and as many credits: the first is the first. The last ones may still be on their
-- way.
CREATE TABLE bank_in_order AS
SELECT p.currency, p.expected_minor, p.ordinal, p.gateway, p.payout_id, l.row_key AS line_key, p.is_due,
    CASE WHEN c.line_key IS NULL THEN 0 ELSE 1 END AS fits
FROM (
    SELECT
        e.*, CASE WHEN s.as_of_ms // 86400000 > e.at_day + s.payout_sla_days THEN 1 ELSE 0 END AS is_due,
        row_number() OVER (PARTITION BY e.currency, e.expected_minor, e.ordinal ORDER BY e.at_day, e.row_key) AS place
    FROM bank_equal AS e
    CROSS JOIN settings AS s
    WHERE e.source = 'gateway'
) AS p
LEFT JOIN (
    SELECT
        e.*,
        row_number() OVER (PARTITION BY e.currency, e.expected_minor, e.ordinal ORDER BY e.at_day, e.row_key) AS place
    FROM bank_equal AS e
    WHERE e.source = 'bank'
) AS l
    ON l.currency = p.currency AND l.expected_minor = p.expected_minor AND l.ordinal = p.ordinal AND l.place = p.place
LEFT JOIN bank_candidate AS c
    ON c.gateway = p.gateway AND c.payout_id = p.payout_id AND c.currency = p.currency AND c.line_key = l.row_key;

CREATE TABLE bank_ordered AS
SELECT o.currency, o.expected_minor, o.ordinal
FROM bank_in_order AS o
JOIN (
    SELECT currency, expected_minor, ordinal, count(*) AS line_count
    FROM bank_equal
    WHERE source = 'bank'
    GROUP BY currency, expected_minor, ordinal
) AS l ON l.currency = o.currency AND l.expected_minor = o.expected_minor AND l.ordinal = o.ordinal
GROUP BY o.currency, o.expected_minor, o.ordinal, l.line_count
HAVING
    count(DISTINCT o.gateway) = 1 AND sum(o.fits) = l.line_count
    AND sum(CASE WHEN o.fits = 0 AND (o.is_due = 1 OR o.line_key IS NOT NULL) THEN 1 ELSE 0 END) = 0;

CREATE TABLE bank_ambiguous AS
SELECT e.source, e.row_key, e.gateway, e.payout_id, e.currency, e.expected_minor, e.ordinal
FROM bank_equal AS e
LEFT JOIN bank_ordered AS o
    ON o.currency = e.currency AND o.expected_minor = e.expected_minor AND o.ordinal = e.ordinal
WHERE o.ordinal IS NULL;

CREATE TABLE bank_exact AS
SELECT gateway, payout_id, currency, line_key, 'alone' AS how
FROM bank_only_candidate
UNION ALL
SELECT i.gateway, i.payout_id, i.currency, i.line_key, 'in_order' AS how
FROM bank_in_order AS i
JOIN bank_ordered AS o
    ON o.currency = i.currency AND o.expected_minor = i.expected_minor AND o.ordinal = i.ordinal
WHERE i.line_key IS NOT NULL;

-- What is left on either side, on likely lines.
CREATE TABLE bank_left_line AS
SELECT l.line_key, l.account, l.currency, l.gateway, l.booking_day, l.amount_minor, l.sent_minor, l.is_said
FROM bank_free_line AS l
LEFT JOIN (
    SELECT line_key FROM bank_exact
    UNION
    SELECT row_key AS line_key FROM bank_ambiguous WHERE source = 'bank'
    UNION
    SELECT line_key FROM bank_back
    UNION
    SELECT back_key AS line_key FROM bank_back
) AS t ON t.line_key = l.line_key
WHERE l.is_likely = 1 AND t.line_key IS NULL;

CREATE TABLE bank_left_payout AS
SELECT
    p.gateway, p.payout_id, p.currency, p.expected_minor, p.first_day, p.last_day,
    row_number() OVER (PARTITION BY p.gateway, p.currency ORDER BY p.last_day, p.payout_id) AS place,
    sum(p.expected_minor) OVER (
        PARTITION BY p.gateway, p.currency ORDER BY p.last_day, p.payout_id
        ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW
    ) AS until_minor
FROM bank_free_payout AS p
LEFT JOIN (
    SELECT gateway, payout_id, currency FROM bank_exact
    UNION
    SELECT gateway, payout_id, currency FROM bank_ambiguous WHERE source = 'gateway'
) AS t ON t.gateway = p.gateway AND t.payout_id = p.payout_id AND t.currency = p.currency
WHERE t.payout_id IS NULL;

-- Several days in one credit that names none: sums of what is left within the time of a payout. Of at most twelve payouts
-- every two, three and four are tried, 781 sums, few enough that cents do not agree by chance; of any number the runs of up
-- to seven that follow each other, a week.
CREATE TABLE bank_part AS
SELECT
    c.*, row_number() OVER (PARTITION BY c.line_key, c.gateway, c.currency ORDER BY c.last_day DESC, c.payout_id) AS ordinal,
    count(*) OVER (PARTITION BY c.line_key, c.gateway, c.currency) AS parts
FROM (
    SELECT
        l.line_key, l.gateway, l.currency, l.amount_minor, l.sent_minor, p.payout_id, p.expected_minor, p.last_day,
        p.place, p.until_minor
    FROM bank_left_line AS l
    CROSS JOIN settings AS s
    JOIN bank_left_payout AS p
        ON p.gateway = l.gateway AND p.currency = l.currency
        AND l.booking_day BETWEEN p.first_day - 1 AND p.last_day + s.payout_sla_days
        AND (p.expected_minor > 0) = (l.amount_minor > 0)
        AND (abs(p.expected_minor) < abs(l.amount_minor) OR abs(p.expected_minor) < abs(l.sent_minor))
) AS c;

CREATE TABLE bank_two AS
SELECT
    a.line_key, a.gateway, a.currency, a.amount_minor, a.sent_minor, a.ordinal AS first_place, b.ordinal AS second_place,
    a.expected_minor + b.expected_minor AS sum_minor
FROM bank_part AS a
JOIN bank_part AS b
    ON b.line_key = a.line_key AND b.gateway = a.gateway AND b.currency = a.currency AND b.ordinal > a.ordinal
WHERE a.parts <= 12;

CREATE TABLE bank_sum_found AS
SELECT line_key, gateway, currency, first_place, second_place, 0 AS third_place, 0 AS fourth_place, 0 AS run_length
FROM bank_two
WHERE sum_minor = amount_minor OR sum_minor = sent_minor
UNION ALL
SELECT t.line_key, t.gateway, t.currency, t.first_place, t.second_place, c.ordinal, 0, 0
FROM bank_two AS t
JOIN bank_part AS c
    ON c.line_key = t.line_key AND c.gateway = t.gateway AND c.currency = t.currency AND c.ordinal > t.second_place
WHERE t.sum_minor + c.expected_minor = t.amount_minor OR t.sum_minor + c.expected_minor = t.sent_minor
UNION ALL
SELECT t.line_key, t.gateway, t.currency, t.first_place, t.second_place, o.first_place, o.second_place, 0
FROM bank_two AS t
JOIN bank_two AS o
    ON o.line_key = t.line_key AND o.gateway = t.gateway AND o.currency = t.currency AND o.first_place > t.second_place
WHERE t.sum_minor + o.sum_minor = t.amount_minor OR t.sum_minor + o.sum_minor = t.sent_minor
UNION ALL
SELECT a.line_key, a.gateway, a.currency, a.place, b.place, 0, 0, b.place - a.place + 1
FROM bank_part AS a
JOIN bank_part AS b
    ON b.line_key = a.line_key AND b.gateway = a.gateway AND b.currency = a.currency
    AND b.place BETWEEN a.place + CASE WHEN a.parts <= 12 THEN 4 ELSE 1 END AND a.place + 6
WHERE
    b.until_minor - a.until_minor + a.expected_minor = a.amount_minor
    OR b.until_minor - a.until_minor + a.expected_minor = a.sent_minor;

CREATE TABLE bank_sum_part AS
SELECT DISTINCT
    f.line_key, f.gateway, f.currency, p.payout_id, p.expected_minor,
    f.first_place || ',' || f.second_place || ',' || f.third_place || ',' || f.fourth_place || ',' || f.run_length AS way
FROM bank_sum_found AS f
JOIN bank_part AS p ON p.line_key = f.line_key AND p.gateway = f.gateway AND p.currency = f.currency
WHERE
    (f.run_length = 0 AND p.ordinal IN (f.first_place, f.second_place, f.third_place, f.fourth_place))
    OR (f.run_length > 0 AND p.place BETWEEN f.first_place AND f.second_place);

-- One way, and no payout in another credit's sum: that is it. Else it can be read in several ways.
CREATE TABLE bank_sum_line AS
SELECT l.line_key, max(CASE WHEN l.ways > 1 OR p.line_count > 1 THEN 1 ELSE 0 END) AS is_unclear
FROM (
    SELECT s.line_key, s.gateway, s.payout_id, s.currency, w.ways
    FROM bank_sum_part AS s
    JOIN (
        SELECT line_key, count(DISTINCT gateway || '|' || currency || '|' || way) AS ways
        FROM bank_sum_part
        GROUP BY line_key
    ) AS w ON w.line_key = s.line_key
) AS l
JOIN (
    SELECT gateway, payout_id, currency, count(DISTINCT line_key) AS line_count
    FROM bank_sum_part
    GROUP BY gateway, payout_id, currency
) AS p ON p.gateway = l.gateway AND p.payout_id = l.payout_id AND p.currency = l.currency
GROUP BY l.line_key;

-- What is left of these: a credit that says whose it is and is off by at most a fifth, more than a bank takes of a transfer,
-- where it is the only one near the payout, and the payout the only one near it.
CREATE TABLE bank_near_any AS
SELECT DISTINCT l.line_key, p.gateway, p.payout_id, p.currency, l.sent_minor AS amount_minor
FROM bank_left_line AS l
CROSS JOIN settings AS s
JOIN bank_left_payout AS p
    ON p.gateway = l.gateway AND p.currency = l.currency
    AND l.booking_day BETWEEN p.first_day - 1 AND p.last_day + s.payout_sla_days
    AND (p.expected_minor > 0) = (l.amount_minor > 0)
    AND abs(l.sent_minor - p.expected_minor) * 5 <= abs(p.expected_minor)
LEFT JOIN (SELECT DISTINCT line_key FROM bank_sum_part) AS a ON a.line_key = l.line_key
LEFT JOIN (SELECT DISTINCT gateway, payout_id, currency FROM bank_sum_part) AS b
    ON b.gateway = p.gateway AND b.payout_id = p.payout_id AND b.currency = p.currency
WHERE l.is_said = 1 AND a.line_key IS NULL AND b.payout_id IS NULL;

CREATE TABLE bank_near AS
SELECT n.line_key, n.gateway, n.payout_id, n.currency, n.amount_minor
FROM bank_near_any AS n
JOIN (SELECT line_key FROM bank_near_any GROUP BY line_key HAVING count(*) = 1) AS l ON l.line_key = n.line_key
JOIN (
    SELECT gateway, payout_id, currency FROM bank_near_any GROUP BY gateway, payout_id, currency HAVING count(*) = 1
) AS p ON p.gateway = n.gateway AND p.payout_id = n.payout_id AND p.currency = n.currency;

-- The lines of each payout alone, with what they moved of its currency.
CREATE TABLE bank_own_found AS
SELECT line_key, gateway, payout_id, currency, amount_minor
FROM bank_single
UNION ALL
SELECT s.line_key, s.gateway, s.payout_id, s.currency, s.amount_minor
FROM bank_several AS s
JOIN bank_several_line AS m ON m.line_key = s.line_key AND m.payouts = 1
UNION ALL
SELECT e.line_key, e.gateway, e.payout_id, e.currency, p.expected_minor AS amount_minor
FROM bank_exact AS e
JOIN bank_payout AS p ON p.gateway = e.gateway AND p.payout_id = e.payout_id AND p.currency = e.currency
UNION ALL
SELECT line_key, gateway, payout_id, currency, amount_minor
FROM bank_near;

CREATE TABLE bank_own AS
SELECT line_key, gateway, payout_id, currency, amount_minor
FROM bank_own_found
UNION ALL
SELECT b.back_key AS line_key, o.gateway, o.payout_id, o.currency, -o.amount_minor AS amount_minor
FROM bank_own_found AS o
JOIN bank_back AS b ON b.line_key = o.line_key;

-- One credit for several payouts that is exactly their sum.
CREATE TABLE bank_batch AS
SELECT s.line_key, s.gateway, s.payout_id, s.currency
FROM bank_several AS s
JOIN bank_several_line AS m ON m.line_key = s.line_key AND m.payouts > 1 AND m.adds_up = 1
UNION
SELECT s.line_key, s.gateway, s.payout_id, s.currency
FROM bank_sum_part AS s
JOIN bank_sum_line AS m ON m.line_key = s.line_key AND m.is_unclear = 0;

-- Anything else that stands for several can be read in more than one way. A payout goes with the first of its lines.
CREATE TABLE bank_unclear AS
SELECT gateway, payout_id, currency, min(line_key) AS line_key
FROM (
    SELECT s.line_key, s.gateway, s.payout_id, s.currency
    FROM bank_several AS s
    JOIN bank_several_line AS m ON m.line_key = s.line_key AND m.payouts > 1 AND m.adds_up = 0
    UNION ALL
    SELECT s.line_key, s.gateway, s.payout_id, s.currency
    FROM bank_sum_part AS s
    JOIN bank_sum_line AS m ON m.line_key = s.line_key AND m.is_unclear = 1
) AS lines
GROUP BY gateway, payout_id, currency;

-- How payouts were found that nothing names, to be said.
CREATE VIEW bank_guessed AS
SELECT how, gateway, currency, count(*) AS row_count, CAST(sum(expected_minor) AS BIGINT) AS amount_minor
FROM (
    SELECT 'in_order' AS how, i.gateway, i.currency, i.expected_minor
    FROM bank_in_order AS i
    JOIN bank_exact AS e
        ON e.gateway = i.gateway AND e.payout_id = i.payout_id AND e.currency = i.currency AND e.how = 'in_order'
    UNION ALL
    SELECT 'sum' AS how, s.gateway, s.currency, s.expected_minor
    FROM bank_sum_part AS s
    JOIN bank_sum_line AS m ON m.line_key = s.line_key AND m.is_unclear = 0
) AS found
GROUP BY how, gateway, currency;
