SET 'table.exec.legacy-cast-behaviour' = 'ENABLED';
CREATE TABLE strings (
  id INT,
  s STRING,
  p STRING
) WITH (
  'connector' = 'filesystem',
  'path' = '${DATA}/strings.json',
  'format' = 'json'
);

SELECT id, CAST(s AS INT) AS a, CAST(s AS CHAR(3)) AS b, CAST(s AS DATE) AS c, CAST(s AS VARCHAR(2)) AS d, CAST(id AS VARCHAR(1)) AS e FROM strings;
