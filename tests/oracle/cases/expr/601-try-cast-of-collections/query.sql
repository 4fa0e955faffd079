CREATE TABLE strings (
  id INT,
  s STRING,
  p STRING
) WITH (
  'connector' = 'filesystem',
  'path' = '${DATA}/strings.json',
  'format' = 'json'
);

SELECT id, TRY_CAST(ARRAY[s, '1'] AS ARRAY<INT>) AS a, TRY_CAST(MAP['k', s] AS MAP<STRING, DOUBLE>) AS m, TRY_CAST(ROW(s, '2') AS ROW<x INT, y INT>) AS r, TRY_CAST(ARRAY[ARRAY['1'], ARRAY[s]] AS ARRAY<ARRAY<INT>>) AS n FROM strings;
