CREATE TABLE orders (
  order_id BIGINT,
  customer_id INT,
  product_id STRING,
  quantity INT,
  price DECIMAL(10, 2),
  currency STRING,
  order_time TIMESTAMP(3),
  status STRING,
  note STRING
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
SELECT c.name, (SELECT MAX(o.price) FROM orders AS o WHERE o.customer_id = c.customer_id) AS mx, (SELECT COUNT(*) FROM orders AS o WHERE o.customer_id = c.customer_id) AS n FROM customers AS c;
