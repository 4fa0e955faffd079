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
SELECT currency, status, quantity > 5 AS big, COUNT(*) AS c, SUM(price) AS s, GROUPING(currency) AS g1, GROUPING(status) AS g2, GROUPING_ID(currency, status) AS gid FROM orders GROUP BY CUBE (currency, status, quantity > 5);
