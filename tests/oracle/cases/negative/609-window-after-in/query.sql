CREATE TABLE orders (
  order_id BIGINT,
  customer_id INT,
  product_id STRING,
  quantity INT,
  price DECIMAL(10, 2),
  currency STRING,
  order_time TIMESTAMP(3),
  status STRING,
  note STRING,
  WATERMARK FOR order_time AS order_time - INTERVAL '5' SECOND
) WITH (
  'connector' = 'filesystem',
  'path' = '${DATA}/orders.json',
  'format' = 'json'
);

CREATE TABLE customers (
  customer_id INT,
  name STRING,
  country STRING,
  segment STRING,
  since DATE
) WITH (
  'connector' = 'filesystem',
  'path' = '${DATA}/customers.json',
  'format' = 'json'
);

CREATE VIEW v AS SELECT * FROM orders WHERE customer_id IN (SELECT customer_id FROM customers WHERE country = 'DE');
SELECT window_start, COUNT(*) AS n FROM TABLE(TUMBLE(TABLE v, DESCRIPTOR(order_time), INTERVAL '5' MINUTE)) GROUP BY window_start, window_end;
