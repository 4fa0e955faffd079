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
SELECT dept_id, FIRST_VALUE(manager_id) IGNORE NULLS AS a, LAST_VALUE(manager_id) RESPECT NULLS AS b FROM employees GROUP BY dept_id;
