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

SELECT emp_id, OBJECT_OF('E', 'id', emp_id, 'n', name, 'd', dept_id) AS o, OBJECT_OF('E', 'id', emp_id, 'n', name).n AS n, CAST(OBJECT_OF('A', 'o', OBJECT_OF('B', 'x', bonus)) AS STRING) AS s, OBJECT_UPDATE(OBJECT_OF('E', 'id', emp_id, 'n', name), 'n', UPPER(name)) AS u FROM employees WHERE emp_id < 9;
