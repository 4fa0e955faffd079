CREATE TABLE docs (id INT, doc STRING) WITH ('connector' = 'filesystem', 'path' = '${DATA}/docs.json', 'format' = 'json');
SELECT id, JSON_VALUE(doc, 'lax $.tags.length()') AS a, JSON_EXISTS(doc, '$.tags.size()') AS b, JSON_QUERY(doc, '$.tags.length()' WITH WRAPPER) AS c, JSON_VALUE(doc, '$.dim.length()') AS d FROM docs;
