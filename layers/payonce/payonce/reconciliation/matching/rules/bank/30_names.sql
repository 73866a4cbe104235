-- Which lines name which payout. A whole reference is compared, for po_1 is a part of po_12.

-- Of texts the words, of references the words, too: banks write around an id what they like.
CREATE TABLE bank_word AS
SELECT DISTINCT r.line_key, w.token
FROM (
    SELECT
        line_key,
        translate(names || ' ' || coalesce(description, ''), '|,;:/()+?"', '          ') AS words
    FROM bank_row
    WHERE counts = 1
) AS r
CROSS JOIN unnest(string_split(r.words, ' ')) AS w(token)
-- A word is a name only if it is as long as no word of a language should be by chance.
WHERE length(w.token) >= 10;

CREATE TABLE bank_token AS
SELECT line_key, token
FROM bank_word
UNION
SELECT r.line_key, n.token
FROM bank_row AS r
CROSS JOIN unnest(string_split(r.names, '|')) AS n(token)
WHERE r.counts = 1 AND n.token <> '';

CREATE TABLE bank_payout_name AS
SELECT gateway, payout_id, currency, payout_id AS token
FROM bank_payout
UNION
SELECT gateway, payout_id, currency, transaction_id AS token
FROM bank_payout_row
WHERE version = 1 AND is_back = 0
UNION
SELECT gateway, payout_id, currency, payout_reference AS token
FROM bank_payout_row
WHERE version = 1 AND is_back = 0 AND payout_reference <> ''
UNION
SELECT gateway, payout_id, currency, payout_reference AS token
FROM bank_derived
WHERE payout_reference <> '';

-- A short id, such as the number of a batch, may stand in any reference: it counts beside the right amount alone, unless
-- it has letters and digits. Banks put references into capitals and drop what is neither letter nor digit: a long one is
-- known without them, too. A short one is not, for po_1_12 and po_11_2 would be the same.
CREATE TABLE bank_named_whole AS
SELECT l.line_key, p.gateway, p.payout_id, p.currency
FROM bank_payout_name AS n
JOIN bank_token AS t ON t.token = n.token
JOIN bank_value AS l ON l.line_key = t.line_key AND l.currency = n.currency
JOIN bank_payout AS p ON p.gateway = n.gateway AND p.payout_id = n.payout_id AND p.currency = n.currency
WHERE
    length(n.token) >= 6
    OR l.amount_minor = p.expected_minor OR l.sent_minor = p.expected_minor
    OR (
        length(n.token) >= 4 AND upper(n.token) <> lower(n.token)
        AND translate(n.token, '0123456789', '') <> n.token
    )
UNION
SELECT l.line_key, n.gateway, n.payout_id, n.currency
FROM (
    SELECT gateway, payout_id, currency, translate(upper(token), ' _-./:', '') AS plain FROM bank_payout_name
) AS n
JOIN (SELECT line_key, translate(upper(token), ' _-./:', '') AS plain FROM bank_token) AS t ON t.plain = n.plain
JOIN bank_value AS l ON l.line_key = t.line_key AND l.currency = n.currency
WHERE length(n.plain) >= 10;

-- Banks cut references at the length of their field, 16 characters at the least. The beginning of a name is one if nothing
-- in the line is a whole name; a shorter one counts beside the right amount alone.
CREATE TABLE bank_cut AS
SELECT t.line_key, n.gateway, n.payout_id, n.currency, max(CASE WHEN length(t.token) >= 16 THEN 1 ELSE 0 END) AS is_long,
    max(CASE WHEN l.amount_minor = p.expected_minor OR l.sent_minor = p.expected_minor THEN 1 ELSE 0 END) AS is_equal
FROM (
    SELECT line_key, token, translate(upper(token), ' _-./:', '') AS plain FROM bank_token
) AS t
JOIN (
    SELECT gateway, payout_id, currency, translate(upper(token), ' _-./:', '') AS plain FROM bank_payout_name
) AS n ON substr(n.plain, 1, 8) = substr(t.plain, 1, 8)
JOIN bank_value AS l ON l.line_key = t.line_key AND l.currency = n.currency
JOIN bank_payout AS p ON p.gateway = n.gateway AND p.payout_id = n.payout_id AND p.currency = n.currency
LEFT JOIN (SELECT DISTINCT line_key FROM bank_named_whole) AS w ON w.line_key = t.line_key
WHERE
    w.line_key IS NULL AND length(t.token) >= 10 AND length(t.plain) >= 8 AND length(t.plain) < length(n.plain)
    AND substr(n.plain, 1, length(t.plain)) = t.plain
GROUP BY t.line_key, n.gateway, n.payout_id, n.currency;

CREATE TABLE bank_named_here AS
SELECT line_key, gateway, payout_id, currency
FROM bank_named_whole
UNION
-- What fits one payout alone; of several, the one that has the amount.
SELECT c.line_key, c.gateway, c.payout_id, c.currency
FROM bank_cut AS c
JOIN (
    SELECT line_key, count(*) AS payouts, sum(is_equal) AS equals FROM bank_cut GROUP BY line_key
) AS s ON s.line_key = c.line_key
WHERE (s.equals = 1 AND c.is_equal = 1) OR (s.payouts = 1 AND c.is_long = 1);

-- A line that names a payout of another currency, and does not say what was sent of that, was converted by the bank. It is
-- nobody else's, whatever its amount.
CREATE TABLE bank_abroad AS
SELECT DISTINCT t.line_key, n.gateway, n.payout_id, n.currency
FROM (SELECT line_key, translate(upper(token), ' _-./:', '') AS plain FROM bank_token) AS t
JOIN (
    SELECT gateway, payout_id, currency, translate(upper(token), ' _-./:', '') AS plain FROM bank_payout_name
) AS n ON n.plain = t.plain
JOIN bank_row AS l ON l.line_key = t.line_key AND l.currency <> n.currency
LEFT JOIN bank_named_here AS h ON h.line_key = t.line_key
WHERE length(n.plain) >= 10 AND h.line_key IS NULL AND coalesce(l.sent_currency, '') <> n.currency;

-- It is held against a given rate, the last one up to its day: within the tolerance it is the payout. is_rated: there is one.
CREATE TABLE bank_converted AS
SELECT
    c.line_key, c.gateway, c.payout_id, c.currency,
    CASE WHEN c.rate_millionths IS NULL THEN 0 ELSE 1 END AS is_rated,
    CASE
        WHEN c.rate_millionths IS NULL THEN CAST(0 AS BIGINT)
        WHEN abs(c.amount_minor - c.expected_minor * c.rate_millionths // 1000000) * 10000
            <= abs(c.amount_minor) * c.fx_tolerance_basis_points + 10000 THEN c.expected_minor
        ELSE CAST(c.amount_minor * 1000000 // c.rate_millionths AS BIGINT)
    END AS amount_minor
FROM (
    SELECT
        a.line_key, a.gateway, a.payout_id, a.currency, l.amount_minor, p.expected_minor, f.rate_millionths,
        s.fx_tolerance_basis_points,
        row_number() OVER (
            PARTITION BY a.line_key, a.gateway, a.payout_id, a.currency ORDER BY coalesce(f.day_number, -1) DESC
        ) AS ordinal
    FROM bank_abroad AS a
    CROSS JOIN settings AS s
    JOIN bank_row AS l ON l.line_key = a.line_key
    JOIN bank_payout AS p ON p.gateway = a.gateway AND p.payout_id = a.payout_id AND p.currency = a.currency
    LEFT JOIN fx_rate AS f
        ON f.presented_currency = a.currency AND f.currency = l.currency AND f.day_number <= l.booking_day
) AS c
WHERE c.ordinal = 1;

-- What a line is to a payout that it names: what it moved of the payout's currency. Charges that the entry states are added,
-- not if the amount is right without them, for then the gateway has paid them.
CREATE TABLE bank_named AS
SELECT
    h.line_key, h.gateway, h.payout_id, h.currency,
    CASE WHEN v.amount_minor = p.expected_minor THEN v.amount_minor ELSE v.sent_minor END AS amount_minor
FROM bank_named_here AS h
JOIN bank_value AS v ON v.line_key = h.line_key AND v.currency = h.currency
JOIN bank_payout AS p ON p.gateway = h.gateway AND p.payout_id = h.payout_id AND p.currency = h.currency
UNION ALL
SELECT line_key, gateway, payout_id, currency, amount_minor
FROM bank_converted
WHERE is_rated = 1;

-- Lines that name one payout, and whether they are all of it.
CREATE TABLE bank_single AS
SELECT n.line_key, n.gateway, n.payout_id, n.currency, n.amount_minor
FROM bank_named AS n
JOIN (SELECT line_key FROM bank_named GROUP BY line_key HAVING count(*) = 1) AS s ON s.line_key = n.line_key;

CREATE TABLE bank_paid_alone AS
SELECT s.gateway, s.payout_id, s.currency
FROM bank_single AS s
JOIN bank_payout AS p ON p.gateway = s.gateway AND p.payout_id = s.payout_id AND p.currency = s.currency
GROUP BY s.gateway, s.payout_id, s.currency, p.expected_minor
HAVING sum(s.amount_minor) = p.expected_minor;

-- A line that names several: those that came by themselves need it no more.
CREATE TABLE bank_several AS
SELECT n.line_key, n.gateway, n.payout_id, n.currency, n.amount_minor, p.expected_minor
FROM bank_named AS n
JOIN (SELECT line_key FROM bank_named GROUP BY line_key HAVING count(*) > 1) AS m ON m.line_key = n.line_key
JOIN bank_payout AS p ON p.gateway = n.gateway AND p.payout_id = n.payout_id AND p.currency = n.currency
LEFT JOIN bank_paid_alone AS a ON a.gateway = n.gateway AND a.payout_id = n.payout_id AND a.currency = n.currency
WHERE a.payout_id IS NULL;

CREATE TABLE bank_several_line AS
SELECT
    l.line_key, l.account, l.currency, count(s.payout_id) AS payouts,
    CASE
        WHEN count(DISTINCT s.currency) = 1 AND max(coalesce(o.others, 0)) = 0
            AND (sum(s.expected_minor) = max(v.amount_minor) OR sum(s.expected_minor) = max(v.sent_minor)) THEN 1
        ELSE 0
    END AS adds_up
FROM (SELECT line_key FROM bank_named GROUP BY line_key HAVING count(*) > 1) AS m
JOIN bank_row AS l ON l.line_key = m.line_key
LEFT JOIN bank_several AS s ON s.line_key = m.line_key
LEFT JOIN bank_value AS v ON v.line_key = s.line_key AND v.currency = s.currency
LEFT JOIN (
    SELECT gateway, payout_id, currency, count(*) - 1 AS others
    FROM (
        SELECT gateway, payout_id, currency, line_key FROM bank_single
        UNION
        SELECT gateway, payout_id, currency, line_key FROM bank_several
    ) AS lines
    GROUP BY gateway, payout_id, currency
) AS o ON o.gateway = s.gateway AND o.payout_id = s.payout_id AND o.currency = s.currency
GROUP BY l.line_key, l.account, l.currency;
