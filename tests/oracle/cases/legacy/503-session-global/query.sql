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
SELECT SESSION_START(ts, INTERVAL '8' SECOND) AS s, SESSION_END(ts, INTERVAL '8' SECOND) AS e, SESSION_ROWTIME(ts, INTERVAL '8' SECOND) AS rt, COUNT(*) AS c, MAX(dwell_ms) AS m, LISTAGG(origin) AS l FROM clicks GROUP BY SESSION(ts, INTERVAL '8' SECOND);
