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

CREATE VIEW v AS SELECT customer_id, COUNT(*) AS c FROM orders WHERE customer_id < 3 GROUP BY customer_id;
SELECT * FROM TO_CHANGELOG(input => TABLE v);
