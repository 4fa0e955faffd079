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

CREATE VIEW v AS SELECT * FROM employees AS e JOIN departments AS d ON e.dept_id = d.dept_id;
SELECT emp_id, dept_id, dept_id0, v.*, emp_id FROM v;
