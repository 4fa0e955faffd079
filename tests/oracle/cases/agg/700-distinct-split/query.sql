SET 'table.optimizer.distinct-agg.split.enabled' = 'true';
SET 'table.optimizer.distinct-agg.split.bucket-num' = '4';
CREATE TABLE orders (
  order_id BIGINT,
  customer_id INT,
  product_id STRING,
  quantity INT,
  price DECIMAL(10, 2),
  currency STRING,
  status STRING
) WITH ('connector' = 'filesystem', 'path' = '${DATA}/orders.json', 'format' = 'json');
SELECT status, COUNT(*) AS n, COUNT(DISTINCT customer_id) AS customers, COUNT(DISTINCT product_id) AS products,
  SUM(DISTINCT quantity) AS q, AVG(price) AS p, AVG(DISTINCT quantity) AS a, MAX(price) AS m,
  COUNT(DISTINCT customer_id) FILTER (WHERE currency = 'EUR') AS eur, MIN(product_id) AS first_product
FROM orders GROUP BY status;
