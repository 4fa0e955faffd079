CREATE TABLE ticks (
  symbol STRING,
  ts TIMESTAMP(3),
  price INT,
  volume BIGINT,
  WATERMARK FOR ts AS ts - INTERVAL '1' SECOND
) WITH (
  'connector' = 'filesystem',
  'path' = '${DATA}/ticks.json',
  'format' = 'json'
);
SELECT symbol, ts, LEAD(price) OVER (PARTITION BY symbol ORDER BY ts) AS a FROM ticks;
