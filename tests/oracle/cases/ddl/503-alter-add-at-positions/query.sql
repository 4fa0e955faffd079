CREATE TABLE d (dept_name STRING) WITH ('connector' = 'filesystem', 'path' = '${DATA}/departments.json', 'format' = 'json');
ALTER TABLE d ADD (dept_id INT FIRST, budget BIGINT AFTER dept_id, fname STRING NOT NULL METADATA FROM 'file.name' VIRTUAL, x AS budget / 2);
SELECT * FROM d;
