CREATE TABLE departments (
  dept_id INT,
  dept_name STRING,
  budget BIGINT,
  city STRING
) WITH (
  'connector' = 'filesystem',
  'path' = '${DATA}/departments.json',
  'format' = 'json'
);

CREATE VIEW v AS SELECT *, UPPER(city) AS city FROM departments;
SELECT * FROM v;
