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
SELECT customer_id, LISTAGG(CAST(order_id AS STRING)) AS l FROM (SELECT *, ROW_NUMBER() OVER (PARTITION BY customer_id ORDER BY price DESC, order_id) AS rn FROM orders) WHERE rn <= 3 GROUP BY customer_id;
