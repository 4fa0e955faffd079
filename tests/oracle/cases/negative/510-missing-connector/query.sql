CREATE TABLE t (a INT) WITH ('path' = '${DATA}/orders.json', 'format' = 'json');
SELECT * FROM t;
