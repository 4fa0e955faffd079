CREATE TABLE s (
  sale_id INT,
  amount INT,
  dt STRING,
  region STRING
) PARTITIONED BY (dt, region) WITH ('connector' = 'filesystem', 'path' = '${DATA}/part_sales', 'format' = 'json');
SELECT 'or' AS c, dt, region, sale_id, amount FROM s
  WHERE dt = '2024-01-03' AND region <> 'us' OR dt IN ('2024-01-01') AND amount > 150
UNION ALL
SELECT 'call', dt, region, sale_id, amount FROM s
  WHERE CAST(SUBSTRING(dt, 9) AS INT) BETWEEN 2 AND 3 AND UPPER(region) = 'US' AND amount < 200
UNION ALL
SELECT 'none', dt, region, sale_id, amount FROM s WHERE dt > '2024-02'
UNION ALL
SELECT 'rows', dt, region, sale_id, amount FROM s WHERE NOT (dt < '2024-01-03') AND sale_id <> 1 LIMIT 100;
