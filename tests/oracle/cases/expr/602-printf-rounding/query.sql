CREATE TABLE numbers (
  id INT,
  ti TINYINT,
  si SMALLINT,
  i INT,
  b BIGINT,
  f FLOAT,
  d DOUBLE,
  d1 DECIMAL(10, 2),
  d2 DECIMAL(5, 4),
  d3 DECIMAL(20, 2),
  bo BOOLEAN
) WITH (
  'connector' = 'filesystem',
  'path' = '${DATA}/numbers.json',
  'format' = 'json'
);

SELECT id, PRINTF('%05.2f|%.1f|%s|%.2s', d, f, d1, bo) AS a, PRINTF('%.0f %.3f', CAST(0.5 AS DOUBLE), CAST(2.0005 AS DOUBLE)) AS b, PRINTF('%.2f', d1) AS c FROM numbers WHERE id <> 3;
