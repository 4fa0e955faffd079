CREATE TABLE customers (customer_id INT, name STRING, country STRING, segment STRING, since DATE) WITH ('connector' = 'filesystem', 'path' = '${DATA}/customers.json', 'format' = 'json');
CREATE TABLE c2 (extra STRING NOT NULL) WITH ('connector' = 'filesystem', 'path' = '${OUT}/c2', 'format' = 'json') AS SELECT customer_id FROM customers;
SELECT * FROM c2;
