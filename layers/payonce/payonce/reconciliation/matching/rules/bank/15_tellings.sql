-- Which telling of a line counts: of a statement that was sent twice with other content, of exports whose days overlap, of
-- two formats, of a notification and its statement.

-- Statements that are told to be one: by number and days; without numbers, by the same days and the same beginning.
-- Two of a day that follow each other do not begin alike, unless the first has moved nothing.
CREATE TABLE bank_identity AS
SELECT
    s.statement_key, s.account, s.currency, s.first_day, s.last_day, s.sequence, s.opening_minor, s.closing_minor,
    CASE
        WHEN s.sequence IS NOT NULL THEN '#' || s.sequence || ':' || coalesce(s.first_day, s.last_day)
        ELSE s.first_day || ':' || s.opening_minor
    END AS identity
FROM bank_balanced AS s
WHERE
    s.last_day IS NOT NULL
    AND (s.sequence IS NOT NULL OR (s.first_day IS NOT NULL AND s.opening_minor <> s.closing_minor));

-- The one that the account's neighbours go on from or to is taken; else the one whose lines the gateways' payouts know.
CREATE TABLE bank_conflict AS
SELECT
    i.statement_key, i.account, i.currency, i.first_day, i.last_day, i.sequence, i.identity, i.closing_minor - i.opening_minor AS turnover_minor,
    row_number() OVER (
        PARTITION BY i.account, i.currency, i.last_day, i.identity
        ORDER BY coalesce(n.neighbours, 0) DESC, coalesce(k.known, 0) DESC, i.statement_key
    ) AS ordinal
FROM bank_identity AS i
JOIN (
    SELECT account, currency, last_day, identity
    FROM bank_identity
    GROUP BY account, currency, last_day, identity
    HAVING count(*) > 1
) AS m ON m.account = i.account AND m.currency = i.currency AND m.last_day = i.last_day AND m.identity = i.identity
LEFT JOIN (
    SELECT a.statement_key, count(*) AS neighbours
    FROM bank_balanced AS a
    JOIN bank_balanced AS b
        ON b.account = a.account AND b.currency = a.currency AND b.statement_key <> a.statement_key
        AND ((b.last_day > a.last_day AND b.opening_minor = a.closing_minor)
            OR (b.last_day < a.last_day AND b.closing_minor = a.opening_minor))
    GROUP BY a.statement_key
) AS n ON n.statement_key = i.statement_key
LEFT JOIN (
    SELECT l.statement_key, count(*) AS known
    FROM (SELECT DISTINCT statement_key, line_key, currency, amount_minor FROM bank_line) AS l
    JOIN (SELECT DISTINCT currency, -amount_minor AS amount_minor FROM bank_payout_content) AS p
        ON p.currency = l.currency AND p.amount_minor = l.amount_minor
    GROUP BY l.statement_key
) AS k ON k.statement_key = i.statement_key;

-- Exports whose days overlap: the later one begins where the earlier one stood on that day. An opening balance is dated
-- on the first day, or on the evening before.
CREATE TABLE bank_overlap AS
SELECT
    p.statement_key, p.other_key, p.account, p.currency, p.from_day, p.until_day
FROM (
    SELECT
        a.statement_key, b.statement_key AS other_key, a.account, a.currency, a.opening_minor,
        b.first_day AS from_day, least(a.last_day, b.last_day) AS until_day, b.opening_minor AS other_opening_minor
    FROM bank_balanced AS a
    JOIN bank_balanced AS b
        ON b.account = a.account AND b.currency = a.currency AND b.statement_key <> a.statement_key
    WHERE
        a.first_day < a.last_day AND b.first_day BETWEEN a.first_day AND a.last_day
        AND (b.first_day > a.first_day OR b.last_day <> a.last_day)
) AS p
LEFT JOIN (
    SELECT DISTINCT l.statement_key, l.line_key, l.booking_day, l.amount_minor
    FROM bank_line AS l
    JOIN bank_rendition AS r ON r.statement_key = l.statement_key AND r.rendition_key = l.rendition_key AND r.ordinal = 1
) AS l ON l.statement_key = p.statement_key
GROUP BY
    p.statement_key, p.other_key, p.account, p.currency, p.from_day, p.until_day, p.opening_minor, p.other_opening_minor
HAVING
    p.opening_minor + coalesce(sum(CASE WHEN l.booking_day < p.from_day THEN l.amount_minor ELSE 0 END), 0)
        = p.other_opening_minor
    OR p.opening_minor + coalesce(sum(CASE WHEN l.booking_day <= p.from_day THEN l.amount_minor ELSE 0 END), 0)
        = p.other_opening_minor;

-- A movement that both tell in other words: of a day and an amount, the first that only one of them has is the first that
-- only the other one has. The telling that says less does not count.
CREATE TABLE bank_overlap_side AS
SELECT statement_key, other_key, from_day, until_day, 1 AS side, statement_key AS told_key FROM bank_overlap
UNION ALL
SELECT statement_key, other_key, from_day, until_day, 2 AS side, other_key AS told_key FROM bank_overlap;

CREATE TABLE bank_overlap_line AS
SELECT
    s.statement_key, s.other_key, s.side, s.line_key, s.booking_day, s.amount_minor, s.told,
    row_number() OVER (
        PARTITION BY s.statement_key, s.other_key, s.side, s.booking_day, s.amount_minor ORDER BY s.line_key
    ) AS ordinal
FROM (
    SELECT
        o.statement_key, o.other_key, o.side, l.line_key, l.booking_day, l.amount_minor,
        max(length(l.reference_text) + length(coalesce(l.end_to_end_id, '')) + length(l.description)) AS told,
        count(*) OVER (PARTITION BY o.statement_key, o.other_key, l.line_key) AS tellers
    FROM bank_overlap_side AS o
    JOIN bank_line AS l ON l.statement_key = o.told_key
    JOIN bank_rendition AS r ON r.statement_key = l.statement_key AND r.rendition_key = l.rendition_key AND r.ordinal = 1
    WHERE l.booking_day BETWEEN o.from_day AND o.until_day
    GROUP BY o.statement_key, o.other_key, o.side, l.line_key, l.booking_day, l.amount_minor
) AS s
WHERE s.tellers = 1;

CREATE TABLE bank_told_again AS
SELECT DISTINCT
    CASE WHEN a.told > b.told OR (a.told = b.told AND a.line_key < b.line_key) THEN b.line_key ELSE a.line_key END AS line_key
FROM bank_overlap_line AS a
JOIN bank_overlap_line AS b
    ON b.statement_key = a.statement_key AND b.other_key = a.other_key AND b.booking_day = a.booking_day
    AND b.amount_minor = a.amount_minor AND b.ordinal = a.ordinal
WHERE a.side = 1 AND b.side = 2;

-- counts: the line counts. sent_minor: what the entry says was sent, in its currency. why: why a line does not count.
CREATE TABLE bank_row AS
SELECT
    l.line_key, l.account, l.currency, l.amount_minor, l.booking_day,
    min(l.reference_text || coalesce(l.end_to_end_id, '') || '|') AS names, min(l.description) AS description,
    min(l.counterparty) AS counterparty, min(l.sent_minor) AS sent_minor, min(l.sent_currency) AS sent_currency,
    max(CASE
        WHEN r.ordinal = 1 AND (b.statement_key IS NOT NULL OR d.booking_day IS NULL) AND t.line_key IS NULL
            AND c.statement_key IS NULL THEN 1
        ELSE 0
    END) AS counts,
    min(CASE WHEN c.statement_key IS NULL THEN 0 ELSE 1 END) AS is_conflict
FROM bank_line AS l
JOIN bank_rendition AS r ON r.statement_key = l.statement_key AND r.rendition_key = l.rendition_key
LEFT JOIN bank_balanced AS b ON b.statement_key = l.statement_key
LEFT JOIN bank_stated_day AS d
    ON d.account = l.account AND d.currency = l.currency AND d.booking_day = l.booking_day
LEFT JOIN bank_told_again AS t ON t.line_key = l.line_key
LEFT JOIN bank_conflict AS c ON c.statement_key = l.statement_key AND c.ordinal > 1
LEFT JOIN by_hand_taken AS y ON y.source = 'bank' AND y.row_key = l.line_key
WHERE y.row_key IS NULL
GROUP BY l.line_key, l.account, l.currency, l.amount_minor, l.booking_day;

-- A line in each currency in which it says what it moved. sent_minor is the other amount of the same currency, if any.
CREATE TABLE bank_value AS
SELECT
    line_key, account, currency, booking_day, amount_minor,
    CASE WHEN sent_currency = currency THEN sent_minor ELSE amount_minor END AS sent_minor
FROM bank_row
WHERE counts = 1
UNION ALL
SELECT line_key, account, sent_currency AS currency, booking_day, sent_minor AS amount_minor, sent_minor
FROM bank_row
WHERE counts = 1 AND sent_currency <> currency;
