CREATE TABLE stock (
  item_id INT,
  warehouse STRING,
  qty INT,
  PRIMARY KEY (item_id) NOT ENFORCED
) WITH (
  'connector' = 'filesystem',
  'path' = '${DATA}/cdc_stock.debezium-schema.json',
  'format' = 'debezium-json',
  'debezium-json.schema-include' = 'true'
);

SELECT * FROM TO_CHANGELOG(input => TABLE stock PARTITION BY item_id);
