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
SELECT kind, window_start, window_end, COUNT(*) AS c FROM TABLE(CUMULATE(TABLE ltz, DESCRIPTOR(`at`), INTERVAL '1' HOUR, INTERVAL '1' DAY)) GROUP BY kind, window_start, window_end;
