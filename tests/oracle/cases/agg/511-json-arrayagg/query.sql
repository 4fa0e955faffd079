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
SELECT dept_id, JSON_ARRAYAGG(name) AS a, JSON_ARRAYAGG(manager_id NULL ON NULL) AS b, JSON_ARRAYAGG(manager_id ABSENT ON NULL) AS c, JSON_ARRAYAGG(bonus) AS d , JSON_ARRAYAGG(CAST(hired AS STRING)) AS e, JSON_ARRAYAGG(JSON_OBJECT(KEY 'n' VALUE name, KEY 's' VALUE salary)) AS f FROM employees GROUP BY dept_id;
