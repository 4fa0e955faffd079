CREATE TABLE strings (id INT, s STRING, p STRING) WITH ('connector' = 'filesystem', 'path' = '${DATA}/strings.json', 'format' = 'json');
SELECT id, ENCODE(s, 'UTF-8') AS a, UNHEX(s) AS b, X'00ff41' AS c, UNHEX('F12') AS d, CAST(p AS BINARY(2)) AS e, JSON_QUOTE(p) AS g, INSTR(s, 'o', 6) AS h, INSTR(s, 'o', -1, 1) AS k, LPAD(s, 10, p) AS l, RPAD(s, 3, '😀') AS m,
  SPLIT_INDEX(s, '', 0) AS n, CARDINALITY(SPLIT(s, ' ')) AS o, STR_TO_MAP(p) AS q, s LIKE '%\%%' AS r, s LIKE '%\_%' AS t, REGEXP_EXTRACT_ALL(s, '(\w)(\w)', 1) AS u, REGEXP_SUBSTR(s, '[^\s\d]+') AS v,
  PARSE_URL('http://a.b/?' || s, 'QUERY') AS w, PRINTF('%5d|%-5s|', id, p) AS x
FROM strings WHERE id <> 2;
