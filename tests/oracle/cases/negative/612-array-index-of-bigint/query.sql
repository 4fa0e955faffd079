CREATE TABLE nested (
  id INT,
  ints ARRAY<INT>,
  tags ARRAY<STRING>,
  props MAP<STRING, INT>,
  addr ROW<city STRING, geo ROW<lat DOUBLE, lon DOUBLE>>,
  items ARRAY<ROW<sku STRING, qty INT>>
) WITH (
  'connector' = 'filesystem',
  'path' = '${DATA}/nested.json',
  'format' = 'json'
);

SELECT id, ints[CAST(id AS BIGINT)] AS a FROM nested;
