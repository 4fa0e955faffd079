CREATE TABLE strings (id INT, s STRING, p STRING) WITH ('connector' = 'filesystem', 'path' = '${DATA}/strings.json', 'format' = 'json');
SELECT s ILIKE 'h%' FROM strings;
