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
SELECT dept_id, JSON_OBJECTAGG(name VALUE salary) AS a, JSON_OBJECTAGG(KEY name VALUE bonus NULL ON NULL) AS b, JSON_OBJECTAGG(name VALUE CAST(hired AS STRING)) AS c, JSON_OBJECTAGG(KEY CAST(emp_id AS STRING) VALUE JSON_ARRAY(name, bonus)) AS d FROM employees GROUP BY dept_id;
