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
SELECT symbol, ts, SUM(price) FILTER (WHERE volume > 2000) OVER (PARTITION BY symbol ORDER BY ts) AS s, COUNT(*) FILTER (WHERE price > 100) OVER (PARTITION BY symbol ORDER BY ts) AS c FROM ticks;
