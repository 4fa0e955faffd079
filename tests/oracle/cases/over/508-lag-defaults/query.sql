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
SELECT symbol, ts, price, LAG(price, 1, -1) OVER w AS a, LAG(volume, 3) OVER w AS b, LAG(symbol, 1, 'none') OVER w AS c, LAG(price, 0) OVER w AS d, price - LAG(price, 1, price) OVER w AS e FROM ticks WINDOW w AS (PARTITION BY symbol ORDER BY ts);
