CREATE TABLE docs (id INT, doc STRING) WITH ('connector' = 'filesystem', 'path' = '${DATA}/docs.json', 'format' = 'json');
SELECT PARSE_JSON(doc)['name'] FROM docs WHERE id = 3;
