CREATE TABLE scores (id INT, label STRING, score INT, db STRING METADATA FROM 'database' VIRTUAL) WITH ('connector' = 'filesystem', 'path' = '${DATA}/cdc_scores.maxwell.json', 'format' = 'maxwell-json');
SELECT * FROM scores;
