CREATE TABLE p (id INT, s STRING, n STRING, x STRING) WITH ('connector' = 'filesystem', 'path' = '${DATA}/escaped.csv', 'format' = 'csv', 'csv.ignore-parse-errors' = 'true');
SELECT * FROM p;
