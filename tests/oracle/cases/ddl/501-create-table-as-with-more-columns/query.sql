CREATE TABLE customers (customer_id INT, name STRING, country STRING, segment STRING, since DATE) WITH ('connector' = 'filesystem', 'path' = '${DATA}/customers.json', 'format' = 'json');
CREATE TABLE c2 (extra STRING, PRIMARY KEY (customer_id) NOT ENFORCED, customer_id INT NOT NULL) WITH ('connector' = 'filesystem', 'path' = '${OUT}/c2', 'format' = 'json') AS SELECT COALESCE(customer_id, 0) AS customer_id, name FROM customers WHERE customer_id < 4;
SELECT * FROM c2;
