SET 'table.local-time-zone' = 'Europe/Berlin';
CREATE TABLE w (s STRING, v INT) WITH ('connector' = 'filesystem', 'path' = '${OUT}/fb', 'format' = 'json');
INSERT INTO w VALUES ('2024-10-26 23:30:00.000Z', 1), ('2024-10-27 00:30:00.000Z', 2), ('2024-10-27 00:45:00.000Z', 4), ('2024-10-27 01:15:00.000Z', 8), ('2024-10-27 01:50:00.000Z', 16), ('2024-10-27 02:30:00.000Z', 32), ('2024-10-27 03:30:00.000Z', 64);
CREATE TABLE r (s TIMESTAMP_LTZ(3), v INT, WATERMARK FOR s AS s) WITH ('connector' = 'filesystem', 'path' = '${OUT}/fb', 'format' = 'json');
SELECT window_start, window_end, window_time, SUM(v) AS t, COUNT(*) AS c FROM TABLE(TUMBLE(TABLE r, DESCRIPTOR(s), INTERVAL '1' HOUR)) GROUP BY window_start, window_end, window_time;
