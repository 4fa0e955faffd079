CREATE TABLE t (a INT, m STRING METADATA FROM 'nope') WITH ('connector' = 'filesystem', 'path' = '${DATA}/orders.json', 'format' = 'json');
SELECT * FROM t;
