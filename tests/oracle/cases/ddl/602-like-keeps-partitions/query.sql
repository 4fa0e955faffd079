CREATE TABLE b (sale_id INT, up AS sale_id + 1, dt STRING, region STRING) PARTITIONED BY (dt, region) WITH ('connector' = 'filesystem', 'path' = '${DATA}/nowhere', 'format' = 'json');
CREATE TABLE t WITH ('connector' = 'filesystem', 'path' = '${DATA}/part_sales', 'format' = 'json') LIKE b (EXCLUDING GENERATED EXCLUDING PARTITIONS EXCLUDING OPTIONS);
SELECT * FROM t WHERE region = 'eu';
