SET 'table.local-time-zone' = 'Europe/Berlin';
CREATE TABLE ltz (
  id INT,
  kind STRING,
  `at` TIMESTAMP_LTZ(3),
  v INT,
  epoch_ms BIGINT,
  WATERMARK FOR `at` AS `at`
) WITH (
  'connector' = 'filesystem',
  'path' = '${DATA}/ltz_events.json',
  'format' = 'json'
);
SELECT window_start, window_end, window_time, COUNT(*) AS c, SUM(v) AS s FROM TABLE(HOP(TABLE ltz, DESCRIPTOR(`at`), INTERVAL '15' MINUTE, INTERVAL '45' MINUTE)) GROUP BY window_start, window_end, window_time;
