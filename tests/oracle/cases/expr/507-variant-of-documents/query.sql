CREATE TABLE docs (id INT, doc STRING) WITH ('connector' = 'filesystem', 'path' = '${DATA}/docs.json', 'format' = 'json');
SELECT id, JSON_STRING(PARSE_JSON(doc)) AS a, PARSE_JSON(doc)['tags'][1] AS b, PARSE_JSON(doc)['tags'][9] IS NULL AS c, JSON_STRING(TRY_PARSE_JSON('{"a": 1, "a": 2}')) AS d, JSON_STRING(PARSE_JSON('{"a": 1, "a": 2}', TRUE)) AS e FROM docs WHERE id IN (1, 2, 7);
