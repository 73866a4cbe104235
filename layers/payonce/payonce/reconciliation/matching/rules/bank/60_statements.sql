-- Statements against their neighbours of the same account. Numbers begin anew each year, and a bank may give a weekly
-- statement beside the daily ones: a number is looked for within half a year, among all statements of the account.

-- One that was sent again with other content is a conflict, and no neighbour of any other.
CREATE TABLE bank_chained AS
SELECT b.statement_key, b.account, b.currency, b.opening_minor, b.closing_minor, b.sequence, b.first_day, b.last_day
FROM bank_balanced AS b
LEFT JOIN bank_conflict AS c ON c.statement_key = b.statement_key AND c.ordinal > 1
WHERE c.statement_key IS NULL;

CREATE TABLE bank_before AS
SELECT
    s.statement_key,
    max(t.sequence) AS before_sequence
FROM bank_chained AS s
JOIN bank_chained AS t
    ON t.account = s.account AND t.currency = s.currency AND t.sequence < s.sequence
    AND t.last_day BETWEEN s.last_day - 180 AND s.last_day
GROUP BY s.statement_key;

-- The statement right before by its number, the latest one that has it.
CREATE TABLE bank_numbered AS
SELECT
    s.statement_key, b.before_sequence, max(t.last_day) AS before_day
FROM bank_chained AS s
JOIN bank_before AS b ON b.statement_key = s.statement_key
JOIN bank_chained AS t
    ON t.account = s.account AND t.currency = s.currency AND t.sequence = b.before_sequence
    AND t.last_day BETWEEN s.last_day - 180 AND s.last_day
GROUP BY s.statement_key, b.before_sequence;

-- Without a number before: the latest day that ended before this statement began. Any statement from there on may be
-- the one that it goes on from.
CREATE TABLE bank_earlier AS
SELECT
    s.statement_key,
    max(CASE WHEN t.last_day < coalesce(s.first_day, s.last_day) THEN t.last_day END) AS from_day,
    count(*) AS statements
FROM bank_chained AS s
JOIN bank_chained AS t
    ON t.account = s.account AND t.currency = s.currency AND t.statement_key <> s.statement_key
    AND (t.last_day < s.last_day OR (t.last_day = s.last_day AND t.sequence < s.sequence))
GROUP BY s.statement_key;

CREATE TABLE bank_chain AS
SELECT
    s.statement_key, s.account, s.currency, s.sequence, s.opening_minor, s.last_day, n.before_sequence, n.before_day,
    CASE WHEN n.before_sequence < s.sequence - 1 THEN 1 ELSE 0 END AS is_gap,
    count(t.statement_key) AS predecessors,
    coalesce(max(CASE WHEN t.closing_minor = s.opening_minor OR o.other_key IS NOT NULL THEN 1 ELSE 0 END), 0) AS goes_on,
    min(abs(s.opening_minor - t.closing_minor)) AS off_minor
FROM bank_chained AS s
LEFT JOIN bank_numbered AS n ON n.statement_key = s.statement_key
LEFT JOIN bank_earlier AS e ON e.statement_key = s.statement_key
LEFT JOIN bank_chained AS t
    ON t.account = s.account AND t.currency = s.currency AND t.statement_key <> s.statement_key
    AND (
        (n.before_sequence IS NOT NULL AND t.sequence = n.before_sequence AND t.last_day = n.before_day)
        OR (
            n.before_sequence IS NULL AND e.statements > 0 AND t.last_day >= coalesce(e.from_day, -1000000)
            AND (t.last_day < s.last_day OR (t.last_day = s.last_day AND coalesce(t.sequence, 0) <= coalesce(s.sequence, 0)))
        )
    )
LEFT JOIN (SELECT DISTINCT other_key FROM bank_overlap) AS o ON o.other_key = s.statement_key
GROUP BY
    s.statement_key, s.account, s.currency, s.sequence, s.opening_minor, s.last_day, n.before_sequence, n.before_day;

CREATE TABLE bank_statement_verdict AS
SELECT
    statement_key, account, currency, last_day,
    CASE
        WHEN is_gap = 1 THEN 'statement_gap'
        WHEN predecessors > 0 AND goes_on = 0 THEN 'balance_break'
        ELSE ''
    END AS break_class,
    CASE WHEN predecessors > 0 THEN 'matched' ELSE 'excluded' END AS settled,
    CASE WHEN is_gap = 1 THEN CAST(before_sequence + 1 AS VARCHAR) ELSE statement_key END AS subject_2,
    CASE WHEN is_gap = 1 THEN CAST(before_day AS VARCHAR) ELSE '' END AS subject_3,
    coalesce(off_minor, 0) AS stake_minor
FROM bank_chain;

-- What such a conflict is about: the account, the number or else the first day, and the last day.
CREATE TABLE bank_conflict_subject AS
SELECT
    c.statement_key, c.ordinal, c.account, c.currency, c.last_day, c.identity, c.account AS subject_1,
    CAST(coalesce(c.sequence, c.first_day) AS VARCHAR) AS subject_2, CAST(c.last_day AS VARCHAR) AS subject_3,
    max(abs(c.turnover_minor - f.turnover_minor)) OVER (
        PARTITION BY c.account, c.currency, c.last_day, c.identity
    ) AS stake_minor
FROM bank_conflict AS c
JOIN bank_conflict AS f
    ON f.account = c.account AND f.currency = c.currency AND f.last_day = c.last_day AND f.identity = c.identity
    AND f.ordinal = 1;
