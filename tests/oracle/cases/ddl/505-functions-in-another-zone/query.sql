SET 'table.local-time-zone' = 'Asia/Tokyo';
CREATE TABLE times (id INT, dt DATE, tm TIME(0), ts TIMESTAMP(3), lz TIMESTAMP_LTZ(3)) WITH ('connector' = 'filesystem', 'path' = '${DATA}/times.json', 'format' = 'json');
SELECT id, lz, CAST(lz AS STRING) AS s, CAST(lz AS TIMESTAMP(3)) AS t, CAST(ts AS TIMESTAMP_LTZ(3)) AS l, CAST(lz AS DATE) AS d, DATE_FORMAT(lz, 'yyyy-MM-dd HH') AS f, EXTRACT(HOUR FROM lz) AS h, FLOOR(lz TO DAY) AS fl, TO_TIMESTAMP_LTZ(0, 3) AS z, FROM_UNIXTIME(0) AS u, UNIX_TIMESTAMP('1970-01-01 09:00:00') AS ux FROM times;
