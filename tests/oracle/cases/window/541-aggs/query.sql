CREATE TABLE clicks (
  click_id BIGINT,
  user_id STRING,
  page STRING,
  ts TIMESTAMP(3),
  dwell_ms INT,
  origin STRING,
  WATERMARK FOR ts AS ts - INTERVAL '3' SECOND
) WITH (
  'connector' = 'filesystem',
  'path' = '${DATA}/clicks.json',
  'format' = 'json'
);
SELECT window_start, window_end, LISTAGG(page) AS l, COLLECT(origin) AS o, ARRAY_AGG(click_id) AS a, STDDEV_POP(dwell_ms) AS s, AVG(dwell_ms) AS av, FIRST_VALUE(page) AS f, LAST_VALUE(page) AS la, COUNT(*) FILTER (WHERE origin = 'mail') AS m, COUNT(DISTINCT page) FILTER (WHERE dwell_ms > 3000) AS dp, MIN(ts) AS mt, JSON_OBJECTAGG(KEY CAST(click_id AS STRING) VALUE dwell_ms) AS j FROM TABLE(TUMBLE(TABLE clicks, DESCRIPTOR(ts), INTERVAL '3' MINUTES)) GROUP BY window_start, window_end;
