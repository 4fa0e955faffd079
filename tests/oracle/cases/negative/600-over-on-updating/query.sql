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
SELECT c, SUM(q) OVER (PARTITION BY c ORDER BY PROCTIME()) FROM (SELECT customer_id AS c, SUM(quantity) AS q FROM orders GROUP BY customer_id);
