SET 'no.such.key' = 'x';
SET 'table.no-such' = 'y';
SELECT 1 AS a;
