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

CREATE TABLE c (id INT, d1 DECIMAL(10, 2), d2 DECIMAL(5, 4), d3 DECIMAL(20, 2)) WITH ('connector' = 'filesystem', 'path' = '${OUT}/c', 'format' = 'csv', 'csv.write-bigdecimal-in-scientific-notation' = 'false');
CREATE TABLE r (line STRING) WITH ('connector' = 'filesystem', 'path' = '${OUT}/c', 'format' = 'raw');
INSERT INTO c SELECT id, d1, d2, d3 FROM numbers;
SELECT * FROM r;
