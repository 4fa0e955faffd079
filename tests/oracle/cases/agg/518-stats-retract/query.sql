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
SELECT n, AVG(s) AS a, STDDEV_POP(CAST(s AS DOUBLE)) AS sp, VAR_SAMP(CAST(s AS DOUBLE)) AS vs, AVG(p) AS ap, SUM(p) AS sp2, MIN(ot) AS mo, MAX(ot) AS xo, MIN(cur) AS mc, MAX(cur) AS xc, COUNT(DISTINCT s) AS ds, SUM(DISTINCT s) AS ss, AVG(DISTINCT s) AS ads, COUNT(s) FILTER (WHERE s > 30) AS fs FROM (SELECT customer_id, COUNT(*) AS n, SUM(quantity) AS s, SUM(price) AS p, MAX(order_time) AS ot, MAX(currency) AS cur FROM orders GROUP BY customer_id) GROUP BY n;
