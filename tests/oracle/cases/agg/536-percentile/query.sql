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
SELECT currency, PERCENTILE(quantity, 0.5) AS p, PERCENTILE(price, ARRAY[0.25, 0.75]) AS pp, PERCENTILE(quantity, 0.9, 2) AS f, PERCENTILE(CAST(price AS DOUBLE), 0.1) AS d, PERCENTILE(quantity, 0) AS p0, PERCENTILE(quantity, 1) AS p1 FROM orders GROUP BY currency;
