-- A file of JSON lines to an aggregated result. ${PATH} is the folder of the files; ${EVENTS} rows are in them.
CREATE TABLE bids (
  auction BIGINT, bidder BIGINT, price BIGINT, channel STRING, url STRING, `dateTime` TIMESTAMP(3), extra STRING
) WITH ('connector' = 'filesystem', 'path' = '${PATH}', 'format' = 'json');

CREATE TABLE totals (
  channel STRING, bids BIGINT, total BIGINT, best BIGINT, `first` TIMESTAMP(3), `last` TIMESTAMP(3)
) WITH ('connector' = 'blackhole');

INSERT INTO totals
SELECT channel, COUNT(*), SUM(price), MAX(price), MIN(`dateTime`), MAX(`dateTime`) FROM bids GROUP BY channel;
