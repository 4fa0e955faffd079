CREATE TABLE employees (
  emp_id INT,
  name STRING,
  dept_id INT,
  manager_id INT,
  salary DECIMAL(10, 2),
  hired DATE,
  bonus DOUBLE
) WITH (
  'connector' = 'filesystem',
  'path' = '${DATA}/employees.json',
  'format' = 'json'
);
SELECT n, JSON_ARRAYAGG(dept_id) AS a, JSON_OBJECTAGG(KEY CAST(dept_id AS STRING) VALUE s) AS o FROM (SELECT COALESCE(dept_id, -1) AS dept_id, COUNT(*) AS n, SUM(salary) AS s FROM employees GROUP BY COALESCE(dept_id, -1)) GROUP BY n;
