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
SELECT name FROM employees AS e WHERE EXISTS (SELECT 1 FROM departments AS d WHERE d.dept_id = e.dept_id AND d.budget > 400000) OR e.bonus > 400;
