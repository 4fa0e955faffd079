CREATE TABLE accounts (
  account_id INT,
  owner STRING,
  branch STRING,
  balance DECIMAL(10, 2),
  updated TIMESTAMP(3),
  PRIMARY KEY (account_id) NOT ENFORCED
) WITH (
  'connector' = 'filesystem',
  'path' = '${DATA}/cdc_accounts.debezium.json',
  'format' = 'debezium-json'
);
SELECT branch, LISTAGG(owner) AS l, FIRST_VALUE(owner) AS f, LAST_VALUE(owner) AS la, ARRAY_AGG(account_id) AS a FROM accounts GROUP BY branch;
