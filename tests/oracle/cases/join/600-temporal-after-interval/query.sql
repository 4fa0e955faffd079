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

CREATE TABLE payments (
  payment_id BIGINT,
  order_id BIGINT,
  amount DECIMAL(10, 2),
  `method` STRING,
  pay_time TIMESTAMP(3),
  WATERMARK FOR pay_time AS pay_time - INTERVAL '10' SECOND
) WITH (
  'connector' = 'filesystem',
  'path' = '${DATA}/payments.json',
  'format' = 'json'
);

CREATE TABLE rates (
  currency STRING,
  rate DECIMAL(12, 4),
  update_time TIMESTAMP(3),
  WATERMARK FOR update_time AS update_time,
  PRIMARY KEY (currency) NOT ENFORCED
) WITH (
  'connector' = 'filesystem',
  'path' = '${DATA}/rates.json',
  'format' = 'json'
);

SELECT o.order_id, c.name, p.payment_id, r.rate FROM orders AS o JOIN payments AS p ON p.order_id = o.order_id AND p.pay_time BETWEEN o.order_time AND o.order_time + INTERVAL '5' MINUTE JOIN customers AS c ON o.customer_id = c.customer_id JOIN rates FOR SYSTEM_TIME AS OF o.order_time AS r ON o.currency = r.currency;
