-- The fee that the first rule in the policy's order says that applies to a row. A row that was netted had its fee netted
-- by the gateway in its own way, and is not judged.
CREATE TABLE transactions_fee AS
SELECT row_key, off_minor
FROM (
    SELECT
        m.row_key,
        CASE
            WHEN f.at_most = 1
                THEN m.fee_minor - f.fixed_minor - (abs(m.row_minor) * f.basis_points + 5000) // 10000
            ELSE abs(m.fee_minor - f.fixed_minor - (abs(m.row_minor) * f.basis_points + 5000) // 10000)
        END AS off_minor,
        f.tolerance_minor, row_number() OVER (PARTITION BY m.row_key ORDER BY f.ordinal) AS choice
    FROM transactions_movement AS m
    JOIN fee_rule AS f ON f.gateway = m.gateway AND f.kind = m.kind AND f.currency = m.currency
    WHERE m.netted = 0
        AND (f.payment_method IS NULL OR f.payment_method = m.payment_method)
        AND (f.card_country IS NULL OR f.card_country = m.card_country)
        AND abs(m.row_minor) >= f.from_minor AND abs(m.row_minor) < f.until_minor
        AND m.created_at_ms >= f.from_ms AND m.created_at_ms < f.until_ms
) AS ranked
WHERE choice = 1 AND off_minor > tolerance_minor;

-- Conversion rates in millionths, of what the payer saw.
CREATE TABLE transactions_rate AS
SELECT
    row_key, gateway, currency, presented_currency, day_number, presented_minor, rate_millionths, stated_millionths,
    row_number() OVER (
        PARTITION BY gateway, currency, presented_currency ORDER BY created_at_ms, row_key
    ) AS place,
    row_number() OVER (
        PARTITION BY gateway, currency, presented_currency, day_number ORDER BY rate_millionths, row_key
    ) AS ordinal,
    count(*) OVER (PARTITION BY gateway, currency, presented_currency, day_number) AS rates
FROM (
    SELECT
        row_key, gateway, currency, presented_currency, created_at_ms, created_at_ms // 86400000 AS day_number,
        presented_minor, abs(gross_minor) * 1000000 // presented_minor AS rate_millionths,
        rate_millionths AS stated_millionths
    FROM transactions_movement
    WHERE presented_minor > 0 AND alone = 0
) AS converted;

-- The rate that the user gives for the day, else the last one before it: central banks publish none on weekends and
-- holidays, and a rate holds until the next. Four days are from the Thursday before Easter to the Monday after it.
CREATE TABLE transactions_given_rate AS
SELECT row_key, rate_millionths
FROM (
    SELECT
        r.row_key, x.rate_millionths, row_number() OVER (PARTITION BY r.row_key ORDER BY x.day_number DESC) AS choice
    FROM transactions_rate AS r
    JOIN fx_rate AS x
        ON x.currency = r.currency AND x.presented_currency = r.presented_currency
        AND x.day_number BETWEEN r.day_number - 4 AND r.day_number
) AS given
WHERE choice = 1;

-- What a rate is held against: the one that the user gives; the one that the row itself states; the median of the day,
-- the lower of the two middle ones, if the day has at least three; else the median of the two before, the two after and
-- itself, if there are at least three, with a tolerance more for each day between, since a rate drifts.
CREATE TABLE transactions_measure AS
SELECT row_key, rate_millionths, CAST(1 AS BIGINT) AS tolerances
FROM transactions_given_rate
UNION ALL
SELECT r.row_key, r.stated_millionths AS rate_millionths, CAST(1 AS BIGINT) AS tolerances
FROM transactions_rate AS r
LEFT JOIN transactions_given_rate AS x ON x.row_key = r.row_key
WHERE r.stated_millionths IS NOT NULL AND x.row_key IS NULL
UNION ALL
SELECT r.row_key, d.rate_millionths, CAST(1 AS BIGINT) AS tolerances
FROM transactions_rate AS r
JOIN transactions_rate AS d
    ON d.gateway = r.gateway AND d.currency = r.currency AND d.presented_currency = r.presented_currency
    AND d.day_number = r.day_number AND d.ordinal = (d.rates + 1) // 2
LEFT JOIN transactions_given_rate AS x ON x.row_key = r.row_key
WHERE r.rates >= 3 AND x.row_key IS NULL
UNION ALL
SELECT row_key, rate_millionths, 1 + days AS tolerances
FROM (
    SELECT
        r.row_key, n.rate_millionths,
        max(abs(n.day_number - r.day_number)) OVER (PARTITION BY r.row_key) AS days,
        row_number() OVER (PARTITION BY r.row_key ORDER BY n.rate_millionths, n.row_key) AS ordinal,
        count(*) OVER (PARTITION BY r.row_key) AS rates
    FROM transactions_rate AS r
    JOIN transactions_rate AS n
        ON n.gateway = r.gateway AND n.currency = r.currency AND n.presented_currency = r.presented_currency
        AND n.place BETWEEN r.place - 2 AND r.place + 2
    LEFT JOIN transactions_given_rate AS x ON x.row_key = r.row_key
    WHERE r.rates < 3 AND r.stated_millionths IS NULL AND x.row_key IS NULL
) AS near
WHERE rates >= 3 AND ordinal = (rates + 1) // 2;

-- A rate that is off by less than one minor unit of the amount is one that was rounded.
CREATE TABLE transactions_rate_off AS
SELECT row_key, max(stake_minor) AS stake_minor
FROM (
    SELECT
        r.row_key, abs(r.rate_millionths - d.rate_millionths) * r.presented_minor // 1000000 AS stake_minor
    FROM transactions_rate AS r
    JOIN transactions_measure AS d ON d.row_key = r.row_key
    CROSS JOIN settings AS s
    WHERE abs(r.rate_millionths - d.rate_millionths) * 10000
        > s.fx_tolerance_basis_points * d.rate_millionths * d.tolerances + 10000
) AS off
WHERE stake_minor > 1
GROUP BY row_key;

-- What was captured of the payments that may be overpaid, as the payer saw it: by the gateway's word, else by ours.
CREATE TABLE transactions_captured AS
SELECT
    o.gateway, o.gateway_payment_id, o.currency, coalesce(max(g.captured_minor), max(l.captured_minor)) AS captured_minor
FROM transactions_overpaid AS o
LEFT JOIN (
    SELECT gateway, gateway_payment_id, currency, CAST(sum(amount_minor) AS BIGINT) AS captured_minor
    FROM (
        SELECT DISTINCT
            r.gateway, r.transaction_id, r.gateway_payment_id, coalesce(r.presented_currency, r.currency) AS currency,
            CASE
                WHEN r.presented_minor IS NULL THEN r.amount_minor
                WHEN r.amount_minor < 0 THEN -abs(r.presented_minor)
                ELSE abs(r.presented_minor)
            END AS amount_minor
        FROM gateway_row AS r
        JOIN transactions_overpaid AS p
            ON p.gateway = r.gateway AND p.gateway_payment_id = r.gateway_payment_id
            AND p.currency = coalesce(r.presented_currency, r.currency)
        WHERE r.kind IN ('charge', 'uncaptured')
    ) AS charges
    GROUP BY gateway, gateway_payment_id, currency
) AS g ON g.gateway = o.gateway AND g.gateway_payment_id = o.gateway_payment_id AND g.currency = o.currency
LEFT JOIN (
    SELECT gateway, gateway_payment_id, currency, CAST(sum(amount_minor) AS BIGINT) AS captured_minor
    FROM (
        SELECT DISTINCT r.entry_id, r.gateway, r.gateway_payment_id, r.currency, r.amount_minor
        FROM ledger AS r
        JOIN transactions_overpaid AS p
            ON p.gateway = r.gateway AND p.gateway_payment_id = r.gateway_payment_id AND p.currency = r.currency
        WHERE r.kind = 'charge' AND r.state = 'booked'
    ) AS entries
    GROUP BY gateway, gateway_payment_id, currency
) AS l ON l.gateway = o.gateway AND l.gateway_payment_id = o.gateway_payment_id AND l.currency = o.currency
GROUP BY o.gateway, o.gateway_payment_id, o.currency;

-- Refunds beyond what was captured. Those we know of are counted first, so that the unknown one is the one too many. The
-- stake is in the currency of the balance.
CREATE TABLE transactions_excess AS
SELECT row_key, least(payer_minor, refunded_minor - captured_minor) * balance_minor // payer_minor AS stake_minor
FROM (
    SELECT
        m.row_key, m.payer_minor, -m.amount_minor AS balance_minor, c.captured_minor,
        sum(m.payer_minor) OVER (
            PARTITION BY m.gateway, m.gateway_payment_id, m.payer_currency
            ORDER BY CASE WHEN p.row_key IS NULL THEN 1 ELSE 0 END, m.created_at_ms, m.transaction_id
            ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW
        ) AS refunded_minor
    FROM (
        SELECT
            row_key, gateway, gateway_payment_id, created_at_ms, transaction_id, amount_minor,
            coalesce(presented_currency, currency) AS payer_currency, coalesce(presented_minor, -amount_minor) AS payer_minor
        FROM transactions_movement
        WHERE kind = 'refund' AND amount_minor < 0
    ) AS m
    JOIN transactions_captured AS c
        ON c.gateway = m.gateway AND c.gateway_payment_id = m.gateway_payment_id AND c.currency = m.payer_currency
    LEFT JOIN transactions_pair AS p ON p.row_key = m.row_key
    WHERE m.payer_minor > 0
) AS running
WHERE refunded_minor > captured_minor;
