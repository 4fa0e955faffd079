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

CREATE TABLE shipments (
  order_id BIGINT,
  ship_time TIMESTAMP(3),
  carrier STRING,
  weight DOUBLE
) WITH (
  'connector' = 'filesystem',
  'path' = '${DATA}/shipments.json',
  'format' = 'json'
);

SELECT order_id, carrier FROM orders JOIN shipments USING (order_id) WHERE order_id < 20;
