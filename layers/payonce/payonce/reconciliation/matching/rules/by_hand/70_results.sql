-- What the family leaves behind.

CREATE VIEW by_hand_outcome AS
SELECT
    t.source, t.row_key, t.outcome,
    CASE
        WHEN t.outcome <> 'break' THEN ''
        WHEN m.last_side >= 3 THEN 'payout_different'
        ELSE 'amount_mismatch'
    END AS break_class,
    t.currency, t.amount_minor
FROM by_hand_taken AS t
LEFT JOIN by_hand_match AS m ON m.match_id = t.match_id
WHERE t.kind <> 'sum';

CREATE VIEW by_hand_open_item AS
SELECT source, row_key, reason, currency, amount_minor, at_ms, gateway, label
FROM by_hand_taken
WHERE outcome = 'excluded';

CREATE TABLE by_hand_found AS
SELECT
    CASE WHEN last_side >= 3 THEN 'payout_different' ELSE 'amount_mismatch' END AS break_class,
    coalesce(gateway, 'bank') AS subject_1, match_id AS subject_2, '' AS subject_3, '' AS subject_4,
    abs(difference_minor) AS amount_minor, currency, at_ms AS occurred_at_ms, merchant_id, payment_id, gateway,
    CAST(NULL AS VARCHAR) AS surplus_gateway_payment_id
FROM by_hand_verdict
WHERE state = 'different';

CREATE TABLE by_hand_link AS
SELECT f.break_class, f.subject_1, f.subject_2, f.subject_3, f.subject_4, w.source, w.row_key
FROM by_hand_found AS f
JOIN matched_row AS w ON w.match_id = f.subject_2;

-- What stays different and is no break, since it is accepted or within the tolerance.
CREATE VIEW by_hand_difference AS
SELECT
    CASE WHEN state = 'tolerated' AND last_side >= 3 THEN 'tolerated_payout' ELSE state END AS how, gateway, currency, match_id AS row_key, '' AS other_key, difference_minor, at_ms
FROM by_hand_verdict
WHERE state IN ('accepted', 'tolerated');

CREATE VIEW by_hand_input AS
SELECT
    source, currency, count(*) AS row_count, CAST(sum(amount_minor) AS BIGINT) AS amount_minor
FROM by_hand_taken
WHERE kind <> 'sum'
GROUP BY source, currency;

CREATE VIEW by_hand_keys AS
SELECT source, CAST(sum(taken) AS BIGINT) AS taken, CAST(sum(given) AS BIGINT) AS given
FROM (
    SELECT c.source, row_hash(c.row_key) AS taken, CAST(0 AS BIGINT) AS given
    FROM by_hand_content AS c
    JOIN (SELECT DISTINCT source, row_key FROM by_hand_taken) AS t ON t.source = c.source AND t.row_key = c.row_key
    WHERE c.kind <> 'sum'
    UNION ALL
    SELECT source, CAST(0 AS BIGINT) AS taken, row_hash(row_key) AS given
    FROM by_hand_outcome
) AS summed
GROUP BY source;
