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
CREATE TABLE products (
  product_id STRING,
  name STRING,
  category STRING,
  list_price DECIMAL(10, 2),
  update_time TIMESTAMP(3),
  WATERMARK FOR update_time AS update_time
) WITH (
  'connector' = 'filesystem',
  'path' = '${DATA}/products.json',
  'format' = 'json'
);
CREATE VIEW versioned AS SELECT product_id, category, list_price, update_time FROM (SELECT *, ROW_NUMBER() OVER (PARTITION BY product_id ORDER BY update_time DESC) AS rn FROM products WHERE category <> 'toys') WHERE rn = 1;
SELECT o.order_id, v.category, v.list_price * o.quantity AS t FROM orders AS o JOIN versioned FOR SYSTEM_TIME AS OF o.order_time AS v ON o.product_id = v.product_id;
