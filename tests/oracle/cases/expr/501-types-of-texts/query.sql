CREATE TABLE strings (id INT, s STRING, p STRING) WITH ('connector' = 'filesystem', 'path' = '${DATA}/strings.json', 'format' = 'json');
SELECT id, UPPER('abc') AS a, INITCAP('hello wORLD') AS b, SUBSTRING('hello', 2) AS c, LEFT('😀 smile', 8) AS d, TRIM('  x ') AS e, RIGHT(CAST(s AS VARCHAR(5)), 2) AS g, REVERSE('ab') AS h, CHR(65) AS k,
  LPAD('a', 3, 'é') AS l, ELT(id, 'a', 'b', 'c') AS m, OVERLAY('abc' PLACING 'xy' FROM 2) AS n, LTRIM('xxa', 'x') AS o, JSON_UNQUOTE('"q"') AS p, STR_TO_MAP('k1=v1,k2') AS q, IS_ALPHA(s) AS r, BTRIM(' x ') AS t, IS_DECIMAL(s) AS u
FROM strings;
