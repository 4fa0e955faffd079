CREATE TABLE t (order_id BIGINT, nope INT) WITH ('connector' = 'filesystem', 'path' = '${DATA}/orders.json', 'format' = 'json', 'json.fail-on-missing-field' = 'true');
SELECT * FROM t;
