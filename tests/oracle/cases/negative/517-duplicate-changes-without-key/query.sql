SET 'table.exec.source.cdc-events-duplicate' = 'true';
CREATE TABLE accounts (account_id INT, owner STRING) WITH ('connector' = 'filesystem', 'path' = '${DATA}/cdc_accounts.debezium.json', 'format' = 'debezium-json');
SELECT * FROM accounts;
