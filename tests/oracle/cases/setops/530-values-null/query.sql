SELECT a, b FROM (VALUES (1, 'a'), (3, NULL)) AS t (a, b);
