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
SELECT STDDEV_POP(ti) AS a, STDDEV_SAMP(si) AS b, VAR_POP(d1) AS c, VAR_SAMP(d2) AS e, STDDEV(f) AS g, VARIANCE(d) AS h, STDDEV_POP(d1) AS i, VAR_POP(i) AS j, VAR_SAMP(ti) AS k, STDDEV_SAMP(d) AS l, STDDEV_POP(f) AS m FROM numbers WHERE id IN (1, 2, 3, 6);
