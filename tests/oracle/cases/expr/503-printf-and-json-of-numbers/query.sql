CREATE TABLE numbers (id INT, ti TINYINT, si SMALLINT, i INT, b BIGINT, f FLOAT, d DOUBLE, d1 DECIMAL(10, 2), d2 DECIMAL(5, 4), d3 DECIMAL(20, 2), bo BOOLEAN) WITH ('connector' = 'filesystem', 'path' = '${DATA}/numbers.json', 'format' = 'json');
SELECT id, PRINTF('%s %s %s %s', f, d1, d2, d3) AS a, JSON_STRING(f) AS b, JSON_OBJECT('f' VALUE f, 'd' VALUE d) AS c, JSON_ARRAY(d, f, d1) AS e, JSON_STRING(JSON_OBJECT('a' VALUE id)) AS g, JSON_STRING(ARRAY[d]) AS h
FROM numbers;
