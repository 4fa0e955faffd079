CREATE TABLE sensors (
  sensor_id STRING,
  ts TIMESTAMP(3),
  temp DOUBLE,
  hum INT,
  ok BOOLEAN,
  loc ROW<site STRING, rack INT>,
  WATERMARK FOR ts AS ts - INTERVAL '2' SECOND
) WITH (
  'connector' = 'filesystem',
  'path' = '${DATA}/sensors.json',
  'format' = 'json'
);
SELECT window_start, window_end, window_time, sensor_id, COUNT(*) AS c, AVG(temp) AS t, SUM(hum) AS h, COUNT(DISTINCT loc.site) AS s FROM TABLE(TUMBLE(TABLE sensors, DESCRIPTOR(ts), INTERVAL '1' DAY)) GROUP BY window_start, window_end, window_time, sensor_id;
