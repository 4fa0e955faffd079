CREATE TABLE customers (customer_id INT, name STRING, country STRING, segment STRING, since DATE) WITH ('connector' = 'filesystem', 'path' = '${DATA}/customers.json', 'format' = 'json');
CREATE TABLE c2 (up AS UPPER(name), customer_id BIGINT) WITH ('connector' = 'filesystem', 'path' = '${OUT}/c2', 'format' = 'json') AS SELECT customer_id, name FROM customers WHERE customer_id < 4;
SELECT * FROM c2;
