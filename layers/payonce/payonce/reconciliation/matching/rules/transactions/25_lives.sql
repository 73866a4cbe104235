-- A movement at the gateway has a life: an authorised part is never captured, a settled charge is reversed, a refund
-- comes back. What takes back is laid upon what it takes back, and what is left of both is compared with our ledger.

CREATE TABLE transactions_part AS
SELECT
    g.row_key, g.gateway, g.transaction_id, g.kind, b.base, g.reference, g.gateway_payment_id, g.gateway_charge_id,
    g.gateway_object_id, g.currency, g.amount_minor, g.presented_minor, g.presented_currency, g.created_at_ms,
    row_number() OVER (
        PARTITION BY g.gateway, g.kind, g.currency, g.amount_minor, coalesce(g.gateway_payment_id, g.reference, '')
        ORDER BY g.created_at_ms, g.transaction_id
    ) AS ordinal
FROM transactions_gateway_row AS g
JOIN transactions_kind AS b ON b.kind = g.kind
WHERE g.version = 1;

-- What a row may take back: by the object that both are of, by the reference, by the charge, by the payment. Of several
-- the one of equal amount and earlier; of equal ones the first by the first, the second by the second.
CREATE TABLE transactions_takes_back AS
SELECT row_key, lead_key, amount_minor, lead_minor, created_at_ms, transaction_id
FROM (
    SELECT
        n.row_key, c.row_key AS lead_key, n.amount_minor, c.amount_minor AS lead_minor, n.created_at_ms,
        n.transaction_id,
        row_number() OVER (
            PARTITION BY n.row_key
            ORDER BY
                CASE
                    WHEN c.gateway_object_id = n.gateway_object_id THEN 1
                    WHEN c.reference = n.reference AND c.gateway_payment_id = n.gateway_payment_id THEN 2
                    WHEN c.reference = n.reference THEN 3
                    WHEN c.gateway_charge_id = n.gateway_charge_id THEN 4
                    ELSE 5
                END,
                CASE WHEN c.amount_minor = -n.amount_minor THEN 0 ELSE 1 END,
                CASE WHEN c.created_at_ms <= n.created_at_ms THEN 0 ELSE 1 END,
                CASE WHEN c.ordinal = n.ordinal THEN 0 ELSE 1 END,
                abs(c.amount_minor) DESC, c.created_at_ms, c.transaction_id
        ) AS choice
    FROM transactions_part AS n
    JOIN transactions_part AS c
        ON c.gateway = n.gateway AND c.base = n.base AND c.kind = c.base AND c.currency = n.currency
        AND abs(c.amount_minor) >= abs(n.amount_minor) AND (c.amount_minor < 0) = (n.amount_minor > 0)
        AND (c.gateway_object_id = n.gateway_object_id OR c.reference = n.reference
            OR c.gateway_charge_id = n.gateway_charge_id OR c.gateway_payment_id = n.gateway_payment_id)
    WHERE n.kind <> n.base
) AS choices
WHERE choice = 1;

-- No more is taken back than there was. What is beyond it stands for itself.
CREATE TABLE transactions_attached AS
SELECT row_key, lead_key
FROM (
    SELECT
        row_key, lead_key, lead_minor,
        sum(amount_minor) OVER (
            PARTITION BY lead_key ORDER BY created_at_ms, transaction_id
            ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW
        ) AS taken_minor
    FROM transactions_takes_back
) AS running
WHERE abs(taken_minor) <= abs(lead_minor);

-- amount_minor is what is left, gross_minor what there was before something came back (what was never captured is no
-- part of it), reversed_minor what came back. A row that takes back what no row tells of is a life of its own: alone = 1.
-- payer_minor is amount_minor as the payer saw it: two charges of one order are equal in that, though each was converted at
-- the rate of its moment. Of a life that came back in part it is not known, and is amount_minor.
CREATE TABLE transactions_life AS
SELECT
    g.row_key, g.gateway, g.transaction_id, b.base AS kind, g.kind AS row_kind, g.reference, g.gateway_payment_id,
    g.gateway_charge_id, g.gateway_object_id, g.payment_reference, g.currency,
    g.amount_minor + coalesce(a.uncaptured_minor, 0) + coalesce(a.reversed_minor, 0) AS amount_minor,
    CASE
        WHEN g.kind <> b.base THEN -g.amount_minor
        ELSE g.amount_minor + coalesce(a.uncaptured_minor, 0)
    END AS gross_minor,
    CASE WHEN g.kind <> b.base THEN g.amount_minor ELSE coalesce(a.reversed_minor, 0) END AS reversed_minor,
    CASE WHEN g.kind <> b.base THEN 1 ELSE 0 END AS alone,
    CASE WHEN a.lead_key IS NOT NULL OR g.kind <> b.base THEN 1 ELSE 0 END AS netted,
    g.amount_minor AS row_minor, g.fee_minor, g.created_at_ms, g.available_at_ms,
    CASE
        WHEN g.presented_currency <> g.currency
            THEN abs(abs(g.presented_minor) - coalesce(a.uncaptured_presented_minor, 0))
    END AS presented_minor,
    CASE WHEN g.presented_currency <> g.currency THEN g.presented_currency END AS presented_currency,
    CASE
        WHEN g.presented_currency <> g.currency AND g.kind = b.base AND coalesce(a.reversed_minor, 0) = 0
            THEN g.presented_currency
        ELSE g.currency
    END AS payer_currency,
    CASE
        WHEN g.presented_currency <> g.currency AND g.kind = b.base AND coalesce(a.reversed_minor, 0) = 0
            THEN (abs(g.presented_minor) - coalesce(a.uncaptured_presented_minor, 0))
                * CASE WHEN g.amount_minor < 0 THEN -1 ELSE 1 END
        ELSE g.amount_minor + coalesce(a.uncaptured_minor, 0) + coalesce(a.reversed_minor, 0)
    END AS payer_minor,
    g.rate_millionths, g.payment_method, g.card_country
FROM transactions_gateway_row AS g
JOIN transactions_kind AS b ON b.kind = g.kind
LEFT JOIN transactions_attached AS t ON t.row_key = g.row_key
LEFT JOIN (
    SELECT
        t.lead_key,
        CAST(sum(CASE WHEN p.kind = 'uncaptured' THEN p.amount_minor ELSE 0 END) AS BIGINT) AS uncaptured_minor,
        CAST(sum(CASE WHEN p.kind = 'uncaptured' THEN 0 ELSE p.amount_minor END) AS BIGINT) AS reversed_minor,
        CAST(sum(CASE WHEN p.kind = 'uncaptured' THEN abs(coalesce(p.presented_minor, 0)) ELSE 0 END) AS BIGINT)
            AS uncaptured_presented_minor
    FROM transactions_attached AS t
    JOIN transactions_part AS p ON p.row_key = t.row_key
    GROUP BY t.lead_key
) AS a ON a.lead_key = g.row_key
WHERE g.version = 1 AND t.row_key IS NULL;

-- An entry and the first one that takes it back have consumed each other; the others are compared.
CREATE TABLE transactions_own AS
SELECT
    l.entry_id, l.merchant_id, l.payment_id, l.gateway, l.kind, l.state, l.ref, l.amount_minor, l.currency,
    l.booked_at_ms, l.gateway_payment_id
FROM transactions_ledger_row AS l
LEFT JOIN (
    SELECT entry_id FROM transactions_cancelled UNION ALL SELECT other_entry_id AS entry_id FROM transactions_cancelled
) AS c ON c.entry_id = l.entry_id
WHERE c.entry_id IS NULL;
