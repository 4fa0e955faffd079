CREATE TABLE times (id INT, dt DATE, tm TIME(0), ts TIMESTAMP(3), lz TIMESTAMP_LTZ(3)) WITH ('connector' = 'filesystem', 'path' = '${DATA}/times.json', 'format' = 'json');
SELECT id FROM times WHERE dt = ts;
