CREATE TABLE docs (id INT, doc STRING) WITH ('connector' = 'filesystem', 'path' = '${DATA}/docs.json', 'format' = 'json');
SELECT JSON_VALUE(doc, '$.price' RETURNING BIGINT) FROM docs;
