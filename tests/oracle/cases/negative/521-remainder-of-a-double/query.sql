CREATE TABLE numbers (id INT, ti TINYINT, si SMALLINT, i INT, b BIGINT, f FLOAT, d DOUBLE, d1 DECIMAL(10, 2), d2 DECIMAL(5, 4), d3 DECIMAL(20, 2), bo BOOLEAN) WITH ('connector' = 'filesystem', 'path' = '${DATA}/numbers.json', 'format' = 'json');
SELECT d % 2 FROM numbers;
