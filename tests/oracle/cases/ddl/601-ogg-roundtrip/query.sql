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

CREATE TABLE c (customer_id INT, c BIGINT, s DECIMAL(20, 2)) WITH ('connector' = 'filesystem', 'path' = '${OUT}/c', 'format' = 'ogg-json');
INSERT INTO c SELECT customer_id, COUNT(*), SUM(price) FROM orders GROUP BY customer_id;
SELECT * FROM c;
