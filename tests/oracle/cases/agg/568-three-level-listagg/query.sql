CREATE TABLE clicks (
  click_id BIGINT,
  user_id STRING,
  page STRING,
  ts TIMESTAMP(3),
  dwell_ms INT,
  origin STRING
) WITH (
  'connector' = 'filesystem',
  'path' = '${DATA}/clicks.json',
  'format' = 'json'
);
SELECT most, LISTAGG(user_id) AS users, COUNT(*) AS n FROM (SELECT user_id, MAX(c) AS most FROM (SELECT user_id, page, COUNT(*) AS c FROM clicks GROUP BY user_id, page) GROUP BY user_id) GROUP BY most;
