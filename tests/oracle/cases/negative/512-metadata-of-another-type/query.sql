CREATE TABLE t (a INT, `file.size` ROW<x INT> METADATA) WITH ('connector' = 'filesystem', 'path' = '${DATA}/orders.json', 'format' = 'json');
SELECT * FROM t;
