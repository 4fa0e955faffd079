CREATE TABLE w (k INT, t STRING, v INT) WITH ('connector' = 'filesystem', 'path' = '${OUT}/ties', 'format' = 'json');
INSERT INTO w VALUES (1, '2024-01-01 00:00:01.000', 1), (1, '2024-01-01 00:00:01.000', 10), (1, '2024-01-01 00:00:02.000', 100), (1, '2024-01-01 00:00:02.000', 1000), (2, '2024-01-01 00:00:01.000', 5);
CREATE TABLE r (k INT, t TIMESTAMP(3), v INT, WATERMARK FOR t AS t - INTERVAL '5' SECOND) WITH ('connector' = 'filesystem', 'path' = '${OUT}/ties', 'format' = 'json');
SELECT k, v, RANK() OVER (PARTITION BY k ORDER BY t) AS rk, DENSE_RANK() OVER (PARTITION BY k ORDER BY t) AS d FROM r;
