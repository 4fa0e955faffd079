CREATE TABLE times (id INT, dt DATE, tm TIME(0), ts TIMESTAMP(3), lz TIMESTAMP_LTZ(3)) WITH ('connector' = 'filesystem', 'path' = '${DATA}/times.json', 'format' = 'json');
SELECT id, EXTRACT(MINUTE FROM dt) AS a, SECOND(dt) AS b, EXTRACT(MILLISECOND FROM dt) AS c, CEIL(dt TO DAY) AS d, FLOOR(dt TO DAY) AS e, TIMESTAMPADD(HOUR, 5, dt) AS f, dt + INTERVAL '25' HOUR AS g, dt - INTERVAL '25' HOUR AS h,
  DATE_FORMAT(ts, 'w W YYYY') AS k, DATE_FORMAT(ts, 'Q QQQ QQQQ') AS l, DATE_FORMAT('2023-12-31 00:00:00', 'w W YYYY') AS m, CASE WHEN id > 3 THEN ts ELSE lz END AS n, TO_TIMESTAMP_LTZ(1700000000123456, 6) AS o
FROM times WHERE id <> 4;
