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

SELECT id, CAST(f * CAST(3 AS FLOAT) AS STRING) AS a, CAST(CAST(i AS FLOAT) * CAST(7 AS FLOAT) AS STRING) AS b, CAST(CAST(b AS DOUBLE) / 7 AS STRING) AS c, CAST(CAST(d3 AS DOUBLE) AS STRING) AS d, CAST(CAST(123456789 AS FLOAT) AS STRING) AS e FROM numbers;
