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
SELECT id, STDDEV_POP(d) AS a, STDDEV_SAMP(d) AS b, VAR_POP(d) AS c, VAR_SAMP(d) AS e, VARIANCE(i) AS f, STDDEV(d1) AS g FROM numbers GROUP BY id;
