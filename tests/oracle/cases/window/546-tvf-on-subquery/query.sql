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
SELECT window_start, page_kind, COUNT(*) AS c FROM TABLE(TUMBLE((SELECT ts, SUBSTRING(page, 1, 5) AS page_kind FROM clicks), DESCRIPTOR(ts), INTERVAL '3' MINUTES)) GROUP BY window_start, window_end, page_kind;
