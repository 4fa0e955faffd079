CREATE TABLE o (id INT, s STRING) WITH ('connector' = 'filesystem', 'path' = '${OUT}/p', 'format' = 'json');
INSERT INTO o VALUES (1, 'a'), (2, NULL);
SELECT * FROM o;
