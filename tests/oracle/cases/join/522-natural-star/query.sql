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
CREATE VIEW dd AS SELECT * FROM (VALUES (10, 'R'), (20, 'S'), (20, 'T')) AS t (dept_id, code);
SELECT * FROM employees NATURAL JOIN dd;
