CREATE TABLE t (id INT, w STRING, n INT) WITH ('connector' = 'filesystem', 'path' = '${DATA}/bad_lines.csv', 'format' = 'csv');
SELECT * FROM t;
