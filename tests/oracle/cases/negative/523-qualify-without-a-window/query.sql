CREATE TABLE orders (order_id BIGINT, customer_id INT, product_id STRING, quantity INT, price DECIMAL(10, 2), currency STRING, order_time TIMESTAMP(3), status STRING, note STRING, WATERMARK FOR order_time AS order_time - INTERVAL '5' SECOND) WITH ('connector' = 'filesystem', 'path' = '${DATA}/orders.json', 'format' = 'json');
SELECT order_id FROM orders QUALIFY order_id > 3;
