-- The rows of the groups that are not plain, each content once, and every gateway row that belongs to no group.

CREATE TABLE transactions_ledger_row AS
SELECT
    l.entry_id, l.merchant_id, l.payment_id, l.gateway, l.kind, l.state,
    CASE WHEN l.reference = '' THEN l.entry_id ELSE l.reference END AS ref,
    l.amount_minor, l.currency, l.booked_at_ms, l.gateway_payment_id, l.reverses_entry_id, count(*) AS copies
FROM ledger AS l
JOIN transactions_open AS k
    ON k.gateway = l.gateway AND k.base = l.kind
    AND k.reference = CASE WHEN l.reference = '' THEN l.entry_id ELSE l.reference END
LEFT JOIN by_hand_taken AS y ON y.source = 'ledger' AND y.row_key = l.entry_id
WHERE y.row_key IS NULL
GROUP BY
    l.entry_id, l.merchant_id, l.payment_id, l.gateway, l.kind, l.state, l.reference, l.amount_minor, l.currency,
    l.booked_at_ms, l.gateway_payment_id, l.reverses_entry_id;

-- An entry and the first one that takes it back consume each other.
CREATE TABLE transactions_cancelled AS
SELECT reversal.entry_id AS entry_id, reversal.reverses_entry_id AS other_entry_id
FROM (
    SELECT
        entry_id, reverses_entry_id, amount_minor, currency,
        row_number() OVER (PARTITION BY reverses_entry_id ORDER BY booked_at_ms, entry_id) AS ordinal
    FROM transactions_ledger_row
    WHERE reverses_entry_id IS NOT NULL AND state = 'booked'
) AS reversal
JOIN transactions_ledger_row AS entry
    ON entry.entry_id = reversal.reverses_entry_id AND entry.amount_minor = -reversal.amount_minor
    AND entry.currency = reversal.currency AND entry.state = 'booked'
WHERE reversal.ordinal = 1;

CREATE TABLE transactions_gateway_content AS
SELECT
    g.gateway, g.transaction_id, g.kind, CASE WHEN g.reference = '' THEN NULL ELSE g.reference END AS reference,
    g.gateway_payment_id, g.amount_minor, g.fee_minor, g.net_minor, g.currency, g.created_at_ms, g.available_at_ms,
    g.payout_id, g.presented_minor, g.presented_currency, g.category, g.gateway_charge_id, g.gateway_object_id,
    g.payment_reference, g.rate_millionths, g.payment_method, g.card_country, g.payout_reference, count(*) AS copies
FROM gateway_row AS g
LEFT JOIN transactions_kind AS b ON b.kind = g.kind
LEFT JOIN transactions_open AS k ON k.gateway = g.gateway AND k.base = b.base AND k.reference = g.reference
LEFT JOIN by_hand_taken AS y
    ON y.source = 'gateway' AND y.gateway = g.gateway AND y.transaction_id = g.transaction_id
WHERE
    g.kind <> 'payout' AND (k.reference IS NOT NULL OR b.base IS NULL OR coalesce(g.reference, '') = '')
    AND y.row_key IS NULL
GROUP BY
    g.gateway, g.transaction_id, g.kind, CASE WHEN g.reference = '' THEN NULL ELSE g.reference END,
    g.gateway_payment_id, g.amount_minor, g.fee_minor, g.net_minor, g.currency, g.created_at_ms, g.available_at_ms,
    g.payout_id, g.presented_minor, g.presented_currency, g.category, g.gateway_charge_id, g.gateway_object_id,
    g.payment_reference, g.rate_millionths, g.payment_method, g.card_country, g.payout_reference;

-- One id with several contents: the one that agrees with our ledger is chosen, else the first by content. The others are
-- conflicts, whatever else they are.
CREATE TABLE transactions_gateway_row AS
SELECT
    g.*,
    g.gateway || '|' || g.transaction_id AS row_key,
    row_number() OVER (
        PARTITION BY g.gateway, g.transaction_id
        ORDER BY
            CASE WHEN l.ref IS NULL THEN 1 ELSE 0 END, g.kind, coalesce(g.reference, ''), g.currency, g.amount_minor,
            g.fee_minor, g.net_minor, g.created_at_ms, coalesce(g.available_at_ms, -1),
            coalesce(g.gateway_payment_id, ''), coalesce(g.payout_id, ''), coalesce(g.presented_minor, -1),
            coalesce(g.presented_currency, ''), coalesce(g.category, ''), coalesce(g.gateway_charge_id, ''),
            coalesce(g.gateway_object_id, ''), coalesce(g.payment_reference, ''), coalesce(g.rate_millionths, -1),
            coalesce(g.payment_method, ''), coalesce(g.card_country, ''), coalesce(g.payout_reference, '')
    ) AS version
FROM transactions_gateway_content AS g
LEFT JOIN transactions_kind AS b ON b.kind = g.kind
LEFT JOIN (
    SELECT DISTINCT gateway, kind, ref, currency, amount_minor FROM transactions_ledger_row WHERE state = 'booked'
) AS l
    ON l.gateway = g.gateway AND l.kind = b.base AND l.ref = g.reference AND l.currency = g.currency
    AND l.amount_minor = g.amount_minor;

-- Every row that the family accounts for, counted from the tables; a row that two files have in common counts once, and
-- what was settled by hand is another family's.
CREATE VIEW transactions_input AS
SELECT
    source, currency, CAST(sum(row_count) AS BIGINT) AS row_count, CAST(sum(amount_minor) AS BIGINT) AS amount_minor
FROM (
    SELECT 'ledger' AS source, currency, count(*) AS row_count, sum(amount_minor) AS amount_minor
    FROM ledger
    GROUP BY currency
    UNION ALL
    SELECT 'gateway' AS source, currency, count(*) AS row_count, sum(amount_minor) AS amount_minor
    FROM gateway_row
    WHERE kind <> 'payout'
    GROUP BY currency
    UNION ALL
    SELECT 'ledger' AS source, currency, sum(1 - copies) AS row_count, sum((1 - copies) * amount_minor) AS amount_minor
    FROM transactions_ledger_row
    GROUP BY currency
    UNION ALL
    SELECT 'gateway' AS source, currency, sum(1 - copies) AS row_count, sum((1 - copies) * amount_minor) AS amount_minor
    FROM transactions_gateway_row
    GROUP BY currency
    UNION ALL
    SELECT source, currency, -sum(copies) AS row_count, -sum(copies * amount_minor) AS amount_minor
    FROM by_hand_taken
    WHERE side < 3
    GROUP BY source, currency
) AS counted
GROUP BY source, currency;
