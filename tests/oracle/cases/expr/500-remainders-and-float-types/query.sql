CREATE TABLE numbers (id INT, ti TINYINT, si SMALLINT, i INT, b BIGINT, f FLOAT, d DOUBLE, d1 DECIMAL(10, 2), d2 DECIMAL(5, 4), d3 DECIMAL(20, 2), bo BOOLEAN) WITH ('connector' = 'filesystem', 'path' = '${DATA}/numbers.json', 'format' = 'json');
SELECT id, si % ti AS a, i % ti AS b, b % si AS c, MOD(i, si) AS d, COALESCE(d1, f) AS e, COALESCE(f, 0.0) AS g, NULLIF(d3, f) AS h, f = d AS k, ARRAY[f, d] AS l,
  IF(bo, 1, 2) AS m, -2147483648 AS n, 5. AS o, ti IN ('3', '12') AS p, CAST(i AS INTERVAL SECOND) AS q, GREATEST(d2, f) AS r, IS_DIGIT(CAST(i AS STRING)) AS s
FROM numbers WHERE ti <> 0 AND si <> 0;
