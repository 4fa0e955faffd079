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

SELECT symbol, HOP_START(ts, INTERVAL '30' SECOND, INTERVAL '1' MINUTE) AS s, LISTAGG(CAST(price AS STRING)) AS f FROM ticks GROUP BY symbol, HOP(ts, INTERVAL '30' SECOND, INTERVAL '1' MINUTE);
