CREATE TABLE strings (id INT, s STRING, p STRING) WITH ('connector' = 'filesystem', 'path' = '${DATA}/strings.json', 'format' = 'json');
CREATE TABLE w (id INT, s STRING, p STRING) WITH ('connector' = 'filesystem', 'path' = '${OUT}/w', 'format' = 'csv', 'csv.field-delimiter' = ';', 'csv.quote-character' = '''', 'csv.null-literal' = 'NULL', 'csv.escape-character' = '\');
INSERT INTO w SELECT id, s, p FROM strings WHERE id <> 14;
CREATE TABLE r (line STRING) WITH ('connector' = 'filesystem', 'path' = '${OUT}/w', 'format' = 'raw');
SELECT * FROM r;
